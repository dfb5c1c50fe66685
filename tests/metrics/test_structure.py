"""SSIM and MS-SSIM against scikit-image and their formulas."""

import numpy as np
import pytest
from scipy.ndimage import correlate1d
from skimage.metrics import structural_similarity

from msrgan.metrics import ms_ssim, ssim

# Of the five scales: Wang et al., Asilomar 2003, section 3.2.
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def test_ssim_is_that_of_the_paper(noisy_pair):
    noisy_pair = [noisy_pair[0] / 40, noisy_pair[1][::-1] / 40]  # unlike images of low contrast: every constant weighs
    planes = [
        structural_similarity(
            *(image[..., c].astype(float) for image in noisy_pair),
            data_range=4095,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        for c in range(3)
    ]
    assert ssim(*noisy_pair, data_range=4095) == pytest.approx(np.mean(planes))
    assert ssim(noisy_pair[0][..., 0], noisy_pair[1][..., 0], data_range=4095) == pytest.approx(planes[0])


def test_ssim_of_two_constant_images():
    # Without structure only the luminance term is left: (2 a b + c1) / (a^2 + b^2 + c1), c1 = (0.01 L)^2.
    a, b = np.full((16, 16), 100.0), np.full((16, 16), 120.0)
    c1 = 2.55**2
    assert ssim(a, b, data_range=255) == pytest.approx((2 * 100 * 120 + c1) / (100**2 + 120**2 + c1))


def test_ssim_of_identical_images(noisy_pair):
    assert ssim(noisy_pair[0], noisy_pair[0], data_range=1) == pytest.approx(1)


def test_units_play_no_part_in_ssim(noisy_pair):
    assert ssim(*noisy_pair, data_range=4095) == pytest.approx(
        ssim(*(image / 4095 for image in noisy_pair), data_range=1)
    )


def test_bad_masks_of_ssim():
    image = np.zeros((16, 16, 1))
    for mask in (np.zeros((16, 16)), np.ones((15, 16))):
        with pytest.raises(ValueError, match="A mask has the height and width"):
            ssim(image, image, data_range=1, mask=mask)


def test_ssim_of_a_tiny_image():
    with pytest.raises(ValueError, match="11x11"):
        ssim(np.zeros((10, 16)), np.zeros((10, 16)), data_range=1)


def test_ssim_inside_a_mask_is_the_mean_of_its_map(noisy_pair):
    _, everywhere = structural_similarity(
        *(image.astype(float) for image in noisy_pair),
        data_range=4095,
        channel_axis=-1,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    mask = np.zeros(noisy_pair[0].shape[:2], bool)
    mask[:9, 20:31] = True
    assert ssim(*noisy_pair, data_range=4095, mask=mask) == pytest.approx(everywhere[:9, 20:31].mean())
    inside = np.zeros_like(mask)
    inside[5:-5, 5:-5] = True
    assert ssim(*noisy_pair, data_range=4095, mask=inside) == pytest.approx(ssim(*noisy_pair, data_range=4095))


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
