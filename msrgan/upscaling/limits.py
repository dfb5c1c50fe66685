"""What the pixels of an image say of how to normalise it: one look at all of them, plane by plane.

A channel has one range in all planes of a stack, so that time and depth stay comparable, or one in each plane.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from msrgan.intensity import Counter, Limits, Normalization, counted_percentiles
from msrgan.io.image import BAND_BYTES, Image
from msrgan.upscaling.numbers import counted, full_range

OVER = ("stack", "plane")
# Tiles of files have 512 rows or a part of it: none is decoded twice.
_ROWS = 512


class Levels(NamedTuple):
    """The numbers of one plane, as they are counted; an array (C,) each, C being its samples.

    Attributes:
        limits: what is normalised to 0 and 1.
        least: the smallest number of the channel, in the stack or in the plane.
        most: the largest.
        even: the number of all pixels of this plane, NaN where there is more than one.
    """

    limits: Limits
    least: np.ndarray
    most: np.ndarray
    even: np.ndarray

    @classmethod
    def joined(cls, planes: Sequence["Levels"]) -> "Levels":
        """Return the numbers of several planes of one sample as those of one of several."""
        low, high = (np.concatenate(part) for part in zip(*(plane.limits for plane in planes), strict=True))
        rest = (np.concatenate(part) for part in zip(*(plane[1:] for plane in planes), strict=True))
        return cls(Limits(low, high), *rest)


def measure(
    image: Image, normalization: Normalization, *, over: str = "stack", nan: str = "refuse"
) -> dict[tuple[int, ...], Levels]:
    """Look at all pixels of an image once, at those of floats twice.

    Args:
        image: of one of `numbers.DTYPES`.
        normalization: how the limits are chosen.
        over: "stack": one range for a channel in all planes; "plane": one for each plane.
        nan: "refuse" or "zero".

    Returns:
        The numbers of each plane by its index. Limits are np.percentile's over all the pixels of the channel.

    Raises:
        ValueError: pixels are not finite, or float32 does not hold them.
        UnreadableImageError: the file is damaged.
    """
    place = image.stack.find("C")
    groups: dict[object, list[tuple[int, ...]]] = {}
    for index in image.indices():
        channel = index[place] if place >= 0 else 0
        groups.setdefault(index if over == "plane" else channel, []).append(index)
    levels = {}
    for planes in groups.values():
        levels |= _measure(image, planes, normalization, nan)
    return levels


def _measure(image, planes, normalization, nan):
    """Measure the planes of one range."""
    samples = 3 if image.is_rgb else 1
    counters = [Counter() for _ in range(samples)]
    evens = {}
    for index in planes:
        least, most = np.full(samples, np.inf), np.full(samples, -np.inf)
        for block in _blocks(image, index, nan):
            np.minimum(least, block.min(axis=(0, 1)), out=least)
            np.maximum(most, block.max(axis=(0, 1)), out=most)
            for c, counter in enumerate(counters):
                counter.count(block[..., c])
        evens[index] = np.where(least == most, least, np.nan)
    limits = full_range(normalization, image.dtype.newbyteorder("="), samples)
    if limits is None:
        if counters[0].needs_refinement:
            for index in planes:
                for block in _blocks(image, index, nan):
                    for c, counter in enumerate(counters):
                        counter.refine(block[..., c], normalization.percentiles)
        limits = counted_percentiles(counters, normalization.percentiles)
    least, most = (np.array([getattr(counter, name) for counter in counters]) for name in ("least", "most"))
    return {index: Levels(limits, least, most, even) for index, even in evens.items()}


def _blocks(image: Image, index: tuple[int, ...], nan: str) -> Iterator[np.ndarray]:
    """Yield the rows of a plane, (h, X, samples), as they are counted."""
    rows, row = image.sizes["Y"], image.sizes["X"] * (3 if image.is_rgb else 1) * image.dtype.itemsize
    height = max(1, BAND_BYTES // (row * _ROWS)) * _ROWS
    for top in range(0, rows, height):
        block = counted(image.read(index, slice(top, min(top + height, rows))), nan)
        yield block if image.is_rgb else block[..., None]
