"""Levels of a pyramid: each pixel is the mean of the 2x2 pixels below it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import tifffile

from msrgan.io.image import Band, Image, Promised
from msrgan.io.regroup import regroup

# Halving takes some twenty bytes for each of their pixels.
_ROWS = 64


def level_count(height: int, width: int, smallest: int) -> int:
    """Return how many levels follow the full size until both sides are at most `smallest`."""
    side, count = max(height, width), 0
    while side > smallest:
        side, count = -(-side // 2), count + 1
    return count


def halve(pixels: np.ndarray) -> np.ndarray:
    """Return the mean of each 2x2 block of (h, w) or (h, w, samples); an odd last row or column counts twice.

    Whole numbers are rounded to the nearest, halves to even.
    """
    height, width = pixels.shape[:2]
    whole = pixels.dtype.kind in "iu"
    # Exact: the sum of four numbers of 32 bits fits into 64, and into a double.
    values = pixels.astype(np.int64 if whole else np.promote_types(pixels.dtype, np.float64))
    values = np.concatenate([values, values[-1:]]) if height % 2 else values
    values = np.concatenate([values, values[:, -1:]], axis=1) if width % 2 else values
    total = values[::2, ::2] + values[1::2, ::2] + values[::2, 1::2] + values[1::2, 1::2]
    return (np.rint(total / 4) if whole else total / 4).astype(pixels.dtype)


def halved(image: Image, bands: Iterable[Band]) -> tuple[Image, Iterator[Band]]:
    """Return an image of half the size, rounded up, and its bands, made as they are needed."""
    shape = [-(-size // 2) if axis in "YX" else size for axis, size in image.sizes.items()]
    half = replace(image, pixels=Promised(tuple(shape), image.dtype))
    even = regroup(image, bands, _ROWS)
    return half, (Band(band.index, band.top // 2, halve(band.pixels)) for band in even)


def stored(path: Path, image: Image, level: int) -> Iterator[Band]:
    """Yield the planes of a tiled TIFF that is still being written, a row of tiles at a time.

    Args:
        path: the file; its pages are the planes of the image, in the order of `image.indices()`.
        image: of the size of the level.
        level: 0 for the pages themselves, n for the n-th below each.
    """
    with tifffile.TiffFile(path) as file:
        for number, index in enumerate(image.indices()):
            page = file.pages[number]
            page = page.pages[level - 1] if level else page
            for top, row in _tile_rows(page):
                yield Band(index, top, row)


def _tile_rows(page: tifffile.TiffPage) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the first row and the pixels of each row of tiles."""
    length, width = page.imagelength, page.imagewidth
    row = None
    for tile, (_, _, top, left, _), _ in page.segments(maxworkers=1, buffersize=1 << 20):
        if row is None:
            row = np.empty((min(tile.shape[1], length - top), width, tile.shape[3]), tile.dtype)
        row[:, left : left + tile.shape[2]] = tile[0, : len(row), : width - left]
        if left + tile.shape[2] >= width:
            yield top, row if page.samplesperpixel > 1 else row[..., 0]
            row = None
