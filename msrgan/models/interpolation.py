"""Null models: plain interpolation, to compare trained models with.

Each is separable: with one matrix for the rows and one for the columns, SR = rows @ LR @ columns'. Row y of a matrix
holds the weights with which the LR samples enter pixel y,

    w[y, i] = k(|x(y) - i|) / sum over the n samples of k(|x(y) - .|)        x(y): where pixel y lies, in LR pixels

so that at the border what the kernel k would give to samples beyond it is dropped and the rest renormalised, as
`tf.image.resize` and the image skip of the generators (`networks.phases.Bicubic`) do. The products are SciPy's: exact
float32 on every machine, where a GPU may multiply in TF32.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import scipy.sparse

from msrgan.models import card
from msrgan.models.upscaler import Upscaler
from msrgan.networks.sampling import keys_kernel, phase_positions


class Kernel(NamedTuple):
    """An interpolation kernel: its weights as a function of the distance, and how far it reaches, in LR pixels."""

    weights: Callable[[np.ndarray], np.ndarray]
    radius: int


def _lanczos(t):
    return np.where(t < 3, np.sinc(t) * np.sinc(t / 3), 0)


KERNELS: dict[str, Kernel | None] = {
    "nearest": None,  # not a function of the distance alone: of two samples equally near it takes the later
    "bicubic": Kernel(keys_kernel, 2),
    "lanczos": Kernel(_lanczos, 3),
}


def interpolation(name: str, scale: int, grid: str = "centre") -> Upscaler:
    """Make a null model.

    Args:
        name: "nearest", "bicubic" (Keys, a = -0.5) or "lanczos" (3 lobes).
        scale: enlargement.
        grid: where the samples of the LR pixels lie, "centre" or "corner"; drawn in `msrgan.degradation`.

    Raises:
        ValueError: `name`, `scale` or `grid` has none of these values.
    """
    if name not in KERNELS:
        raise ValueError(f"`name` is one of {', '.join(KERNELS)}. Received: {name}")
    if scale < 1:
        raise ValueError(f"`scale` is 1 or more. Received: {scale}")
    phase_positions(scale, grid)  # tells a wrong grid at once

    def function(batch):
        enlarged = batch
        for axis in (1, 2):
            signals = np.moveaxis(enlarged, axis, 0)
            columns = signals.reshape(len(signals), -1)
            product = matrix(name, len(signals), scale, grid) @ columns
            enlarged = np.moveaxis(product.reshape(-1, *signals.shape[1:]), 0, axis)
        return enlarged

    kernel = KERNELS[name]
    sizes = {"scale": scale, "channels": None, "receptive_radius": kernel.radius if kernel else 1}
    return Upscaler(function, sizes | card.defaults() | {"interpolation": name})


@lru_cache(maxsize=32)
def matrix(name: str, n: int, scale: int, grid: str) -> scipy.sparse.csr_array:
    """Make the float32 (scale n, n) matrix that interpolates n samples."""
    position = (np.arange(n)[:, None] + phase_positions(scale, grid)).reshape(-1, 1)
    kernel = KERNELS[name]
    if kernel is None:
        near = np.clip(np.floor(position + 0.5), 0, n - 1).astype(int)
        weights = np.ones_like(position)
    else:
        near = np.floor(position).astype(int) + np.arange(1 - kernel.radius, kernel.radius + 1)
        weights = np.where((near >= 0) & (near < n), kernel.weights(np.abs(position - near)), 0)
        weights /= weights.sum(axis=1, keepdims=True)
    rows = np.broadcast_to(np.arange(scale * n)[:, None], near.shape)
    entries = weights.ravel(), (rows.ravel(), np.clip(near, 0, n - 1).ravel())
    return scipy.sparse.csr_array(entries, shape=(scale * n, n), dtype=np.float32)
