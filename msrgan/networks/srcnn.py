"""SRCNN: three convolutions on the bicubically enlarged image.

Dong et al., "Image Super-Resolution Using Deep Convolutional Networks", arXiv 1501.00092, section 3.1 (9-1-5).
"""

import keras
from keras import layers

from msrgan.networks.phases import Bicubic
from msrgan.networks.skip import one_of, output_layer


def srcnn(*, channels: int = 3, scale: int = 4, image_skip: str = "bicubic", grid: str = "centre") -> keras.Model:
    """Build a generator ``(B, H, W, C) -> (B, scale*H, scale*W, C)``, both in [-1, 1].

    Bicubic enlargement, then conv9-64, ReLU, conv1-32, ReLU, conv5-C. SRCNN is ``image_skip="none"``: 8,032 weights
    for one channel, and 97 biases.

    Args:
        channels: C, channels of the images.
        scale: 2, 4 or 8.
        image_skip: "bicubic": the network learns the residual to the enlarged image; "none": the paper's.
        grid: of the samples of the input, "centre" or "corner", see ``msrgan.degradation``.

    Returns:
        A ``keras.Model`` for any H and W. Its output is float32 under every dtype policy.

    Raises:
        ValueError: ``scale`` or ``image_skip`` has none of these values.
    """
    one_of("scale", scale, (2, 4, 8))
    image = keras.Input((None, None, channels), name="image")
    enlarged = Bicubic(scale, grid, name="bicubic", dtype="float32")(image)
    x = layers.Conv2D(64, 9, padding="same", activation="relu", name="conv1")(enlarged)
    x = layers.Conv2D(32, 1, activation="relu", name="conv2")(x)
    x = layers.Conv2D(channels, 5, padding="same", name="output_conv", **output_layer(image_skip))(x)
    if image_skip == "bicubic":
        x = layers.Add(name="output", dtype="float32")([enlarged, x])
    return keras.Model(image, x, name="srcnn")
