"""Intensities: which values of an image a network sees as 0 and as 1.

    percentile    the 0.1 and the 99.9 percentile of each channel of the whole image, never of a patch or a tile
    range         0 and the largest value of the dtype; 1 for floats

Nothing is clipped: what lies beyond becomes less than 0 or more than 1.
"""

from collections.abc import Iterable, Sequence
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
    """Return two percentiles, 0.1 and 99.9, of each channel of a whole image (H, W, C); see `counted_percentiles`."""
    return counted_percentiles([_counted(image[..., c], q) for c in range(image.shape[-1])], q)


def counted_percentiles(counters: Sequence["Counter"], q: tuple[float, float] = PERCENTILES) -> Limits:
    """Return two percentiles of each of some channels whose pixels were counted.

    The second is always above the first: where the percentiles coincide (sparse spots on an even background)
    the minimum and maximum take their place, and a constant channel gets the range of one grey level.
    """
    low, high = np.stack([counter.percentiles(q) for counter in counters], axis=1).astype(np.float32)
    for c in np.flatnonzero(high <= low):
        low[c], high[c] = counters[c].least, counters[c].most
    high = np.where(high > low, high, low + np.maximum(1, 1e-6 * np.abs(low))).astype(np.float32)
    return Limits(low, high)


class Counter:
    """Counts the pixels of one channel block by block; tells what np.percentile does, in memory that does not grow.

    The bits of floats, read as whole numbers, have the order of the floats once those below zero are turned round.
    Their histogram is that of their upper 16 bits (uint8 and uint16: of the values), and a second look at the same
    blocks counts the lower 16 bits of the floats that share the upper ones of a percentile:

        counter = Counter()
        for block in blocks: counter.count(block)
        if counter.needs_refinement:
            for block in blocks: counter.refine(block, q)
        counter.percentiles(q)

    Attributes:
        size: pixels counted.
        least: the smallest of them.
        most: the largest of them.
    """

    def __init__(self):
        self.size, self.least, self.most = 0, np.inf, -np.inf
        self._few: list[np.ndarray] | None = []  # floats, as they are while they are few
        self._is_float = False
        self._upper = np.zeros(1 << 16, np.int64)
        self._lower: dict[int, np.ndarray] = {}

    def count(self, pixels: np.ndarray) -> None:
        """Count pixels of any shape: uint8, uint16 or finite floats, alike at each call."""
        if not pixels.size:
            return
        self.size += pixels.size
        self.least, self.most = min(self.least, pixels.min()), max(self.most, pixels.max())
        if pixels.dtype.kind == "u":
            self._few = None
            for block in _blocks(pixels, pixels.dtype):
                counts = np.bincount(block)
                self._upper[: len(counts)] += counts
        elif self._few is not None and self.size <= _BLOCK:
            self._few.append(pixels.flatten())
        else:
            for part in (*(self._few or ()), pixels):
                for block in _blocks(part, np.float32):
                    self._upper += np.bincount(_ordered(block) >> 16, minlength=1 << 16)
            self._few, self._is_float = None, True

    @property
    def needs_refinement(self) -> bool:
        """Whether the pixels have to be looked at again: many floats."""
        return self._is_float

    def refine(self, pixels: np.ndarray, q: tuple[float, float] = PERCENTILES) -> None:
        """Look again at pixels, when all were counted."""
        if not self._lower:
            bins = np.searchsorted(self._upper.cumsum(), self._ranks(q)[1], side="right")
            self._lower = {b: np.zeros(1 << 16, np.int64) for b in bins.ravel()}
        for block in _blocks(pixels, np.float32):
            keys = _ordered(block)
            for b, counts in self._lower.items():
                counts += np.bincount(keys[keys >> 16 == b] & 0xFFFF, minlength=len(counts))

    def percentiles(self, q: tuple[float, float] = PERCENTILES) -> np.ndarray:
        """Return two percentiles, float64 (2,): between two pixels of neighbouring ranks, interpolated linearly."""
        exact, whole = self._ranks(q)
        low, high = self._order(whole).astype(np.float64)
        return low + (exact - whole[0]) * (high - low)

    def _ranks(self, q):
        """Return where percentiles lie among the sorted pixels, from 0, and the whole numbers below and above."""
        ranks = np.asarray(q) / 100 * (self.size - 1)
        return ranks, np.stack([np.floor(ranks), np.ceil(ranks)])

    def _order(self, ranks: np.ndarray) -> np.ndarray:
        """Return the pixels that have these ranks."""
        if self._few:
            few, ranks = np.concatenate(self._few), ranks.astype(int)
            return np.partition(few, ranks.ravel())[ranks]
        cumulative = self._upper.cumsum()
        bins = np.searchsorted(cumulative, ranks, side="right")
        if not self._is_float:
            return bins
        ranks = ranks - (cumulative - self._upper)[bins]
        places = [
            np.searchsorted(self._lower[b].cumsum(), rank, side="right")
            for b, rank in zip(bins.flat, ranks.flat, strict=True)
        ]
        keys = (bins.astype(np.uint32) << 16) | np.reshape(places, bins.shape).astype(np.uint32)
        return np.where(keys >> 31, keys ^ _SIGN, ~keys).astype(np.uint32).view(np.float32)


def _counted(channel: np.ndarray, q: tuple[float, float]) -> Counter:
    """Count the pixels of a channel in memory."""
    counter = Counter()
    counter.count(channel)
    if counter.needs_refinement:
        counter.refine(channel, q)
    return counter


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
