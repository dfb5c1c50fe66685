"""Bands of any height <-> bands of the height that a file is written in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from msrgan.io.image import Band, Image


def regroup(image: Image, bands: Iterable[Band], height: int) -> Iterator[Band]:
    """Yield the pixels of bands as bands of `height` rows, the last of a plane with the rows that are left.

    No more is read from `bands` than the next band needs. The pixels are copies in the byte order of the machine.

    Args:
        image: whose shape and dtype the pixels have.
        bands: the planes in the order of `image.indices()`, each from top to bottom, rows of full width.
        height: rows of a band.

    Raises:
        ValueError: the bands come in another order, lack rows or have too many, or are not of the shape or dtype.
    """
    rows, dtype = image.sizes["Y"], image.dtype.newbyteorder("=")
    row = image.pixels.shape[image.axes.index("X") :]
    bands = iter(bands)
    rest = np.empty((0, *row), dtype)
    for index in image.indices():
        for top in range(0, rows, height):
            block = np.empty((min(height, rows - top), *row), dtype)
            done = 0
            while done < len(block):
                if not len(rest):
                    rest = _check(image, next(bands, None), index, top + done)
                part = rest[: len(block) - done]
                block[done : done + len(part)] = part
                done, rest = done + len(part), rest[len(part) :]
            yield Band(index, top, block)
    extra = next(bands, None)
    if extra is not None:
        raise ValueError(f"Bands end with the last row of the last plane. Received: one more of {extra.index}")


def _check(image: Image, band: Band | None, index: tuple[int, ...], top: int) -> np.ndarray:
    """Return the pixels of a band that must begin at a row of a plane."""
    if band is None:
        raise ValueError(f"Bands hold all rows of all planes. Received: none for row {top} of plane {index}")
    if (tuple(band.index), band.top) != (index, top):
        raise ValueError(
            "Bands come plane by plane, from top to bottom. "
            f"Received: row {band.top} of plane {tuple(band.index)} in place of row {top} of plane {index}"
        )
    height, *row = band.pixels.shape
    if tuple(row) != image.pixels.shape[image.axes.index("X") :] or not 0 < height <= image.sizes["Y"] - top:
        raise ValueError(
            f"A band has full width and ends within its plane. Received: {band.pixels.shape} at row {top} "
            f"of {image.axes} {tuple(image.pixels.shape)}"
        )
    if band.pixels.dtype.newbyteorder("=") != image.dtype.newbyteorder("="):
        raise ValueError(f"Bands have the dtype of their image, {image.dtype}. Received: {band.pixels.dtype}")
    return band.pixels
