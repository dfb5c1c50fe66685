"""Full-reference fidelity metrics: thin wrappers over scikit-image with the conventions of the SR literature.

`reference` and `test` are arrays (H, W, C) or (H, W) of one shape and any dtype; the mathematics is float64.
`data_range` is the span of values that counts as 1: 255 for 8-bit data, the span of the normalisation for
microscopy. It is never guessed from the dtype, because 12-bit data lives in 16-bit files.
"""

import math

import numpy as np
from skimage.metrics import mean_squared_error, structural_similarity

SSIM_WINDOW = 11


def mse(reference, test, *, data_range: float) -> float:
    """Mean squared error in units of the data range: mean(((reference - test) / data_range)^2).

    Raises:
        ValueError: the shapes differ, or `data_range` is not positive.
    """
    reference, test = _pair(reference, test, data_range)
    return float(mean_squared_error(reference, test)) / data_range**2


def nrmse(reference, test, *, data_range: float) -> float:
    """Root mean squared error in units of the data range; raises as `mse` does.

    This is scikit-image's `normalized_root_mse` with normalization="min-max" where `data_range` is the span
    of the reference.
    """
    return math.sqrt(mse(reference, test, data_range=data_range))


def psnr(reference, test, *, data_range: float) -> float:
    """Peak signal-to-noise ratio in dB, 10 log10(1 / mse), over all pixels and channels together.

    Infinite for identical images. Raises as `mse` does.
    """
    error = mse(reference, test, data_range=data_range)
    return math.inf if error == 0 else -10 * math.log10(error)


def ssim(reference, test, *, data_range: float) -> float:
    """Structural similarity (Wang et al., IEEE TIP 13(4), 2004), the mean over pixels and channels.

    With the constants of the paper: an 11x11 Gaussian window of sigma 1.5, K1 = 0.01, K2 = 0.03, covariances
    without Bessel's correction.

    Raises:
        ValueError: as `mse`, or the images are smaller than the window.
    """
    reference, test = _pair(reference, test, data_range)
    if min(reference.shape[:2]) < SSIM_WINDOW:
        raise ValueError(f"SSIM needs images of 11x11 pixels or more. Received: shape {reference.shape}")
    return float(
        structural_similarity(
            reference,
            test,
            data_range=data_range,
            channel_axis=-1 if reference.ndim == 3 else None,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
    )


def _pair(reference, test, data_range):
    reference, test = np.asarray(reference, np.float64), np.asarray(test, np.float64)
    if reference.shape != test.shape:
        raise ValueError(f"Two images of one shape are compared. Received: {reference.shape} and {test.shape}")
    if not data_range > 0:
        raise ValueError(f"data_range must be positive. Received: data_range={data_range}")
    return reference, test
