"""What a network itself tells of its card."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from msrgan import models
from msrgan.models import card
from msrgan.models.probe import probe


def box(height, width):
    """A network that doubles the mean over windows of height x width pixels."""
    kernel = np.full((height, width, 1, 1), 1 / (height * width), np.float32)

    def function(batch):
        blurred = tf.nn.conv2d(batch, kernel, 1, "SAME")
        return tf.repeat(tf.repeat(blurred, 2, axis=1), 2, axis=2)

    return function


def check(function, **claims):
    sizes = {"scale": 2, "channels": 1, "receptive_radius": 0} | claims
    probe(models.Upscaler(function, card.defaults() | sizes), Path("a/model"))


@pytest.mark.parametrize("size", [(1, 1), (7, 1), (1, 7), (5, 7)])
def test_the_radius_is_what_the_network_needs_along_both_axes(size):
    radius = max(size) // 2
    for enough in (radius, radius + 5):
        check(box(*size), receptive_radius=enough)
    for little in range(radius):
        with pytest.raises(ValueError, match=f"a/model: its network looks farther than receptive_radius {little}, "):
            check(box(*size), receptive_radius=little)


@pytest.mark.parametrize(
    ("claims", "message"),
    [
        (
            {"scale": 4},
            r"scale 4 and channels 1 make \(2, 68, 4, 1\) of an image \(2, 17, 1, 1\). Received: \(2, 34, 2",
        ),
        ({"scale": 3}, "scale 3 and channels 1 make"),
        ({"channels": 2}, r"a/model is a damaged model \(it fails on an image: \w+\)"),
    ],
)
def test_wrong_sizes_are_told(claims, message):
    with pytest.raises(ValueError, match=message):
        check(box(1, 1), **claims)


@pytest.mark.parametrize("pixel", [np.nan, np.inf])
def test_pixels_that_are_not_finite_are_told(pixel):
    with pytest.raises(ValueError, match="a/model gives NaN or infinite pixels"):
        check(lambda batch: box(1, 1)(batch) * pixel)
