"""Null models against the resizing of TensorFlow, the image skip of the generators, and sums made by hand."""

import numpy as np
import pytest
import tensorflow as tf

from msrgan import models, upscaling
from msrgan.networks.phases import Bicubic

METHODS = {"nearest": "nearest", "bicubic": "bicubic", "lanczos": "lanczos3"}


def images(*shape):
    return np.random.default_rng(0).uniform(-0.2, 1.2, shape).astype(np.float32)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_at_centres_they_are_the_resizing_of_tensorflow(name, scale):
    x = images(2, 12, 7, 2)
    expected = tf.image.resize(x, (12 * scale, 7 * scale), method=METHODS[name])
    # Its bicubic kernel is a table of 1024 entries a pixel: exact unless the scale is odd.
    rounded = name == "bicubic" and scale == 3
    np.testing.assert_allclose(models.interpolation(name, scale)(x), expected, atol=1e-3 if rounded else 2e-6)


@pytest.mark.parametrize("grid", ["centre", "corner"])
@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_bicubic_is_the_image_skip_to_the_border(grid, scale):
    for size in ((9, 6), (2, 1)):
        x = images(2, *size, 2)
        skip = Bicubic(scale, grid)(x)
        np.testing.assert_allclose(models.interpolation("bicubic", scale, grid)(x), skip, atol=1e-6)


def test_bicubic_is_the_kernel_of_keys():
    impulse = np.zeros((1, 9, 9, 1), np.float32)
    impulse[0, 4, 4] = 1
    out = models.load("bicubic")(impulse)[0, :, :, 0]
    t = np.abs((np.arange(36) + 0.5) / 4 - 0.5 - 4)
    # Keys 1981, a = -1/2
    taps = np.where(t < 1, 1.5 * t**3 - 2.5 * t**2 + 1, np.where(t < 2, -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2, 0))
    np.testing.assert_allclose(out, np.outer(taps, taps), atol=1e-6)


def test_lanczos_at_corners_by_hand():
    x = images(1, 7, 1, 1)
    out = models.interpolation("lanczos", 2, "corner")(x)[0, :, 0, 0]
    x = x[0, :, 0, 0]
    np.testing.assert_allclose(out[::2], x, atol=1e-6)
    # Halfway between two samples: sinc(t) sinc(t / 3) at t = 1/2, 3/2, 5/2, where sin(pi t) = 1, -1, 1.
    near, middle, far = (3 * np.sin(np.pi * t / 3) * np.sin(np.pi * t) / (np.pi * t) ** 2 for t in (0.5, 1.5, 2.5))
    six = near * (x[2] + x[3]) + middle * (x[1] + x[4]) + far * (x[0] + x[5])
    assert out[5] == pytest.approx(six / (2 * (near + middle + far)), abs=1e-6)
    # Below the last sample three of the six are missing, and the others renormalised.
    assert out[13] == pytest.approx((near * x[6] + middle * x[5] + far * x[4]) / (near + middle + far), abs=1e-6)


def test_nearest_at_corners_by_hand():
    # Pixel p lies at p / 3 and p / 4: halfway between two samples the later is taken, beyond the last the last.
    x = np.array([5.0, 6.0, 7.0], np.float32).reshape(1, 3, 1, 1)
    out = models.interpolation("nearest", 3, "corner")(x)[0, :, 0, 0]
    assert out.tolist() == [5, 5, 6, 6, 6, 7, 7, 7, 7]
    out = models.interpolation("nearest", 4, "corner")(x)[0, :, 0, 0]
    assert out.tolist() == [5, 5, 6, 6, 6, 6, 7, 7, 7, 7, 7, 7]


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("grid", ["centre", "corner"])
def test_a_flat_image_stays_flat_and_tiles_leave_no_seams(name, grid):
    model = models.interpolation(name, 4, grid)
    np.testing.assert_allclose(model(np.full((1, 5, 1, 1), 0.3, np.float32)), 0.3, atol=1e-6)
    image = images(21, 17, 1)
    np.testing.assert_allclose(upscaling.upscale(model, image, tile=5), upscaling.upscale(model, image), atol=1e-6)


def test_they_take_any_scale_and_number_of_channels():
    model = models.load("lanczos", scale=3)
    assert (model.scale, model.channels) == (3, None)
    assert model(images(1, 2, 3, 5)).shape == (1, 6, 9, 5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("cubic", 4), "`name` is one of nearest, bicubic, lanczos. Received: cubic"),
        (("bicubic", 0), "`scale` is 1 or more. Received: 0"),
        (("nearest", 4, "top"), "grid must be one of .*. Received: 'top'"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        models.interpolation(*arguments)


@pytest.mark.parametrize("grid", ["centre", "corner"])
@pytest.mark.parametrize("name", METHODS)
def test_tiles_without_room_to_spare_leave_no_seams(name, grid):
    # Sides of which the tiles are whole parts: beside the overlap they share nothing.
    model = models.interpolation(name, 4, grid)
    side = 5 * 3 + 2 * model.radius
    image = images(side, side, 1)
    whole = upscaling.upscale(model, image)
    np.testing.assert_allclose(upscaling.upscale(model, image, tile=5), whole, atol=1e-6)
    np.testing.assert_allclose(whole, model(image[None])[0], atol=1e-5)
