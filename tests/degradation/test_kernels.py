"""Kernels against Pillow, SciPy and blocks of pixels."""

import numpy as np
import pytest
import scipy.ndimage
from PIL import Image

from msrgan.degradation import make


def test_bicubic_is_pillows(hr):
    reference = np.array(Image.fromarray(hr[..., 0]).resize((8, 6), Image.Resampling.BICUBIC))
    np.testing.assert_allclose(make("bicubic")(hr, scale=4)[..., 0], reference, atol=1e-5)


def test_thesis_takes_every_fourth_pixel(hr):
    np.testing.assert_allclose(make("thesis")(hr, scale=4), hr[::4, ::4], atol=1e-6)


def test_area_is_the_mean_of_blocks(hr):
    blocks = hr.reshape(6, 4, 8, 4, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(make("area")(hr, scale=4), blocks, atol=1e-6)


@pytest.mark.parametrize("sigma", [0, 0.4, 1.0])
def test_gaussian_is_scipys_blur_then_keys(sigma, hr):
    blurred = scipy.ndimage.gaussian_filter(hr, (4 * sigma, 4 * sigma, 0), mode="reflect", truncate=8)
    # Between two pixels, the bicubic kernel of Keys weighs its four neighbours so; at the border none is missing.
    weights = np.array([-1, 9, 9, -1]) / 16
    rows = sum(w * blurred[k::4] for k, w in enumerate(weights))
    expected = sum(w * rows[:, k::4] for k, w in enumerate(weights))
    np.testing.assert_allclose(make(f"gaussian:sigma={sigma}")(hr, scale=4), expected, atol=1e-5)
