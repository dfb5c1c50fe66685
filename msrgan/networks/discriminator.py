"""The discriminator of SRGAN: a VGG-like stack that ends in one logit.

Ledig et al., arXiv 1609.04802, figure 4.
"""

from collections.abc import Sequence

import keras
from keras import layers

from msrgan.networks.skip import one_of
from msrgan.networks.srresnet import batch_normalization

# (width as a multiple of `filters`, stride) of the paper's eight 3x3 convolutions.
_STAGES = ((1, 1), (1, 2), (2, 1), (2, 2), (4, 1), (4, 2), (8, 1), (8, 2))
# The nine of real-time SRGAN.
REALTIME_STAGES = ((1, 1), (1, 2), (1, 1), (2, 2), (2, 1), (4, 2), (4, 1), (8, 2), (8, 1))


def discriminator(
    *,
    channels: int = 3,
    patch: int = 96,
    filters: int = 64,
    batch_norm: bool | str = True,
    use_bias: bool = True,
    head: str = "dense",
    stages: Sequence[tuple[int, int]] = _STAGES,
) -> keras.Model:
    """Build a discriminator ``(B, H, W, channels) -> (B, 1)`` logits, the larger the more real.

    3x3 convolutions with LeakyReLU (slope .2) and batch norm. SRGAN has the defaults; mSRGAN (KTH TRITA-EECS-EX
    2018:10) ``batch_norm=False, use_bias=False``; real-time SRGAN (arXiv 2010.04634) ``batch_norm="after",
    head="gap", stages=REALTIME_STAGES``.

    Args:
        channels: channels of the images.
        patch: H = W of the training patches; only the "dense" head depends on it.
        filters: width of the first convolution; the others are multiples of it.
        batch_norm: True: after every convolution but the first, before the activation; "after": after every
            activation but the last; False: nowhere.
        use_bias: whether convolutions have biases. One that feeds a batch norm never has.
        head: "dense": flatten, dense ``16 * filters``, LeakyReLU, dense 1, the paper's; "gap": global average
            pooling, dense 1, for any H and W.
        stages: (multiple of ``filters``, stride) of each convolution.

    Returns:
        A ``keras.Model``; its logits are float32 under every dtype policy.

    Raises:
        ValueError: ``head`` or ``batch_norm`` has none of these values.
    """
    one_of("head", head, ("dense", "gap"))
    one_of("batch_norm", batch_norm, (True, False, "after"))
    size = patch if head == "dense" else None
    image = x = keras.Input((size, size, channels), name="image")
    for i, (multiple, stride) in enumerate(stages, start=1):
        norm = batch_norm is True and i > 1
        x = layers.Conv2D(
            multiple * filters, 3, stride, padding="same", use_bias=use_bias and not norm, name=f"conv{i}"
        )(x)
        if norm:
            x = batch_normalization(f"conv{i}_bn")(x)
        x = layers.LeakyReLU(0.2, name=f"conv{i}_act")(x)
        # A norm right before pooling and a linear head would fix the mean logit of every batch: a discriminator
        # that sees real and fake images in batches of their own could never tell them apart.
        if batch_norm == "after" and i < len(stages):
            x = batch_normalization(f"conv{i}_bn")(x)
    if head == "dense":
        x = layers.Flatten(name="flatten")(x)
        x = layers.Dense(16 * filters, name="dense")(x)
        x = layers.LeakyReLU(0.2, name="dense_act")(x)
    else:
        x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(image, layers.Dense(1, name="logit", dtype="float32")(x), name="discriminator")
