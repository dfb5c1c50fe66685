"""SRResNet, the generator of SRGAN, and its microscopy descendants.

Ledig et al., "Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network",
arXiv 1609.04802, figure 4.
"""

from collections.abc import Sequence

import keras
from keras import layers

from msrgan.networks.phases import DepthToSpace, NearestConv2D, PhaseConv2D, PReLU
from msrgan.networks.skip import add_image, one_of, output_layer


def srresnet(
    *,
    channels: int = 3,
    scale: int = 4,
    filters: int = 64,
    blocks: int = 16,
    kernel: int = 9,
    batch_norm: bool | str = True,
    dropout: float = 0.0,
    upsample: str = "subpixel",
    widths: Sequence[int] | None = None,
    image_skip: str = "bicubic",
    grid: str = "centre",
    use_bias: bool = True,
    stem_activation: str = "prelu",
    tail_activation: str = "prelu",
    output_activation: str | None = None,
) -> keras.Model:
    """Build a residual generator ``(B, H, W, C) -> (B, scale*H, scale*W, C)``, both in [-1, 1].

    A stem convolution; ``blocks`` residual blocks on the small grid; a convolution that closes the long skip;
    an upsampling convolution for each factor of two; an output convolution. The output is not clipped. Activations
    before a shuffle and the output convolution work in phase layout (``msrgan.networks.phases``).

    SRGAN (arXiv 1609.04802) is ``image_skip="none"`` and otherwise the defaults.
    mSRGAN (KTH TRITA-EECS-EX 2018:10) is ``blocks=15, kernel=3, dropout=.5, widths=(256, 64), use_bias=False,
    stem_activation="leaky_relu", image_skip="none"``.
    Real-time SRGAN (arXiv 2010.04634) is ``batch_norm="body", upsample="resize", widths=(256, 256),
    tail_activation="leaky_relu", output_activation="tanh", image_skip="none"``.

    Args:
        channels: C, channels of the images.
        scale: 2, 4 or 8.
        filters: width of the body.
        blocks: number of residual blocks, each conv3 - BN - PReLU - conv3 - BN + skip.
        kernel: size of the first and the last convolution.
        batch_norm: True: after every convolution of the body; "body": only after the one that closes the long
            skip; False: nowhere.
        dropout: rate after each convolution (and batch norm) of the body and after the first upsampling convolution;
            off at inference.
        upsample: "subpixel": conv3, pixel shuffle; "resize": nearest x2, conv3; "transpose": transposed
            conv4.
        widths: filters of each upsampling convolution. Default: ``4 * filters`` for "subpixel", whose shuffle
            leaves a quarter, else ``filters``.
        image_skip: "bicubic": the network learns the residual to the bicubically enlarged input, and starts
            close to it; "none": the papers'.
        grid: of the samples of the input, "centre" or "corner", see ``msrgan.degradation``.
        use_bias: whether convolutions have biases. One that feeds a batch norm never has.
        stem_activation: "prelu" or "leaky_relu" (slope .2), after the first convolution.
        tail_activation: likewise, after each upsampling convolution.
        output_activation: None (linear) or a Keras activation, before the image skip is added.

    Returns:
        A ``keras.Model`` for any H and W. Its output is float32 under every dtype policy.

    Raises:
        ValueError: an argument has none of these values, or ``widths`` does not fit.
    """
    one_of("scale", scale, (2, 4, 8))
    one_of("batch_norm", batch_norm, (True, False, "body"))
    one_of("upsample", upsample, ("subpixel", "resize", "transpose"))
    widths = _widths(widths, filters, scale, upsample)

    image = keras.Input((None, None, channels), name="image")
    x = layers.Conv2D(filters, kernel, padding="same", use_bias=use_bias, name="stem_conv")(image)
    x = _activation(stem_activation, "stem_act")(x)
    x = _body(x, blocks, batch_norm=batch_norm, dropout=dropout, use_bias=use_bias)
    x = _upsampling(x, upsample, widths, activation=tail_activation, dropout=dropout, use_bias=use_bias)
    x = _output(x, channels, kernel, shuffles=len(widths), upsample=upsample, use_bias=use_bias, image_skip=image_skip)
    if output_activation:
        x = layers.Activation(output_activation, name="output_act", dtype="float32")(x)
    x = add_image(x, image, image_skip=image_skip, scale=scale, grid=grid)
    return keras.Model(image, x, name="srresnet")


