"""Intensities: which values of an image a network sees as 0 and as 1.

    percentile    the 0.1 and the 99.9 percentile of each channel of the whole image, never of a patch or a tile
    range         0 and the largest value of the dtype; 1 for floats

Nothing is clipped: what lies beyond becomes less than 0 or more than 1.
"""

from typing import Any, NamedTuple

import numpy as np

PERCENTILES = (0.1, 99.9)


class Limits(NamedTuple):
    """The values of each channel that become 0 and 1, float32 (C,) each; the second is always above the first."""

    low: np.ndarray
    high: np.ndarray

    def normalize(self, image: np.ndarray) -> np.ndarray:
        """Map an image (H, W, C) to float32, [low, high] to [0, 1]."""
        return normalize(image.astype(np.float32), *self)

    def denormalize(self, x: np.ndarray, dtype: np.dtype | str) -> np.ndarray:
        """Undo `normalize`: integers are rounded and clipped to the range of the dtype."""
        x, dtype = x * (self.high - self.low) + self.low, np.dtype(dtype)
        if dtype.kind in "iu":
            x = np.clip(np.rint(x), np.iinfo(dtype).min, np.iinfo(dtype).max)
        return x.astype(dtype)


class Normalization(NamedTuple):
    """How the limits of an image are chosen; one rule for training, inference and evaluation.

    Attributes:
        kind: "percentile" or "range".
        percentiles: those of "percentile".
    """

    kind: str = "percentile"
    percentiles: tuple[float, float] = PERCENTILES

    def limits(self, image: np.ndarray) -> Limits:
        """Return the limits of a whole image (H, W, C)."""
        return dtype_range(image) if self.kind == "range" else percentiles(image, self.percentiles)


PERCENTILE, RANGE = Normalization("percentile"), Normalization("range")


def normalize(x: Any, low: Any, high: Any) -> Any:
    """Map [low, high] to [0, 1]; arrays or tensors of float32."""
    return (x - low) / (high - low)


def percentiles(image: np.ndarray, q: tuple[float, float] = PERCENTILES) -> Limits:
    """Return two percentiles, 0.1 and 99.9, of each channel of a whole image (H, W, C).

    The second is always above the first: where the percentiles coincide (sparse spots on an even background)
    the minimum and maximum take their place, and a constant channel gets the range of one grey level.
    """
    flat = image.reshape(-1, image.shape[-1])
    quantiles = _integer_percentiles if image.dtype.kind == "u" else np.percentile
    low, high = quantiles(flat, q, axis=0).astype(np.float32)
    flat_channels = high <= low
    low = np.where(flat_channels, flat.min(axis=0), low).astype(np.float32)
    high = np.where(flat_channels, flat.max(axis=0), high).astype(np.float32)
    high = np.where(high > low, high, low + np.maximum(1, 1e-6 * np.abs(low))).astype(np.float32)
    return Limits(low, high)


def _integer_percentiles(flat, q, axis):
    """Do what np.percentile does along axis 0, from histograms: many times faster."""
    ranks = np.asarray(q) / 100 * (len(flat) - 1)
    below, above = np.floor(ranks), np.ceil(ranks)
    columns = []
    for channel in flat.T:
        cumulative = np.bincount(channel).cumsum()
        low, high = (np.searchsorted(cumulative, k, side="right") for k in (below, above))
        columns.append(low + (ranks - below) * (high - low))
    return np.stack(columns, axis=1)


def dtype_range(image: np.ndarray) -> Limits:
    """Return 0 and 255, 65535 or 1 by the dtype of an image (H, W, C)."""
    top = np.iinfo(image.dtype).max if image.dtype.kind in "iu" else 1
    channels = image.shape[-1]
    return Limits(np.zeros(channels, np.float32), np.full(channels, top, np.float32))


def to_channels(image: np.ndarray, channels: int) -> np.ndarray:
    """Repeat a grey image (H, W, 1) to three channels where three are wanted.

    Raises:
        ValueError: the image has another number of channels than wanted, and is not grey.
    """
    if image.shape[-1] == 1 and channels == 3:
        return np.repeat(image, 3, axis=-1)
    if image.shape[-1] != channels:
        raise ValueError(f"An image must have {channels} channels, or be grey for 3. Received: {image.shape[-1]}")
    return image
