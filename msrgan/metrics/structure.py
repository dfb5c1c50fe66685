"""Structural similarity at one scale and at five; arguments as in `fidelity`."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import gaussian_filter
from skimage.metrics import structural_similarity

from msrgan.metrics.fidelity import mean_inside, pair

SSIM_WINDOW = 11
SSIM_SIGMA = 1.5
MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def ssim(reference: ArrayLike, test: ArrayLike, *, data_range: float, mask: ArrayLike | None = None) -> float:
    """Return the structural similarity (Wang et al., IEEE TIP 13(4), 2004), the mean over pixels and channels.

    With the constants of the paper: an 11x11 Gaussian window of sigma 1.5, K1 = 0.01, K2 = 0.03, covariances
    without Bessel's correction. Averaged over the pixels whose window lies in the image; or over the pixels of the
    mask, wherever they are, the image being continued by reflection.

    Raises:
        ValueError: as `fidelity.mse`, or the images are smaller than the window.
    """
    reference, test = pair(reference, test, data_range)
    if min(reference.shape[:2]) < SSIM_WINDOW:
        raise ValueError(f"SSIM needs images of 11x11 pixels or more. Received: shape {reference.shape}")
    mean, everywhere = structural_similarity(
        reference,
        test,
        data_range=data_range,
        channel_axis=-1 if reference.ndim == 3 else None,
        gaussian_weights=True,
        sigma=SSIM_SIGMA,
        use_sample_covariance=False,
        full=True,
    )
    return float(mean) if mask is None else mean_inside(everywhere, mask)


def ms_ssim(reference: ArrayLike, test: ArrayLike, *, data_range: float) -> float:
    """Return the multi-scale structural similarity (Wang et al., Asilomar Conference on Signals, 2003), eq. 7.

    Contrast and structure are compared at five scales, each the mean of 2x2 pixels of the one before, and
    luminance at the last; the constants are as in `ssim`, the exponents the paper's (0.0448, 0.2856,
    0.3001, 0.2363, 0.1333). Where the structures of a scale are opposed, their similarity counts as 0.
    The mean over channels.

    Raises:
        ValueError: as `fidelity.mse`, or the images are smaller than 176x176: the window at the last scale.
    """
    x, y = (np.atleast_3d(image) for image in pair(reference, test, data_range))
    least = SSIM_WINDOW * 2 ** (len(MS_SSIM_WEIGHTS) - 1)
    if min(x.shape[:2]) < least:
        raise ValueError(f"MS-SSIM needs images of {least}x{least} pixels or more. Received: shape {x.shape}")
    similarity = 1.0
    for weight in MS_SSIM_WEIGHTS[:-1]:
        _, contrast = _similarities(x, y, data_range)
        similarity *= np.maximum(contrast, 0) ** weight
        x, y = _halved(x), _halved(y)
    whole, _ = _similarities(x, y, data_range)
    return float(np.mean(similarity * np.maximum(whole, 0) ** MS_SSIM_WEIGHTS[-1]))


def _similarities(x, y, data_range):
    """Return the mean SSIM, and the mean of its contrast and structure alone, of each channel."""
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    radius = SSIM_WINDOW // 2

    def smooth(image):
        return gaussian_filter(image, (SSIM_SIGMA, SSIM_SIGMA, 0), truncate=radius / SSIM_SIGMA)[
            radius:-radius, radius:-radius
        ]

    mean_x, mean_y = smooth(x), smooth(y)
    variances = smooth(x**2) - mean_x**2 + smooth(y**2) - mean_y**2
    covariance = smooth(x * y) - mean_x * mean_y
    contrast = (2 * covariance + c2) / (variances + c2)
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    return (luminance * contrast).mean(axis=(0, 1)), contrast.mean(axis=(0, 1))


def _halved(image):
    height, width = (size // 2 * 2 for size in image.shape[:2])
    quarters = (image[i:height:2, j:width:2] for i in (0, 1) for j in (0, 1))
    return sum(quarters) / 4
