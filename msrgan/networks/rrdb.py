"""RRDBNet, the generator of ESRGAN: residual-in-residual dense blocks without batch norm.

Wang et al., "ESRGAN: Enhanced Super-Resolution Generative Adversarial Networks", arXiv 1809.00219, section 3.1.
"""

import keras
from keras import layers

from msrgan.networks.phases import DepthToSpace, NearestConv2D
from msrgan.networks.skip import add_image, one_of, output_layer

_RESIDUAL = 0.2
_SLOPE = 0.2


def rrdbnet(
    *,
    channels: int = 3,
    scale: int = 4,
    filters: int = 64,
    blocks: int = 23,
    growth: int | None = None,
    image_skip: str = "bicubic",
    grid: str = "centre",
) -> keras.Model:
    """Build a generator ``(B, H, W, C) -> (B, scale*H, scale*W, C)``, both in [-1, 1].

    A stem convolution; ``blocks`` RRDBs on the small grid; a convolution that closes the long skip; nearest x2,
    conv3 and LeakyReLU for each factor of two; two convolutions at full resolution. Every kernel is 3x3. The
    output is not clipped. ESRGAN is ``image_skip="none"`` and otherwise the defaults: 16,697,987 parameters.

    Args:
        channels: C, channels of the images.
        scale: 2, 4 or 8.
        filters: width of the trunk.
        blocks: number of RRDBs, each three dense blocks of five convolutions.
        growth: channels that each convolution of a dense block adds; half of ``filters`` if None, as published.
        image_skip: "bicubic": the network learns the residual to the bicubically enlarged input; "none".
        grid: of the samples of the input, "centre" or "corner", see ``msrgan.degradation``.

    Returns:
        A ``keras.Model`` for any H and W. Its output is float32 under every dtype policy.

    Raises:
        ValueError: ``scale`` or ``image_skip`` has none of these values.
    """
    one_of("scale", scale, (2, 4, 8))
    growth = growth or filters // 2

    image = keras.Input((None, None, channels), name="image")
    stem = x = layers.Conv2D(filters, 3, padding="same", name="stem_conv")(image)
    for i in range(1, blocks + 1):
        x = _rrdb(x, growth, name=f"block{i}")
    x = layers.Conv2D(filters, 3, padding="same", name="body_conv")(x)
    x = layers.Add(name="body_add")([stem, x])
    for i in range(1, scale.bit_length()):
        x = NearestConv2D(filters, name=f"upsample{i}_conv")(x)
        x = layers.LeakyReLU(_SLOPE, name=f"upsample{i}_act")(x)
        x = DepthToSpace(2, name=f"shuffle{i}")(x)
    x = layers.Conv2D(filters, 3, padding="same", name="hr_conv")(x)
    x = layers.LeakyReLU(_SLOPE, name="hr_act")(x)
    x = layers.Conv2D(channels, 3, padding="same", name="output_conv", **output_layer(image_skip))(x)
    x = add_image(x, image, image_skip=image_skip, scale=scale, grid=grid)
    return keras.Model(image, x, name="rrdbnet")


def _rrdb(x, growth, name):
    """Return x + .2 * (three dense blocks in a row)."""
    y = x
    for i in range(1, 4):
        y = _dense_block(y, growth, name=f"{name}_dense{i}")
    return _add_residual(x, y, name)


def _dense_block(x, growth, name):
    """Return x + .2 * (five convolutions, each of which sees all the maps before it)."""
    maps = [x]
    for i in range(1, 5):
        y = _conv(_joined(maps, f"{name}_concat{i}"), growth, f"{name}_conv{i}")
        maps.append(layers.LeakyReLU(_SLOPE, name=f"{name}_act{i}")(y))
    y = _conv(_joined(maps, f"{name}_concat5"), x.shape[-1], f"{name}_conv5")
    return _add_residual(x, y, name)


def _joined(maps, name):
    return layers.Concatenate(name=name)(maps) if len(maps) > 1 else maps[0]


def _conv(x, filters, name):
    # A tenth of He's initialisation: a deep residual network starts near the identity (section 3.1).
    start = keras.initializers.VarianceScaling(2 * 0.1**2)
    return layers.Conv2D(filters, 3, padding="same", kernel_initializer=start, name=name)(x)


def _add_residual(x, residual, name):
    residual = layers.Rescaling(_RESIDUAL, name=f"{name}_scale")(residual)
    return layers.Add(name=f"{name}_add")([x, residual])
