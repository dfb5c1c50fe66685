"""SRResNet, the generator of SRGAN, and its microscopy descendants.

Ledig et al., "Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network", arXiv 1609.04802,
figure 4.
"""

import keras
from keras import layers

from msrgan.networks.phases import Bicubic, DepthToSpace, NearestConv2D, PhaseConv2D, PReLU

_UPSAMPLE = ("subpixel", "resize", "transpose")


def srresnet(
    *,
    channels=3,
    scale=4,
    filters=64,
    blocks=16,
    kernel=9,
    batch_norm=True,
    dropout=0.0,
    upsample="subpixel",
    widths=None,
    image_skip="bicubic",
    use_bias=True,
    stem_activation="prelu",
    tail_activation="prelu",
    output_activation=None,
):
    """Build a residual generator ``(B, H, W, channels) -> (B, scale*H, scale*W, channels)``, both in [-1, 1].

    A stem convolution, ``blocks`` residual blocks on the low-resolution grid, a convolution that closes the long skip,
    one upsampling stage a factor of two, and an output convolution. The output is not clipped. Everything after the
    last upsampling convolution is computed in phase layout where that is exact and faster (``msrgan.networks.phases``).

    | system                         | arguments that differ from SRGAN's                                               |
    |--------------------------------|----------------------------------------------------------------------------------|
    | SRGAN (arXiv 1609.04802)       | ``image_skip="none"``                                                            |
    | mSRGAN (KTH TRITA-EECS 2018:10)| ``blocks=15, kernel=3, dropout=.5, widths=(256, 64), use_bias=False,``           |
    |                                | ``stem_activation="leaky_relu", image_skip="none"``                              |
    | real-time (arXiv 2010.04634)   | ``batch_norm="body", upsample="resize", widths=(256, 256),``                     |
    |                                | ``tail_activation="leaky_relu", output_activation="tanh", image_skip="none"``    |

    Args:
        channels: channels of the images.
        scale: 2, 4 or 8.
        filters: width of the body.
        blocks: number B of residual blocks, each conv3 - BN - PReLU - conv3 - BN + skip.
        kernel: size of the first and the last convolution.
        batch_norm: True: after every convolution of the body; "body": only after the one that closes the long skip;
            False: none.
        dropout: rate after each batch norm of the body and after the first upsampling; off at inference.
        upsample: "subpixel": conv3 - pixel shuffle; "resize": nearest x2 - conv3; "transpose": transposed conv4.
        widths: filters of each upsampling convolution; ``4 * filters`` for "subpixel" (the shuffle leaves a quarter),
            else ``filters``.
        image_skip: "bicubic": the network learns the residual to the bicubically enlarged input; "none": the papers'.
        use_bias: whether convolutions have biases. One that feeds a batch norm never has.
        stem_activation: "prelu" or "leaky_relu" (slope .2), after the first convolution.
        tail_activation: the same, after each upsampling.
        output_activation: None (linear) or the name of a Keras activation, before the image skip is added.

    Returns:
        A ``keras.Model`` for any H and W; its output is float32 under every dtype policy.

    Raises:
        ValueError: an argument is not one of its values, or ``widths`` does not fit ``scale`` and ``upsample``.
    """
    stages = {2: 1, 4: 2, 8: 3}.get(scale)
    _check(stages, f"scale must be 2, 4 or 8. Received: scale={scale}.")
    _check(
        batch_norm in (True, False, "body"),
        f"batch_norm must be True, False or 'body'. Received: {batch_norm!r}.",
    )
    _check(upsample in _UPSAMPLE, f"upsample must be one of {_UPSAMPLE}. Received: upsample={upsample!r}.")
    _check(
        image_skip in ("bicubic", "none"),
        f"image_skip must be 'bicubic' or 'none'. Received: {image_skip!r}.",
    )
    widths = tuple(widths or (filters * (4 if upsample == "subpixel" else 1),) * stages)
    _check(
        len(widths) == stages,
        f"widths must have one entry per factor of 2, here {stages}. Received: {widths}.",
    )
    if upsample == "subpixel":
        _check(
            all(w % 4 == 0 for w in widths),
            f"widths must be multiples of 4 for 'subpixel'. Received: {widths}.",
        )

    def body_conv(x, name, norm):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=use_bias and not norm, name=name)(x)
        x = batch_normalization(name=f"{name}_bn")(x) if norm else x
        return layers.Dropout(dropout, name=f"{name}_dropout")(x) if dropout else x

    image = keras.Input((None, None, channels), name="image")
    x = layers.Conv2D(filters, kernel, padding="same", use_bias=use_bias, name="stem_conv")(image)
    x = stem = _activation(stem_activation, "stem_act")(x)
    for i in range(1, blocks + 1):
        skip = x
        x = body_conv(x, f"block{i}_conv1", norm=batch_norm is True)
        x = PReLU(name=f"block{i}_act")(x)
        x = body_conv(x, f"block{i}_conv2", norm=batch_norm is True)
        x = layers.Add(name=f"block{i}_add")([skip, x])
    x = body_conv(x, "body_conv", norm=bool(batch_norm))
    x = layers.Add(name="body_add")([stem, x])

    phases = 1 if upsample == "transpose" else 4  # the layout of x after an upsampling convolution
    for i, width in enumerate(widths, start=1):
        if i > 1 and phases == 4:
            x = DepthToSpace(2, name=f"shuffle{i - 1}")(x)
        x = _upsampling_conv(upsample, width, use_bias, name=f"upsample{i}_conv")(x)
        if dropout and i == 1:
            x = layers.Dropout(dropout, name="upsample1_dropout")(x)
        x = _activation(tail_activation, f"upsample{i}_act", phases)(x)

    # float32 under every policy: half precision shows as steps in an image.
    last = {"use_bias": use_bias, "kernel_initializer": _last_initializer(image_skip), "dtype": "float32"}
    if phases == 4 and kernel > 3:
        x = PhaseConv2D(channels, kernel, name="output_conv", **last)(x)
        x = DepthToSpace(2, name=f"shuffle{stages}", dtype="float32")(x)
    else:
        x = DepthToSpace(2, name=f"shuffle{stages}")(x) if phases == 4 else x
        x = layers.Conv2D(channels, kernel, padding="same", name="output_conv", **last)(x)
    if output_activation:
        x = layers.Activation(output_activation, name="output_act", dtype="float32")(x)
    if image_skip == "bicubic":
        enlarged = Bicubic(scale, name="image_skip", dtype="float32")(image)
        x = layers.Add(name="output", dtype="float32")([enlarged, x])
    return keras.Model(image, x, name="srresnet")


