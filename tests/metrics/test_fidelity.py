"""Errors between images: by hand, against scikit-image, inside masks, after matching of intensities."""

import math

import numpy as np
import pytest
from skimage.metrics import normalized_root_mse, peak_signal_noise_ratio

from msrgan.metrics import match_intensity, ms_ssim, mse, nrmse, psnr, ssim, varying_channels


def test_hand_computed_values():
    reference = np.zeros((2, 2, 1), np.uint8)
    test = np.array([[[0], [0]], [[0], [10]]], np.uint8)
    assert mse(reference, test, data_range=100) == pytest.approx(0.0025)
    assert nrmse(reference, test, data_range=100) == pytest.approx(0.05)
    assert psnr(reference, test, data_range=100) == pytest.approx(26.0206, abs=1e-4)


def test_channels_that_vary():
    image = np.full((4, 5, 3), 0.1)
    assert varying_channels(image).tolist() == [True, True, True]  # none does: all count
    image[3, 3, 1] = 0.2
    assert varying_channels(image).tolist() == [False, True, False]


def test_unsigned_differences_do_not_wrap():
    low, high = np.zeros((2, 2), np.uint8), np.full((2, 2), 255, np.uint8)
    assert mse(low, high, data_range=255) == mse(high, low, data_range=255) == 1


def test_scikit_image_agrees(noisy_pair):
    assert psnr(*noisy_pair, data_range=4095) == pytest.approx(peak_signal_noise_ratio(*noisy_pair, data_range=4095))
    span = float(np.ptp(noisy_pair[0]))
    assert nrmse(*noisy_pair, data_range=span) == pytest.approx(
        normalized_root_mse(*noisy_pair, normalization="min-max")
    )


def test_identical_images(noisy_pair):
    assert psnr(noisy_pair[0], noisy_pair[0], data_range=1) == math.inf
    assert mse(noisy_pair[0], noisy_pair[0], data_range=1) == nrmse(noisy_pair[0], noisy_pair[0], data_range=1) == 0


@pytest.mark.parametrize("metric", [mse, nrmse, psnr])
def test_units_play_no_part(metric, noisy_pair):
    scaled = [image / 4095 for image in noisy_pair]
    assert metric(*noisy_pair, data_range=4095) == pytest.approx(metric(*scaled, data_range=1))


@pytest.mark.parametrize("metric", [mse, nrmse, psnr, ssim, ms_ssim])
def test_shapes_and_ranges(metric):
    image = np.zeros((16, 16, 1))
    with pytest.raises(ValueError, match="one shape"):
        metric(image, image[..., 0], data_range=1)
    with pytest.raises(ValueError, match="data_range=0"):
        metric(image, image, data_range=0)
    with pytest.raises(TypeError, match="data_range"):
        metric(image, image)


def test_errors_inside_a_mask_by_hand():
    reference = np.zeros((2, 2, 2))
    test = np.array([[[1, 3], [9, 9]], [[0, 0], [9, 9]]])
    mask = np.array([[7, 0], [1, 0]], np.uint8)
    assert mse(reference, test, data_range=1, mask=mask) == pytest.approx((1 + 9 + 0 + 0) / 4)
    assert nrmse(reference, test, data_range=2, mask=mask) == pytest.approx(math.sqrt(2.5) / 2)
    assert psnr(reference, test, data_range=10, mask=mask) == pytest.approx(10 * math.log10(100 / 2.5))


@pytest.mark.parametrize("metric", [mse, nrmse, psnr])
def test_bad_masks(metric):
    image = np.zeros((16, 16, 1))
    for mask in (np.zeros((16, 16)), np.ones((15, 16))):
        with pytest.raises(ValueError, match="A mask has the height and width"):
            metric(image, image, data_range=1, mask=mask)


def test_intensities_are_matched_by_least_squares(noisy_pair):
    reference, test = noisy_pair
    matched = match_intensity(reference, test * [2.0, 0.5, 1.0] + 300)
    for c in range(3):
        gain, offset = np.polyfit(test[..., c].ravel(), reference[..., c].ravel(), 1)
        np.testing.assert_allclose(matched[..., c], gain * test[..., c] + offset, rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(match_intensity(reference, reference * 3.0 - 7), reference, atol=1e-8)


def test_a_constant_image_is_matched_by_the_mean(noisy_pair):
    matched = match_intensity(noisy_pair[0], np.full(noisy_pair[0].shape, 5))
    np.testing.assert_allclose(matched, np.broadcast_to(noisy_pair[0].mean(axis=(0, 1)), noisy_pair[0].shape))
