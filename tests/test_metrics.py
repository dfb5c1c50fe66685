import math

import numpy as np
import pytest
from skimage.metrics import normalized_root_mse, peak_signal_noise_ratio, structural_similarity

from msrgan.metrics import mse, nrmse, psnr, ssim


@pytest.fixture
def pair():
    rng = np.random.default_rng(3)
    reference = rng.integers(0, 4096, (40, 50, 3), dtype=np.uint16)
    noise = rng.integers(-100, 100, reference.shape)
    return reference, np.clip(reference + noise, 0, 4095).astype(np.uint16)


def test_hand_computed_values():
    reference = np.zeros((2, 2, 1), np.uint8)
    test = np.array([[[0], [0]], [[0], [10]]], np.uint8)
    assert mse(reference, test, data_range=100) == pytest.approx(0.0025)
    assert nrmse(reference, test, data_range=100) == pytest.approx(0.05)
    assert psnr(reference, test, data_range=100) == pytest.approx(26.0206, abs=1e-4)


def test_unsigned_differences_do_not_wrap():
    low, high = np.zeros((2, 2), np.uint8), np.full((2, 2), 255, np.uint8)
    assert mse(low, high, data_range=255) == mse(high, low, data_range=255) == 1


def test_scikit_image_agrees(pair):
    assert psnr(*pair, data_range=4095) == pytest.approx(peak_signal_noise_ratio(*pair, data_range=4095))
    span = float(np.ptp(pair[0]))
    assert nrmse(*pair, data_range=span) == pytest.approx(normalized_root_mse(*pair, normalization="min-max"))


def test_ssim_is_that_of_the_paper(pair):
    pair = [pair[0] / 40, pair[1][::-1] / 40]  # unlike images of low contrast: every constant weighs
    planes = [
        structural_similarity(
            *(image[..., c].astype(float) for image in pair),
            data_range=4095,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        for c in range(3)
    ]
    assert ssim(*pair, data_range=4095) == pytest.approx(np.mean(planes))
    assert ssim(pair[0][..., 0], pair[1][..., 0], data_range=4095) == pytest.approx(planes[0])


def test_ssim_of_two_constant_images():
    # Without structure only the luminance term is left: (2 a b + c1) / (a^2 + b^2 + c1), c1 = (0.01 L)^2.
    a, b = np.full((16, 16), 100.0), np.full((16, 16), 120.0)
    c1 = 2.55**2
    assert ssim(a, b, data_range=255) == pytest.approx((2 * 100 * 120 + c1) / (100**2 + 120**2 + c1))


def test_identical_images(pair):
    assert psnr(pair[0], pair[0], data_range=1) == math.inf
    assert ssim(pair[0], pair[0], data_range=1) == pytest.approx(1)
    assert mse(pair[0], pair[0], data_range=1) == nrmse(pair[0], pair[0], data_range=1) == 0


@pytest.mark.parametrize("metric", [mse, nrmse, psnr, ssim])
def test_units_play_no_part(metric, pair):
    scaled = [image / 4095 for image in pair]
    assert metric(*pair, data_range=4095) == pytest.approx(metric(*scaled, data_range=1))


@pytest.mark.parametrize("metric", [mse, nrmse, psnr, ssim])
def test_errors(metric):
    image = np.zeros((16, 16, 1))
    with pytest.raises(ValueError, match="one shape"):
        metric(image, image[..., 0], data_range=1)
    with pytest.raises(ValueError, match="data_range=0"):
        metric(image, image, data_range=0)
    with pytest.raises(TypeError, match="data_range"):
        metric(image, image)


def test_ssim_of_a_tiny_image():
    with pytest.raises(ValueError, match="11x11"):
        ssim(np.zeros((10, 16)), np.zeros((10, 16)), data_range=1)
