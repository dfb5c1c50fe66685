"""The pixels of a level of an OME-Zarr image, and whether all of them are there."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from msrgan.io.source import UnreadableImageError
from msrgan.messages import warn


class Level:
    """The pixels of a level; what is wrong with a chunk is told as an error of the file."""

    def __init__(self, array: Any, path: Path):
        self._array, self._path = array, path
        self.shape, self.dtype = tuple(array.shape), np.dtype(array.dtype).newbyteorder("=")
        codecs = [type(codec).__name__ for codec in array.compressors]
        self._is_blosc = codecs[-1:] in (["Blosc"], ["BloscCodec"]) and array.shards is None
        self._stored = array.shards or array.chunks
        self._whole: set[tuple[int, ...]] = set()

    def __getitem__(self, key: tuple[int | slice, ...]) -> np.ndarray:
        """Read a block.

        Raises:
            UnreadableImageError: a chunk is damaged.
        """
        with _damage(self._path):
            self._check_chunks(key)
            return np.asarray(self._array[key]).astype(self.dtype, copy=False)

    def _check_chunks(self, key: tuple[int | slice, ...]) -> None:
        """Check the lengths of the files of a block, once each.

        Of an empty shard zarr makes pixels with the fill value; Blosc reads on beyond the end of a truncated chunk.

        Raises:
            ValueError: one is empty, or has not the length that its header tells.
        """
        ranges = []
        for part, size, chunk in zip(key, self.shape, self._stored, strict=True):
            first, last = part.indices(size)[:2] if isinstance(part, slice) else (part, part + 1)
            ranges.append(range(first // chunk, -(-last // chunk)))
        for place in set(itertools.product(*ranges)) - self._whole:
            path = self._path / self._array.metadata.encode_chunk_key(place)
            if path.is_file() and not self._is_whole(path):
                raise ValueError(f"chunk {path.relative_to(self._path)} is truncated")
            self._whole.add(place)

    def _is_whole(self, path: Path) -> bool:
        size = path.stat().st_size
        if not self._is_blosc:
            return size > 0
        with open(path, "rb") as file:
            # version, codec, flags, typesize; then the lengths of the pixels, of a block, and of the chunk
            header = file.read(16)
        return len(header) == 16 and int.from_bytes(header[12:], "little") == size


@contextlib.contextmanager
def _damage(path: Path) -> Iterator[None]:
    try:
        yield
    except (MemoryError, IndexError):
        raise
    except Exception as error:  # each codec has its own
        raise UnreadableImageError(f"{path}: damaged pixels ({text_of(error)})") from error


def check_chunks(path: Path, array: Any, *, complete: bool) -> None:
    """Look for missing chunks.

    Args:
        path: the folder of the array.
        array: of a level.
        complete: the file says that all were stored.

    Raises:
        UnreadableImageError: all are missing, or some of a file that says that all were stored; or they have no pixels.
    """
    sizes = array.shards or array.chunks
    if 0 in (*sizes, *array.chunks):
        raise UnreadableImageError(f"{path}: damaged OME-Zarr image (its chunks have the size {tuple(sizes)})")
    expected = math.prod(-(-n // size) for n, size in zip(array.shape, sizes, strict=True))
    # Counted on disk: listing the keys of an array that claims to be huge would take forever.
    stored = sum(not name.startswith(".") and name != "zarr.json" for _, _, names in os.walk(path) for name in names)
    missing = expected - stored
    if missing <= 0:
        return
    count = f"{missing} of {expected} chunks are missing"
    if complete or not stored:
        raise UnreadableImageError(f"{path}: truncated or incomplete copy ({count})")
    warn(f"{path}: {count}; their pixels are read as {array.fill_value}. If the file is a copy, check that it is whole")


def text_of(error: Exception) -> str:
    """Return the message of an error on one line."""
    return " ".join(str(error).split()) or type(error).__name__
