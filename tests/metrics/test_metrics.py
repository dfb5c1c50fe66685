import math

import numpy as np
import pytest
from scipy.ndimage import correlate1d
from skimage.metrics import normalized_root_mse, peak_signal_noise_ratio, structural_similarity

from msrgan.metrics import match_intensity, ms_ssim, mse, nrmse, psnr, ssim, varying_channels

# Of the five scales: Wang et al., Asilomar 2003, section 3.2.
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


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


def test_channels_that_vary():
    image = np.full((4, 5, 3), 0.1)
    assert varying_channels(image).tolist() == [True, True, True]  # none does: all count
    image[3, 3, 1] = 0.2
    assert varying_channels(image).tolist() == [False, True, False]


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


@pytest.mark.parametrize("metric", [mse, nrmse, psnr, ssim, ms_ssim])
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


# Inside a mask


def test_errors_inside_a_mask_by_hand():
    reference = np.zeros((2, 2, 2))
    test = np.array([[[1, 3], [9, 9]], [[0, 0], [9, 9]]])
    mask = np.array([[7, 0], [1, 0]], np.uint8)
    assert mse(reference, test, data_range=1, mask=mask) == pytest.approx((1 + 9 + 0 + 0) / 4)
    assert nrmse(reference, test, data_range=2, mask=mask) == pytest.approx(math.sqrt(2.5) / 2)
    assert psnr(reference, test, data_range=10, mask=mask) == pytest.approx(10 * math.log10(100 / 2.5))


def test_ssim_inside_a_mask_is_the_mean_of_its_map(pair):
    _, everywhere = structural_similarity(
        *(image.astype(float) for image in pair),
        data_range=4095,
        channel_axis=-1,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    mask = np.zeros(pair[0].shape[:2], bool)
    mask[:9, 20:31] = True
    assert ssim(*pair, data_range=4095, mask=mask) == pytest.approx(everywhere[:9, 20:31].mean())
    inside = np.zeros_like(mask)
    inside[5:-5, 5:-5] = True
    assert ssim(*pair, data_range=4095, mask=inside) == pytest.approx(ssim(*pair, data_range=4095))


@pytest.mark.parametrize("metric", [mse, nrmse, psnr, ssim])
def test_bad_masks(metric):
    image = np.zeros((16, 16, 1))
    for mask in (np.zeros((16, 16)), np.ones((15, 16))):
        with pytest.raises(ValueError, match="A mask has the height and width"):
            metric(image, image, data_range=1, mask=mask)


# Exposures


def test_intensities_are_matched_by_least_squares(pair):
    reference, test = pair
    matched = match_intensity(reference, test * [2.0, 0.5, 1.0] + 300)
    for c in range(3):
        gain, offset = np.polyfit(test[..., c].ravel(), reference[..., c].ravel(), 1)
        np.testing.assert_allclose(matched[..., c], gain * test[..., c] + offset, rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(match_intensity(reference, reference * 3.0 - 7), reference, atol=1e-8)


def test_a_constant_image_is_matched_by_the_mean(pair):
    matched = match_intensity(pair[0], np.full(pair[0].shape, 5))
    np.testing.assert_allclose(matched, np.broadcast_to(pair[0].mean(axis=(0, 1)), pair[0].shape))


# Five scales


def similarities(x, y, data_range=255):
    """SSIM and its contrast-structure part by explicit sums over the window, valid pixels only."""
    kernel = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    kernel /= kernel.sum()

    def mean(image):
        return correlate1d(correlate1d(image, kernel, 0), kernel, 1)[5:-5, 5:-5]

    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    a, b = mean(x), mean(y)
    contrast = (2 * (mean(x * y) - a * b) + c2) / (mean(x * x) - a * a + mean(y * y) - b * b + c2)
    return ((2 * a * b + c1) / (a * a + b * b + c1) * contrast).mean(), contrast.mean()


@pytest.fixture
def large_pair():
    rng = np.random.default_rng(2)
    x = correlate1d(correlate1d(rng.uniform(0, 255, (180, 201)), np.ones(5) / 5, 0), np.ones(5) / 5, 1)
    return x, 0.9 * x + rng.normal(scale=8, size=x.shape)


def test_ms_ssim_of_one_channel(large_pair):
    x, y = large_pair
    expected = 1.0
    for scale, weight in enumerate(WEIGHTS):
        side = 2**scale
        height, width = (n // side for n in x.shape)
        small = [
            image[: height * side, : width * side].reshape(height, side, width, side).mean((1, 3)) for image in (x, y)
        ]
        whole, contrast = similarities(*small)
        expected *= (whole if scale == 4 else contrast) ** weight
    assert ms_ssim(x, y, data_range=255) == pytest.approx(expected, rel=1e-9)
    assert 0.5 < expected < 0.99
    # The first scale is that of the metric that scikit-image has.
    assert similarities(x, y)[0] == pytest.approx(ssim(x, y, data_range=255), rel=1e-6)


def test_ms_ssim_is_the_mean_of_the_channels(large_pair):
    x, y = large_pair
    values = [ms_ssim(x, y, data_range=255), ms_ssim(x, y[::-1], data_range=255)]
    both = ms_ssim(np.dstack([x, x]), np.dstack([y, y[::-1]]), data_range=255)
    assert both == pytest.approx(np.mean(values))


def test_ms_ssim_of_constant_images():
    # Only the luminance of the last scale is left.
    a, b, c1 = 100.0, 120.0, 2.55**2
    expected = ((2 * a * b + c1) / (a**2 + b**2 + c1)) ** 0.1333
    assert ms_ssim(np.full((176, 176), a), np.full((176, 176), b), data_range=255) == pytest.approx(expected)


def test_ms_ssim_limits(large_pair):
    x, _ = large_pair
    assert ms_ssim(x, x, data_range=255) == pytest.approx(1)
    assert ms_ssim(x, 255 - x, data_range=255) == 0  # opposed structures
    with pytest.raises(ValueError, match="176x176 pixels or more. Received: shape"):
        ms_ssim(x[:175], x[:175], data_range=255)
