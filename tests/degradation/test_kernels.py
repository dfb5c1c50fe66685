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


def test_mixed_draws_one_of_three_kernels_evenly(hr):
    lr = make("mixed:sigma=0.4")(np.stack([hr] * 90), scale=4, seed=[(k, 7) for k in range(90)]).numpy()
    known = np.stack([make(text)(hr, scale=4) for text in ("bicubic", "area", "gaussian:sigma=0.4")])
    distances = np.abs(lr[:, None] - known).max((2, 3, 4))
    assert distances.min(axis=1).max() < 1e-6
    counts = np.bincount(distances.argmin(axis=1))
    assert counts.sum() == 90
    assert counts.min() > 18  # of 30: 2.7 standard deviations


@pytest.mark.parametrize(("weight", "expected"), [(0, 0), (2, 60), (8, 96)])
def test_mixed_draws_bicubic_as_often_as_it_is_told(hr, weight, expected):
    lr = make(f"mixed:sigma=0.4,bicubic={weight}")(np.stack([hr] * 120), scale=4, seed=[(k, 7) for k in range(120)])
    known = make("bicubic")(hr, scale=4)
    assert abs(np.sum(np.abs(lr - known).max(axis=(1, 2, 3)) < 1e-6) - expected) <= 15 * (weight > 0)  # 2.7 deviations


def test_mixed_draws_the_width_of_its_blur_from_all_of_the_range():
    edge = np.zeros((40, 40, 1), np.float32)
    edge[:, 20:] = 1
    lr = make("mixed:sigma=0.2..1")(np.stack([edge] * 60), scale=4, seed=[(k, 1) for k in range(60)]).numpy()
    widths = [0.2, 0.4, 0.6, 0.8, 1.0]
    # The first pixel right of the edge grows darker with the width.
    pixels = [make(f"gaussian:sigma={width}")(edge, scale=4).numpy()[5, 5, 0] for width in widths]
    counts = np.histogram(lr[:, 5, 5, 0], sorted(pixels))[0]
    assert np.all(counts >= 1)
    assert lr[:, 5, 5, 0].min() >= min(pixels) - 1e-6


def test_mixed_refuses_a_blur_wider_than_the_image(hr):
    with pytest.raises(ValueError, match=r"^mixed:sigma is at most 3 for images of 6 LR pixels a side\. Received: 4"):
        make("mixed:sigma=1..4")(hr, scale=4, seed=(0, 0))
