"""Pixel-wise full-reference metrics, with the conventions of the SR literature.

`reference` and `test` are arrays (H, W, C) or (H, W) of one shape and any dtype; the mathematics is float64.
`data_range` is the span of values that counts as 1: 255 for 8-bit data, the span of the normalisation for
microscopy. It is never guessed from the dtype, because 12-bit data lives in 16-bit files. Where a `mask`
(H, W) is given, only the pixels count in which it is not zero.
"""

import math

import numpy as np
from numpy.typing import ArrayLike


def mse(reference: ArrayLike, test: ArrayLike, *, data_range: float, mask: ArrayLike | None = None) -> float:
    """Return the mean squared error in units of the data range: mean(((reference - test) / data_range)^2).

    Raises:
        ValueError: the shapes differ, `data_range` is not positive, or the mask is empty.
    """
    reference, test = pair(reference, test, data_range)
    return mean_inside(((reference - test) / data_range) ** 2, mask)


def nrmse(reference: ArrayLike, test: ArrayLike, *, data_range: float, mask: ArrayLike | None = None) -> float:
    """Return the root mean squared error in units of the data range; raises as `mse` does.

    This is scikit-image's `normalized_root_mse` with normalization="min-max" where `data_range` is the span
    of the reference.
    """
    return math.sqrt(mse(reference, test, data_range=data_range, mask=mask))


def psnr(reference: ArrayLike, test: ArrayLike, *, data_range: float, mask: ArrayLike | None = None) -> float:
    """Return the peak signal-to-noise ratio in dB, 10 log10(1 / mse), over all pixels and channels together.

    Infinite for identical images. Raises as `mse` does.
    """
    error = mse(reference, test, data_range=data_range, mask=mask)
    return math.inf if error == 0 else -10 * math.log10(error)


def match_intensity(reference: ArrayLike, test: ArrayLike) -> np.ndarray:
    """Bring `test` to the exposure of `reference`: in each channel the gain and the offset of least squared error.

    So images that a microscope took at two exposures are compared by their structure: Weigert et al., Nature
    Methods 15, 2018 (CARE).

    Args:
        reference: (H, W, C).
        test: (H, W, C).

    Returns:
        gain * test + offset, float64 (H, W, C).

    Raises:
        ValueError: the shapes differ.
    """
    reference, test = pair(reference, test, 1)
    x, y = (image - image.mean(axis=(0, 1)) for image in (test, reference))
    power = (x**2).sum(axis=(0, 1))
    gain = (x * y).sum(axis=(0, 1)) / np.where(power > 0, power, 1)
    return gain * x + reference.mean(axis=(0, 1))


def varying_channels(reference: np.ndarray) -> np.ndarray:
    """Tell which channels of an image (H, W, C) vary; all of them if none does.

    A channel that is constant (empty, say) is restored by any method, exactly: it says nothing of them, and would lift
    every score.

    Returns:
        bool (C,).
    """
    vary = np.ptp(reference, axis=(0, 1)) > 0
    return vary if vary.any() else ~vary


def pair(reference: ArrayLike, test: ArrayLike, data_range: float) -> tuple[np.ndarray, np.ndarray]:
    """Return two images as float64; ValueError if they cannot be compared."""
    reference, test = np.asarray(reference, np.float64), np.asarray(test, np.float64)
    if reference.shape != test.shape:
        raise ValueError(f"Two images of one shape are compared. Received: {reference.shape} and {test.shape}")
    if not data_range > 0:
        raise ValueError(f"`data_range` must be positive. Received: data_range={data_range}")
    return reference, test


def mean_inside(values: np.ndarray, mask: ArrayLike | None) -> float:
    """Average an array (H, W, C) or (H, W) over the pixels of a mask (H, W), or over all without one."""
    if mask is None:
        return float(values.mean())
    mask = np.asarray(mask) != 0
    if mask.shape != values.shape[:2] or not mask.any():
        raise ValueError(
            f"A mask has the height and width of the image, and pixels that are not zero. Received: a mask of "
            f"{mask.shape} with {np.count_nonzero(mask)}, an image of {values.shape}"
        )
    return float(values[mask].mean())
