"""Results that agree with what was measured: degraded again, they are the input.

With x the input, y the network's result and A the degradation that it undoes, the nearest image to y whose degradation
is x is

    y + A+ (x - A y),        A+ = A' (A A')^-1

(Wang, Yu, Zhang, "Zero-Shot Image Restoration Using Denoising Diffusion Null-Space Model", ICLR 2023, equation 7:
A+ A y + (I - A+ A) y, range and null space; Bahat, Michaeli, "Explorable Super Resolution", CVPR 2020, equation 3). The
degradations here are separable and linear: A y = M y N' with a matrix M for columns and N for rows, so that

    A+ e = M+ e N+',        M+ = M' (M M')^-1

For binning, M M' = I / scale: A+ repeats the error of a block for its pixels, whose mean is then exact. Elsewhere M M'
is a band matrix, whose inverse falls off exponentially: what lies farther off than the measured reach counts for less
than `TAIL` of the error, so a tile with that much context does not show its border.
"""

from functools import lru_cache

import numpy as np
import scipy.sparse

from msrgan.degradation import ACQUIRED, DEGRADATIONS, make

TAIL = 1e-6
# LR pixels to each side; beyond, the inverse of a strong blur amplifies rounding too.
_FARTHEST = 64


class Consistency:
    """Corrects the results of a model so that, degraded again, they are its input.

    Attributes:
        reach: how many LR pixels around its own a corrected pixel depends on, at most.
    """

    def __init__(self, degradation: str, scale: int):
        """Take a degradation.

        Args:
            degradation: text for `degradation.make`.
            scale: enlargement.

        Raises:
            ValueError: the degradation is random or not known, or its blur cannot be undone.
        """
        known = None if degradation == ACQUIRED else make(degradation)
        if known is None or known.matrix_function is None:
            linear = ", ".join(name for name, one in DEGRADATIONS.items() if one.matrix_function)
            raise ValueError(
                f"`consistent` needs a model of a degradation that is linear and not random: {linear}. "
                f"Received: one of {degradation}. Leave it out"
            )
        self._degradation, self._scale = known.text, scale
        self.reach = _reach(known.text, scale)

    def degraded(self, y: np.ndarray) -> np.ndarray:
        """Return A y, float32 (h, w, C), of y (scale h, scale w, C)."""
        rows, columns = (_matrices(self._degradation, n // self._scale, self._scale)[0] for n in y.shape[:2])
        return _product(rows, y, columns)

    def __call__(self, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Return y + A+ (x - A y), float32 (scale h, scale w, C), of y and x (h, w, C)."""
        rows, columns = (_matrices(self._degradation, n, self._scale)[1] for n in x.shape[:2])
        return y + _product(rows, x - self.degraded(y), columns)


def _product(rows: scipy.sparse.csr_array, image: np.ndarray, columns: scipy.sparse.csr_array) -> np.ndarray:
    """Return rows @ image @ columns', float32, for each channel of an image (H, W, C)."""
    for axis, matrix in enumerate((rows, columns)):
        signals = np.moveaxis(image, axis, 0)
        product = matrix @ signals.reshape(len(signals), -1).astype(np.float32, copy=False)
        image = np.moveaxis(product.reshape(-1, *signals.shape[1:]), 0, axis)
    return image


@lru_cache(maxsize=16)
def _matrices(degradation: str, n: int, scale: int) -> tuple[scipy.sparse.csr_array, scipy.sparse.csr_array]:
    """Return M (n, scale n) and M+ (scale n, n), float32, for n LR pixels; what counts for nothing is dropped."""
    matrix = make(degradation).matrix(n * scale, scale)
    inverse = np.linalg.solve(matrix @ matrix.T, matrix).T
    return _sparse(matrix), _sparse(inverse)


def _sparse(matrix):
    size = np.abs(matrix)
    return scipy.sparse.csr_array(np.where(size > TAIL / 100 * size.max(), matrix, 0), dtype=np.float32)


@lru_cache(maxsize=16)
def _reach(degradation: str, scale: int) -> int:
    """Measure how many LR pixels around its own a corrected pixel depends on: the reach of A+ and that of A."""
    middle = 2 * _FARTHEST
    matrix, inverse = (part.toarray() for part in _matrices(degradation, 2 * middle + 1, scale))
    block = slice(middle * scale, (middle + 1) * scale)
    from_errors = np.abs(inverse[block]).max(axis=0)
    from_pixels = np.abs(matrix[middle]).reshape(-1, scale).max(axis=1)
    reach = sum(_half_width(weights, middle) for weights in (from_errors, from_pixels))
    if reach > _FARTHEST or not np.isfinite(inverse).all():
        raise ValueError(
            f"`consistent` undoes a blur of a few pixels only. Received: a model of {degradation}. Leave it out"
        )
    return reach


def _half_width(weights: np.ndarray, middle: int) -> int:
    """Return how far from the middle the weights beyond sum up to `TAIL` of the largest."""
    distances = np.abs(np.arange(len(weights)) - middle)
    tails = [weights[distances > d].sum() for d in range(middle + 1)]
    return int(np.argmax(np.array(tails) <= TAIL * weights.max()))