def batch_normalization(name):
    """Return batch normalisation as mSRGAN has it, equal on one worker and on many."""
    synchronized = (
        keras.config.backend() == "tensorflow"
    )  # the other backends shard a batch without splitting it
    return layers.BatchNormalization(momentum=0.99, epsilon=1e-3, synchronized=synchronized, name=name)


def _activation(kind, name, phases=1):
    if kind == "prelu":
        return PReLU(phases, name=name)
    _check(kind == "leaky_relu", f"An activation must be 'prelu' or 'leaky_relu'. Received: {kind!r}.")
    return layers.LeakyReLU(0.2, name=name)


def _upsampling_conv(kind, width, use_bias, name):
    if kind == "subpixel":
        return layers.Conv2D(width, 3, padding="same", use_bias=use_bias, name=name)
    if kind == "resize":
        return NearestConv2D(width, use_bias=use_bias, name=name)
    # A kernel divisible by the stride reaches every pixel equally often (Odena et al. 2016).
    return layers.Conv2DTranspose(width, 4, strides=2, padding="same", use_bias=use_bias, name=name)


def _last_initializer(image_skip):
    if image_skip == "none":
        return "glorot_uniform"
    # A residual of about a hundredth at the start: the network begins as bicubic, yet every layer gets a gradient.
    return keras.initializers.VarianceScaling(1e-4)


def _check(condition, message):
    if not condition:
        raise ValueError(message)
