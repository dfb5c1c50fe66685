"""Pixels that a reader of bioio reads when they are asked for."""

from __future__ import annotations

import contextlib
import itertools
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from msrgan.io.image import STACK_AXES
from msrgan.io.source import UnreadableImageError

_LOGGERS = ("bioio_base", "bioio_czi", "bioio_nd2", "bioio_lif", "liffile", "nd2", "ome_types")


class Maker(NamedTuple):
    """How bioio reads the files of a maker.

    Attributes:
        package: that has the reader.
        method: of the reader that reads one plane and nothing more. The dask arrays of bioio-czi 3.0 repeat the first
            sample of RGB pixels; `get_image_data` of bioio-lif 2.0 reads the whole file.
        options: of the reader.
        stitches: the reader puts the tiles of a mosaic together, at the places that the file tells.
        is_bgr: the samples of RGB pixels come as the file has them, blue first.
    """

    package: str
    method: str
    options: dict[str, Any]
    stitches: bool = False
    is_bgr: bool = False


class Planes:
    """The pixels of a scene; the plane that was read last is kept, since windows of a plane come one after the other.

    Attributes:
        axes: those of more than one, and Y and X.
    """

    def __init__(self, reader: Any, maker: Maker, sizes: dict[str, int], path: Path):
        self._read, self._path = getattr(reader, maker.method), path
        rest = [axis for axis, size in sizes.items() if size > 1 and axis not in STACK_AXES + "YXS"]
        if rest:
            counts = ", ".join(f"{sizes[axis]} {axis}" for axis in rest)
            what = "is a mosaic of tiles" if "M" in rest else "has axes besides T, C, Z, Y and X"
            raise UnreadableImageError(f"{path}: {what} ({counts}). Save what you need as OME-TIFF")
        self.axes = "".join(axis for axis in sizes if axis in STACK_AXES and sizes[axis] > 1) + "YX"
        self.axes += "S" if sizes.get("S", 1) > 1 else ""
        self._stack, self._order = self.axes.partition("YX")[0], self.axes[self.axes.index("Y") :]
        self.shape = tuple(sizes[axis] for axis in self.axes)
        self.dtype = np.dtype(reader.dtype).newbyteorder("=")
        self._samples = (..., slice(None, None, -1)) if maker.is_bgr and "S" in self.axes else ...
        self._last: tuple[tuple, np.ndarray] | None = None

    def __getitem__(self, key: tuple[int | slice, ...]) -> np.ndarray:
        """Read a block.

        Raises:
            UnreadableImageError: the file is damaged there.
        """
        n = len(self._stack)
        ranges = [range(size)[part] for part, size in zip(key[:n], self.shape, strict=False)]
        numbers = [part if isinstance(part, range) else [part] for part in ranges]
        blocks = [self._plane(index)[key[n:]] for index in itertools.product(*numbers)]
        lengths = [len(part) for part in ranges if isinstance(part, range)]
        return np.stack(blocks).reshape(*lengths, *blocks[0].shape)

    def _plane(self, index: tuple[int, ...]) -> np.ndarray:
        last = self._last
        if last is None or last[0] != index:
            numbers = dict.fromkeys(STACK_AXES, 0) | dict(zip(self._stack, index, strict=True))
            with damage(self._path):
                plane = np.asarray(self._read(self._order, **numbers))[self._samples].astype(self.dtype, copy=False)
                if plane.shape != self.shape[len(index) :]:
                    raise ValueError(f"a plane of {plane.shape} in an image of {self.shape}")
            self._last = last = index, plane
        return last[1]


class Mosaic:
    """The pixels of a mosaic; what a window needs of its tiles is read.

    Args:
        array: of xarray, with the tiles put together.
        path: the file.
    """

    def __init__(self, array: Any, path: Path):
        self._path = path
        sizes = dict(zip(array.dims, array.shape, strict=True))
        array = array.isel({axis: 0 for axis, size in sizes.items() if size == 1 and axis not in "YXS"})
        self.axes = "".join(array.dims)
        self._pixels = array.data[..., ::-1] if "S" in self.axes else array.data  # blue comes first, see `Maker`
        self.shape, self.dtype = tuple(array.shape), np.dtype(array.dtype)

    def __getitem__(self, key: tuple[int | slice, ...]) -> np.ndarray:
        """Read a block.

        Raises:
            UnreadableImageError: the file is damaged there.
        """
        with damage(self._path):
            return np.asarray(self._pixels[key])


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the readers from printing what they miss in a file."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


@contextlib.contextmanager
def damage(path: Path) -> Iterator[None]:
    """Tell what a reader raises as an error of the file."""
    try:
        with quiet():
            yield
    except (UnreadableImageError, PermissionError):
        raise
    except Exception as error:  # each library has its own; damaged sizes are a MemoryError
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UnreadableImageError(f"{path}: damaged or unknown to its reader ({reason})") from error