def batch_normalization(name: str) -> layers.BatchNormalization:
    """Return a batch norm as mSRGAN has it, with the statistics of all workers' batches."""
    synchronized = keras.config.backend() == "tensorflow"  # the only backend that knows the argument
    return layers.BatchNormalization(momentum=0.99, epsilon=1e-3, synchronized=synchronized, name=name)


def _widths(widths, filters, scale, upsample):
    """Return the filters of each upsampling convolution, checked or chosen."""
    count, subpixel = scale.bit_length() - 1, upsample == "subpixel"
    widths = tuple(widths or (4 * filters if subpixel else filters,) * count)
    if len(widths) != count or (subpixel and any(width % 4 for width in widths)):
        rule = f"Scale {scale} needs {count} widths" + (", multiples of 4" if subpixel else "")
        raise ValueError(f"{rule}. Received: widths={widths}.")
    return widths


def _body(x, blocks, *, batch_norm, dropout, use_bias):
    """Return x + conv3(the residual blocks of x)."""
    filters = x.shape[-1]

    def conv(x, name, norm):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=use_bias and not norm, name=name)(x)
        x = batch_normalization(f"{name}_bn")(x) if norm else x
        return layers.Dropout(dropout, name=f"{name}_dropout")(x) if dropout else x

    stem = x
    for i in range(1, blocks + 1):
        skip = x
        x = conv(x, f"block{i}_conv1", norm=batch_norm is True)
        x = PReLU(name=f"block{i}_act")(x)
        x = conv(x, f"block{i}_conv2", norm=batch_norm is True)
        x = layers.Add(name=f"block{i}_add")([skip, x])
    x = conv(x, "body_conv", norm=bool(batch_norm))
    return layers.Add(name="body_add")([stem, x])


def _upsampling(x, upsample, widths, *, activation, dropout, use_bias):
    """Return x after a convolution that doubles it and an activation for each width.

    The last result is left in phase layout, where the output convolution is fast; "transpose" has none.
    """
    phases = _phases(upsample)
    for i, width in enumerate(widths, start=1):
        if i > 1 and phases == 4:
            x = DepthToSpace(2, name=f"shuffle{i - 1}")(x)
        x = _upsampling_conv(upsample, width, use_bias, name=f"upsample{i}_conv")(x)
        if dropout and i == 1:
            x = layers.Dropout(dropout, name="upsample1_dropout")(x)
        x = _activation(activation, f"upsample{i}_act", phases)(x)
    return x


def _output(x, channels, kernel, *, shuffles, upsample, use_bias, image_skip):
    """Return the output convolution of x, at full resolution."""
    arguments = {"use_bias": use_bias, "name": "output_conv", **output_layer(image_skip)}
    if _phases(upsample) == 1:
        return layers.Conv2D(channels, kernel, padding="same", **arguments)(x)
    x = PhaseConv2D(channels, kernel, **arguments)(x)
    return DepthToSpace(2, name=f"shuffle{shuffles}", dtype="float32")(x)


def _phases(upsample):
    """Return the number of phases in which an upsampling convolution gives its result."""
    return 1 if upsample == "transpose" else 4


def _activation(kind, name, phases=1):
    one_of("An activation", kind, ("prelu", "leaky_relu"))
    return PReLU(phases, name=name) if kind == "prelu" else layers.LeakyReLU(0.2, name=name)


def _upsampling_conv(kind, width, use_bias, name):
    if kind == "subpixel":
        return layers.Conv2D(width, 3, padding="same", use_bias=use_bias, name=name)
    if kind == "resize":
        return NearestConv2D(width, use_bias=use_bias, name=name)
    # A kernel divisible by the stride reaches every pixel equally often (Odena et al. 2016).
    return layers.Conv2DTranspose(width, 4, strides=2, padding="same", use_bias=use_bias, name=name)
