"""The image skip: a generator that learns what bicubic enlargement lacks."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from msrgan.networks.phases import Bicubic


def output_layer(image_skip: str) -> dict[str, Any]:
    """Return the arguments of a generator's last convolution.

    float32 under every policy: half precision shows as steps in an image. With an image skip the network starts
    close to bicubic. Not at it: a zero kernel would give the body no gradient at first.
    """
    one_of("image_skip", image_skip, ("bicubic", "none"))
    start = "glorot_uniform" if image_skip == "none" else keras.initializers.VarianceScaling(1e-4)
    return {"kernel_initializer": start, "dtype": "float32"}


def add_image(
    x: keras.KerasTensor, image: keras.KerasTensor, *, image_skip: str, scale: int, grid: str
) -> keras.KerasTensor:
    """Add the bicubically enlarged image (B, H, W, C) to x (B, sH, sW, C), unless `image_skip` is "none"."""
    if image_skip == "none":
        return x
    enlarged = Bicubic(scale, grid, name="image_skip", dtype="float32")(image)
    return layers.Add(name="output", dtype="float32")([enlarged, x])


def one_of(name: str, value: Any, values: Sequence[Any]) -> None:
    """Raise ValueError unless `value` is one of `values`."""
    if value not in values:
        raise ValueError(f"{name} must be one of {values}. Received: {value!r}.")
