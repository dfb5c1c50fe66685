"""Write OME-Zarr images (OME-NGFF 0.4 and 0.5) as their pixels come, with all levels of the pyramid in one pass."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from msrgan.io import ngff_metadata
from msrgan.io.atomic import atomic_folder
from msrgan.io.image import Band, Image

CHUNK = 512
COMPRESSIONS = ("zstd", "gzip", "blosc", "none")
_VERSIONS = {"ome-zarr-0.4": "0.4", "ome-zarr-0.5": "0.5"}
_NGFF_ORDER = "TCZYX"
# Columns that are written at once, sixteen chunks, and rows that are halved at once: both take several times the memory
# of their pixels, and an image may be wide.
_WRITTEN, _HALVED = 16 * CHUNK, 64


def write(
    path: str | os.PathLike,
    image: Image,
    bands: Iterable[Band],
    *,
    format: str = "ome-zarr-0.4",
    compression: str | None = None,
    pyramid: bool = True,
) -> None:
    """Write an OME-Zarr image, whole or not at all; an existing folder is replaced.

    Axes come in the order T, C, Z, Y, X. The samples of an RGB image become three channels, red, green and blue. Every
    chunk is stored, so that a missing one is seen. In memory are the rows of one row of chunks, of each level.

    Args:
        path: the folder.
        image: what is written; its pixels are taken from `bands`.
        bands: plane after plane in the order of `image.indices()`, from top to bottom.
        format: "ome-zarr-0.4", a Zarr 2 store, or "ome-zarr-0.5", a Zarr 3 store.
        compression: "zstd" (the default) or "gzip", which have checksums: damage is noticed; "blosc", which is smaller
            (zstd on shuffled bytes); or "none".
        pyramid: add levels of half the size, the mean of 2x2 pixels of the level before, until one fits into a chunk.

    Raises:
        ValueError: an argument is wrong, the image has channels of RGB samples, bands do not make up the image, or zarr
            is not installed.
    """
    if format not in _VERSIONS:
        raise ValueError(f"`format` is one of {', '.join(_VERSIONS)}. Received: {format!r}")
    if compression not in (None, *COMPRESSIONS):
        raise ValueError(f"`compression` of OME-Zarr is one of {', '.join(COMPRESSIONS)}. Received: {compression!r}")
    if image.is_rgb and "C" in image.stack:
        raise ValueError(f"OME-Zarr has one axis of channels. Received: {image.axes}. Write one channel at a time")
    zarr, path = import_zarr(), Path(path)
    sizes = _level_sizes(image.sizes["Y"], image.sizes["X"]) if pyramid else [(image.sizes["Y"], image.sizes["X"])]
    with atomic_folder(path) as folder:
        group = zarr.create_group(folder, zarr_format=2 if format == "ome-zarr-0.4" else 3)
        levels = None
        for size in reversed(sizes):
            array = _create(group, str(sizes.index(size)), image, size, compression or "zstd")
            levels = _Level(array, image, levels)
        for band in _checked(image, bands):
            levels.add(band.index, band.pixels)
        name = path.name.removesuffix(".zarr").removesuffix(".ome")
        group.attrs.update(
            ngff_metadata.attributes(
                image, ngff_axes(image), sizes, levels.ranges(), name=name, version=_VERSIONS[format]
            )
        )


def import_zarr() -> ModuleType:
    """Return the module `zarr`.

    Raises:
        ValueError: it is not installed.
    """
    try:
        import zarr
    except ImportError:
        raise ValueError("OME-Zarr needs the package zarr. Install it: pip install 'msrgan[zarr]'") from None
    return zarr


def ngff_axes(image: Image) -> str:
    """Return the axes of an image in the order of the specification, RGB samples being channels."""
    return "".join(axis for axis in _NGFF_ORDER if axis in image.axes or (axis == "C" and image.is_rgb))


def halved(rows: np.ndarray) -> np.ndarray:
    """Return the mean of 2x2 pixels, in the same dtype; at odd sizes the last mean is of the pixels that there are.

    Args:
        rows: (..., Y, X).

    Returns:
        (..., ceil(Y / 2), ceil(X / 2)); whole numbers are rounded, halves upwards.
    """
    y, x = rows.shape[-2:]
    # Repeating the last row or column leaves the mean of what there is.
    edges = [(0, 0)] * (rows.ndim - 2) + [(0, y % 2), (0, x % 2)]
    rows = np.pad(rows, edges, mode="edge") if y % 2 or x % 2 else rows
    whole = rows.dtype.kind in "iu"
    wide = {1: np.int32, 2: np.int32}.get(rows.dtype.itemsize, np.int64) if whole else np.float64
    pairs = np.add(rows[..., ::2, :], rows[..., 1::2, :], dtype=wide)
    sums = pairs[..., ::2] + pairs[..., 1::2]
    return ((sums + 2) >> 2 if whole else sums / 4).astype(rows.dtype)


class _Level:
    """Rows on their way into the array of a level, and from there into the next one.

    Args:
        array: of this level.
        image: that is written.
        coarser: the next level.
    """

    def __init__(self, array: Any, image: Image, coarser: _Level | None):
        self._array, self._image, self._coarser = array, image, coarser
        self._rows, self._width = array.shape[-2:]
        self._buffer: np.ndarray | None = None
        self._filled = self._top = 0
        self._ranges: dict[int, tuple[float, float]] = {}

    def add(self, index: tuple[int, ...], rows: np.ndarray) -> None:
        """Take the next rows of a plane, (h, X) or (h, X, 3)."""
        rows = np.moveaxis(rows, -1, 0) if rows.ndim == 3 and self._image.is_rgb else rows[None]
        self._note_range(index, rows)
        self._add(index, rows)

    def _add(self, index: tuple[int, ...], rows: np.ndarray) -> None:
        if self._buffer is None:
            self._buffer = np.empty((len(rows), min(CHUNK, self._rows), self._width), self._array.dtype)
        while rows.shape[1]:
            taken = min(self._buffer.shape[1], self._rows - self._top) - self._filled
            block, rows = rows[:, :taken], rows[:, taken:]
            self._buffer[:, self._filled : self._filled + block.shape[1]] = block
            self._filled += block.shape[1]
            if self._filled == min(self._buffer.shape[1], self._rows - self._top):
                self._flush(index)

    def _flush(self, index: tuple[int, ...]) -> None:
        """Write a row of chunks, and hand it on at half the size."""
        block, bottom = self._buffer[:, : self._filled], self._top + self._filled
        numbers = dict(zip(self._image.stack, index, strict=True))
        if self._image.is_rgb:
            numbers["C"] = slice(None)
        place = [numbers[axis] for axis in ngff_axes(self._image)[:-2]]
        for left in range(0, self._width, _WRITTEN):
            part = slice(left, min(left + _WRITTEN, self._width))
            written = block[..., part] if self._image.is_rgb else block[0, :, part]
            self._array[(*place, slice(self._top, bottom), part)] = written
        self._top, self._filled = bottom % self._rows, 0
        if self._coarser:
            for top in range(0, block.shape[1], _HALVED):
                self._coarser._add(index, halved(block[:, top : top + _HALVED]))

    def _note_range(self, index: tuple[int, ...], rows: np.ndarray) -> None:
        first = 0 if "C" not in self._image.stack else index[self._image.stack.index("C")]
        for channel, plane in enumerate(rows, first):
            low, high = self._ranges.get(channel, (math.inf, -math.inf))
            self._ranges[channel] = (
                np.fmin(low, np.fmin.reduce(plane, None)),
                np.fmax(high, np.fmax.reduce(plane, None)),
            )

    def ranges(self) -> list[tuple[float, float]]:
        """Return the least and the greatest value of each channel; 0 and 1 where there are no numbers."""
        ranges = [tuple(map(float, self._ranges[channel])) for channel in sorted(self._ranges)]
        return [limits if np.isfinite(limits).all() else (0.0, 1.0) for limits in ranges]


def _level_sizes(rows: int, columns: int) -> list[tuple[int, int]]:
    sizes = [(rows, columns)]
    while max(sizes[-1]) > CHUNK:
        sizes.append(tuple(-(-n // 2) for n in sizes[-1]))
    return sizes


def _create(group: Any, name: str, image: Image, size: tuple[int, int], compression: str) -> Any:
    axes = ngff_axes(image)
    shape = (*(image.sizes.get(axis, 3) for axis in axes[:-2]), *size)
    chunks = (*(1 for _ in axes[:-2]), *(min(CHUNK, n) for n in size))
    dtype = image.dtype.newbyteorder("=")
    version = group.metadata.zarr_format
    return group.create_array(
        name,
        shape=shape,
        chunks=chunks,
        dtype=dtype,
        compressors=_compressor(compression, version, dtype.itemsize),
        fill_value=0,
        config={"write_empty_chunks": True},
        # The specification wants folders of chunks and the names of the axes where the store has them.
        **({"chunk_key_encoding": {"name": "v2", "separator": "/"}} if version == 2 else {}),
        **({"dimension_names": list(axes.lower())} if version == 3 else {}),
    )


def _compressor(name: str, version: int, itemsize: int) -> Any:
    if version == 2:
        import numcodecs

        shuffle = numcodecs.Blosc.SHUFFLE if itemsize > 1 else numcodecs.Blosc.BITSHUFFLE
        codecs = {
            "blosc": lambda: numcodecs.Blosc("zstd", clevel=5, shuffle=shuffle),
            "zstd": lambda: numcodecs.Zstd(level=5, checksum=True),
            "gzip": lambda: numcodecs.GZip(level=5),
        }
    else:
        from zarr import codecs as zarr_codecs

        shuffle = "shuffle" if itemsize > 1 else "bitshuffle"
        codecs = {
            "blosc": lambda: zarr_codecs.BloscCodec(cname="zstd", clevel=5, shuffle=shuffle, typesize=itemsize),
            "zstd": lambda: zarr_codecs.ZstdCodec(level=5, checksum=True),
            "gzip": lambda: zarr_codecs.GzipCodec(level=5),
        }
    return None if name == "none" else codecs[name]()


def _checked(image: Image, bands: Iterable[Band]) -> Iterator[Band]:
    """Yield the bands.

    Raises:
        ValueError: they are not the planes of the image, from top to bottom.
    """
    bands = iter(bands)
    tail = image.pixels.shape[len(image.stack) + 1 :]
    for index in image.indices():
        top = 0
        while top < image.sizes["Y"]:
            band = next(bands, None)
            expected = f"rows from {top} of plane {index}, of {tail} pixels in {image.dtype}"
            if band is None:
                raise ValueError(f"Bands make up the image. Received: none for {expected}")
            rows, shape = len(band.pixels), band.pixels.shape
            fits = shape[1:] == tail and rows and top + rows <= image.sizes["Y"] and band.pixels.dtype == image.dtype
            if (tuple(band.index), band.top) != (index, top) or not fits:
                received = f"{shape} from {band.top} of {band.index} in {band.pixels.dtype}"
                raise ValueError(f"Bands make up the image. Received: {received} for {expected}")
            yield band
            top += rows
    if next(bands, None) is not None:
        raise ValueError("Bands make up the image. Received: more than its planes")
