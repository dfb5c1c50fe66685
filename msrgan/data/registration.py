"""How far the two images of an acquired pair are displaced against each other."""

import numpy as np
from scipy.ndimage import gaussian_filter
from skimage.registration import phase_cross_correlation

TOLERANCE = 0.5  # LR pixels


def is_displaced(shift: tuple[float, float]) -> bool:
    """Tell whether a displacement is more than half an LR pixel in either direction."""
    return max(map(abs, shift)) > TOLERANCE


def displaced(name: str, shift: tuple[float, float]) -> str:
    """Say that a pair is displaced by (down, right) LR pixels."""
    down, right = shift
    return (
        f"{name}: the LR image is displaced by ({down:+.2f}, {right:+.2f}) LR pixels (down, right) against the HR "
        "image. Register the pair."
    )


def displacement(hr: np.ndarray, lr: np.ndarray) -> tuple[float, float] | None:
    """Measure how far an LR image is displaced against its HR image, by phase correlation.

    The HR image is binned to the size of the other, and both are averaged over their channels, filtered to structures
    of 1 to 4 LR pixels (difference of Gaussians) and faded out towards their borders (Hann window). They are
    correlated in Fourier space: Guizar-Sicairos et al., Optics Letters 33(2), 2008, as scikit-image has it. The
    filter stands for the whitening of plain phase correlation, which weighs the noise of the finest structures like
    the image, and so finds displacements where there are none.

    Args:
        hr: (H, W, C).
        lr: (h, w, C), of any exposure.

    Returns:
        (down, right) in LR pixels, to 1/20 of one; None if H and W are not the same multiple of h and w.
    """
    height, width = lr.shape[:2]
    scale = max(1, hr.shape[0] // height)
    if hr.shape[:2] != (height * scale, width * scale):
        return None
    if min(height, width) < 3 or not (np.ptp(hr) and np.ptp(lr)):
        return 0.0, 0.0  # nothing to be seen, also through a window of two pixels
    binned = hr.mean(axis=-1).reshape(height, scale, width, scale).mean(axis=(1, 3))
    window = np.hanning(height)[:, None] * np.hanning(width)
    planes = [_structures(plane) * window for plane in (binned, lr.mean(axis=-1))]
    # That is the shift which registers the LR image, the opposite.
    down, right = 0 - phase_cross_correlation(*planes, upsample_factor=20, normalization=None)[0]
    return float(down), float(right)


def _structures(plane):
    return gaussian_filter(plane, 1) - gaussian_filter(plane, 4)
