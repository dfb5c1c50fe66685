"""Intensities: which values of an image a network sees as 0 and as 1.

    percentile    the 0.1 and the 99.9 percentile of each channel of the whole image, never of a patch or a tile
    range         0 and the largest value of the dtype; 1 for floats

Nothing is clipped: what lies beyond becomes less than 0 or more than 1.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

PERCENTILES = (0.1, 99.9)
_BLOCK = 1 << 18
_SIGN = np.uint32(1 << 31)


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
    channels = [image[..., c] for c in range(image.shape[-1])]
    low, high = np.stack([_percentiles(channel, q) for channel in channels], axis=1).astype(np.float32)
    for c in np.flatnonzero(high <= low):
        low[c], high[c] = channels[c].min(), channels[c].max()
    high = np.where(high > low, high, low + np.maximum(1, 1e-6 * np.abs(low))).astype(np.float32)
    return Limits(low, high)


def _percentiles(channel: np.ndarray, q: tuple[float, float]) -> np.ndarray:
    """Do what np.percentile does, in memory that does not grow with the image: from histograms, block by block."""
    ranks = np.asarray(q) / 100 * (channel.size - 1)
    below, above = np.floor(ranks), np.ceil(ranks)
    order = _order_of_integers if channel.dtype in (np.uint8, np.uint16) else _order_of_floats
    low, high = order(channel, np.stack([below, above])).astype(np.float64)
    return low + (ranks - below) * (high - low)


def _order_of_integers(channel: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """Return the values that have these ranks, from 0, among those of a channel of uint8 or uint16."""
    counts = np.zeros(np.iinfo(channel.dtype).max + 1, np.int64)
    for block in _blocks(channel, channel.dtype):
        counts += np.bincount(block, minlength=len(counts))
    return np.searchsorted(counts.cumsum(), ranks, side="right")


def _order_of_floats(channel: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """Return the values that have these ranks, from 0, among those of a channel, as float32.

    The bits of floats, read as whole numbers, have the order of the floats once those below zero are turned round. The
    first pass counts their upper 16 bits, the second the lower 16 bits of those that share the upper ones of a result.
    """
    if channel.size <= _BLOCK:
        return np.partition(channel.ravel(), ranks.ravel().astype(int))[ranks.astype(int)]
    upper = np.zeros(1 << 16, np.int64)
    for block in _blocks(channel, np.float32):
        upper += np.bincount(_ordered(block) >> 16, minlength=len(upper))
    cumulative = upper.cumsum()
    bins = np.searchsorted(cumulative, ranks, side="right")
    lower = {b: np.zeros(1 << 16, np.int64) for b in bins.ravel()}
    for block in _blocks(channel, np.float32):
        keys = _ordered(block)
        for b, counts in lower.items():
            counts += np.bincount(keys[keys >> 16 == b] & 0xFFFF, minlength=len(counts))
    ranks = ranks - (cumulative - upper)[bins]
    places = [
        np.searchsorted(lower[b].cumsum(), rank, side="right") for b, rank in zip(bins.flat, ranks.flat, strict=True)
    ]
    keys = (bins.astype(np.uint32) << 16) | np.reshape(places, bins.shape).astype(np.uint32)
    return np.where(keys >> 31, keys ^ _SIGN, ~keys).astype(np.uint32).view(np.float32)


def _ordered(block: np.ndarray) -> np.ndarray:
    """Return the bits of float32 numbers as uint32 with the same order."""
    bits = block.view(np.uint32)
    return np.where(bits >> 31, ~bits, bits ^ _SIGN)


def _blocks(channel: np.ndarray, dtype: np.dtype | type) -> Iterable[np.ndarray]:
    """Yield the pixels of a channel in pieces of one size, as a dtype; a piece is overwritten by the next."""
    flags = ["external_loop", "buffered", "zerosize_ok"]
    return np.nditer(channel, flags, op_dtypes=[dtype], casting="same_kind", order="K", buffersize=_BLOCK)


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
