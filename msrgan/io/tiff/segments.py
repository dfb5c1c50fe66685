"""Windows of the planes of a TIFF: no strip and no tile is decoded that a window does not touch."""

from __future__ import annotations

import math
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import tifffile
from tifffile import COMPRESSION

from msrgan.io.tiff.faults import watched

# Of decoded segments: at least, and at most where rows of them are larger.
CACHE_BYTES = (1 << 24, 1 << 27)
# Rows of segments that are kept: a window may touch two, in each of a few channels that are read in turn.
_ROWS = 4
# Pixels of a tile in an image that has fewer: a decoder allocates what the header claims.
LARGEST_TILE = 1 << 24
JPEG = (COMPRESSION.OJPEG, COMPRESSION.JPEG, COMPRESSION.ALT_JPEG, COMPRESSION.JPEG_LOSSY)


class Segment(NamedTuple):
    """A decoded strip or tile: pixels (depth, rows, columns, samples), and where they begin in their page."""

    pixels: np.ndarray
    depth: int
    top: int
    left: int


class Cache:
    """The segments that were used last, up to a number of bytes: neighbouring windows share them."""

    def __init__(self, nbytes: int):
        self._limit, self._nbytes = nbytes, 0
        self._segments: OrderedDict[tuple[int, int], Segment] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[int, int], decode: Callable[[], Segment]) -> Segment:
        """Return a segment, decoded if it is not there; one that is larger than the whole cache is kept alone."""
        with self._lock:
            if key in self._segments:
                self._segments.move_to_end(key)
                return self._segments[key]
        segment = decode()
        with self._lock:
            if key not in self._segments:
                self._segments[key] = segment
                self._nbytes += segment.pixels.nbytes
            while self._nbytes > self._limit and len(self._segments) > 1:
                _, oldest = self._segments.popitem(last=False)
                self._nbytes -= oldest.pixels.nbytes
        return segment

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._segments.clear()
            self._nbytes = 0


class Planes:
    """The planes of an image series, (planes, Y, X, samples), as they are stored.

    A page of a TIFF has a plane, or one for each of its separate samples and each of its depths, in this order.
    Uncompressed pages are mapped into memory, window by window, so that what was read is not held.

    Args:
        tif: the open file.
        series: of its pages, all there.
        name: of the file, for the messages.
        data: the bytes of the file, if it lies in memory.
    """

    def __init__(self, tif: tifffile.TiffFile, series: tifffile.TiffPageSeries, name: object, data: bytes | None):
        self._tif, self._name, self._data = tif, name, data
        self._page = page = series.keyframe
        separate, self._depth, rows, columns, samples = page.shaped
        self._parts = separate * self._depth
        self.dtype = np.dtype(page.dtype)
        planes = math.prod(series.get_shape(squeeze=False)) // max(1, rows * columns * samples)
        self.shape = (planes, rows, columns, samples)
        tile = page.tiledepth * page.tilelength * page.tilewidth if page.is_tiled else 0
        if tile > max(LARGEST_TILE, self._depth * rows * columns):
            raise ValueError(f"its tiles of {page.tilewidth}x{page.tilelength} are larger than its image")
        self._offset = series.dataoffset
        self._pages = [] if self._offset is not None else list(series)
        self._file_lock = threading.Lock()
        row = (page.tilelength if page.is_tiled else page.rowsperstrip) * columns * samples * self.dtype.itemsize
        self._cache = Cache(min(max(CACHE_BYTES[0], _ROWS * row), CACHE_BYTES[1]))
        weakref.finalize(self, tif.close)
        if not page.is_final:
            self._decode = page.decode  # made once, before threads use it

    def close(self) -> None:
        """Close the file."""
        self._cache.clear()
        self._tif.close()

    def window(self, plane: int, rows: slice, columns: slice) -> np.ndarray:
        """Return a window (h, w, samples) of a plane.

        Raises:
            UnreadableImageError: the file is damaged there.
        """
        with watched(self._name):
            offset = self._place(plane)
            if offset is None:
                return self._assembled(*divmod(plane, self._parts), rows, columns)
            return self._mapped(offset, rows)[:, columns].astype(self.dtype)

    def _place(self, plane: int) -> int | None:
        """Return where the uncompressed rows of a plane begin in the file, None if they are not one after another."""
        nbytes = math.prod(self.shape[1:]) * self.dtype.itemsize
        if self._offset is not None:
            return self._offset + plane * nbytes
        if not self._page.is_final:
            return None
        number, part = divmod(plane, self._parts)
        return self._pages[number].dataoffsets[0] + part * nbytes

    def _mapped(self, offset: int, rows: slice) -> np.ndarray:
        dtype = self.dtype.newbyteorder(self._tif.byteorder)
        shape = (rows.stop - rows.start, *self.shape[2:])
        offset += rows.start * math.prod(self.shape[2:]) * dtype.itemsize
        if 0 in shape:
            return np.empty(shape, dtype)
        if self._data is not None:
            return np.frombuffer(self._data, dtype, math.prod(shape), offset).reshape(shape)
        with self._file_lock:
            return self._tif.filehandle.memmap_array(dtype, shape, offset)

    def _assembled(self, number: int, part: int, rows: slice, columns: slice) -> np.ndarray:
        window = np.empty((rows.stop - rows.start, columns.stop - columns.start, self.shape[3]), self.dtype)
        missing = window.shape[0] * window.shape[1]
        separate, depth = divmod(part, self._depth)
        for index in self._touched(separate, depth, rows, columns):
            segment = self._cache.get((number, index), lambda index=index: self._segment(number, index))
            top, left = max(rows.start, segment.top), max(columns.start, segment.left)
            pixels = segment.pixels[depth - segment.depth, top - segment.top :, left - segment.left :]
            place = window[top - rows.start :, left - columns.start :]
            height, width = min(len(pixels), len(place)), min(pixels.shape[1], place.shape[1])
            place[:height, :width] = pixels[:height, :width]
            missing -= height * width
        if missing:
            raise ValueError("a strip or tile is smaller than its header says")
        return window

    def _touched(self, separate: int, depth: int, rows: slice, columns: slice) -> Iterator[int]:
        """Yield the numbers of the segments of a page that hold parts of a window."""
        page, (_, height, width, _) = self._page, self.shape
        deep, high, wide = 1, page.rowsperstrip, width
        if page.is_tiled:
            deep, high, wide = page.tiledepth, page.tilelength, page.tilewidth
        down, across = math.ceil(height / high), math.ceil(width / wide)
        level = separate * math.ceil(self._depth / deep) + depth // deep
        for y in range(rows.start // high, math.ceil(rows.stop / high)):
            for x in range(columns.start // wide, math.ceil(columns.stop / wide)):
                yield (level * down + y) * across + x

    def _segment(self, number: int, index: int) -> Segment:
        page, options = self._pages[number], {}
        if self._page.compression in JPEG:
            options = {"jpegtables": page.jpegtables, "jpegheader": self._page.jpegheader}
        file = self._tif.filehandle
        with self._file_lock:
            file.seek(page.dataoffsets[index])
            data = file.read(page.databytecounts[index])
        pixels, (_, depth, top, left, _), _ = self._decode(data, index, **options)
        return Segment(pixels, depth, top, left)
