"""Where enlarged pixels lie between the samples of an image, and what the samples around them weigh."""

import numpy as np

GRIDS = ("centre", "corner")  # drawn in msrgan.degradation


def phase_positions(scale: int, grid: str) -> np.ndarray:
    """Return where the s pixels of a row lie that an LR pixel becomes, in LR pixels right of its sample, (s,).

    Raises:
        ValueError: ``grid`` is neither "centre" nor "corner".
    """
    if grid not in GRIDS:
        raise ValueError(f"grid must be one of {GRIDS}. Received: {grid!r}.")
    pixels = np.arange(scale)
    return pixels / scale if grid == "corner" else (pixels + 0.5) / scale - 0.5


def keys_kernel(t: np.ndarray) -> np.ndarray:
    """Return the weights of samples at the distances t >= 0: Keys (IEEE TASSP 29(6), 1981, eq. 15), a = -1/2."""
    near = 1.5 * t**3 - 2.5 * t**2 + 1
    far = -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
    return np.where(t <= 1, near, np.where(t < 2, far, 0))


def bicubic_taps(scale: int, grid: str) -> np.ndarray:
    """Return the weights (5, 5, scale**2) with which the neighbours of an LR pixel enter the pixels it becomes."""
    taps = keys_kernel(np.abs(np.arange(-2, 3)[:, None] - phase_positions(scale, grid)))
    return np.einsum("ip,jq->ijpq", taps, taps).reshape(5, 5, scale**2)
