"""Image files of folders: what their headers tell, and their pixels, those of stacks frame by frame."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import numpy as np

from msrgan import io
from msrgan.datasets.records import Record
from msrgan.io import formats, frames, integrity
from msrgan.io.outputs import suffix_of
from msrgan.io.pixels import pixels_of, tidy_dtype

# Stacks that stay open: each may keep 128 MB of the strips or tiles that it decoded last.
OPEN = 4
_PNG_DEPTH = 24  # after the signature, the head of a chunk, width and height


class Header(NamedTuple):
    """What a file tells before its pixels are read.

    Attributes:
        frames: of a stack, see `msrgan.io.frames`.
        dtype: of its pixels as `io.read_pixels` gives them.
    """

    frames: tuple[str, ...]
    dtype: np.dtype


class Files:
    """Image files; the stacks that were read last stay open, since each opening reads what is told of all planes.

    Args:
        axes: as for `io.read_pixels`.
    """

    def __init__(self, axes: str | None = None):
        self._axes, self._stacks, self._lock = axes, OrderedDict(), Lock()

    def read(self, path: Path, frame: str = "") -> np.ndarray:
        """Read a file, or one frame of a stack, like `io.read_pixels`."""
        if not frame:
            return io.read_pixels(path, axes=self._axes)
        with self._lock:
            if path not in self._stacks:
                self._stacks[path] = formats.read(path, axes=self._axes)
            self._stacks.move_to_end(path)
            while len(self._stacks) > OPEN:
                self._stacks.popitem(last=False)[1].close()
            return pixels_of(self._stacks[path], path, frame)


def header(path: Path, axes: str | None = None) -> Header:
    """Read what a file tells of itself; `axes` as for `io.read_pixels`.

    Raises:
        OSError: it cannot be opened.
        ValueError: it is damaged, does not say what its planes are, or the packages of its format are not installed.
    """
    state = path.stat()
    return _header(path, axes, (state.st_mtime_ns, state.st_size, state.st_ino))


@lru_cache(maxsize=1 << 16)
def _header(path: Path, axes: str | None, state: tuple[int, ...]) -> Header:
    """Read a header once, and again where the state of the file is another: every split of a set lists its folder."""
    if formats.format_of(path) == "raster":
        with open(path, "rb") as file:
            start = file.read(_PNG_DEPTH + 1)
        is_deep = start.startswith(integrity.PNG) and start[_PNG_DEPTH:] == b"\x10"
        return Header(("",), np.dtype(np.uint16 if is_deep else np.uint8))
    with formats.read(path, axes=axes) as image:
        return Header(tuple(frames.names(image)), tidy_dtype(image.dtype))


def by_frame(records: Sequence[Record], axes: str | None, *, skip: Callable[[str], object]) -> list[Record]:
    """Make a record of every frame of stacks: the id tells the frame, and the group stays that of the file.

    Args:
        records: of files.
        axes: as for `io.read_pixels`.
        skip: told of every file whose header cannot be read, and why; its record is left out.

    Raises:
        ValueError: the stacks of a record, those of a pair, have not the same frames.
    """
    expanded = []
    for record in records:
        headers = [_header_or_none(path, axes, skip) for path in record.paths]
        if None in headers:
            continue
        first, *others = [known.frames for known in headers]
        for path, other in zip(record.paths[1:], others, strict=True):
            if other != first:
                raise ValueError(
                    f"The images of a pair have the same planes. Received: {described(first)} in {record.paths[0]}, "
                    f"{described(other)} in {path}."
                )
        expanded += [record._replace(id=frames.titled(record.id, frame), frame=frame) for frame in first]
    return expanded


def described(names: Sequence[str]) -> str:
    """Say how many frames a stack has, and which."""
    return f"{len(names)}, {names[0]} to {names[-1]}" if len(names) > 1 else "one"


def fault_of(path: Path, error: Exception) -> str:
    """Say what is wrong with a file; some errors do not name it."""
    return str(error) if str(path) in str(error) else f"{path}: {error}"


def stem_of(path: Path) -> str:
    """Return the path of a file without its suffix, as ".tif" or ".ome.tif"."""
    return path.with_name(path.name[: len(path.name) - len(suffix_of(path))]).as_posix()


def _header_or_none(path, axes, skip):
    try:
        return header(path, axes)
    except (ValueError, OSError) as error:
        skip(fault_of(path, error))
        return None
