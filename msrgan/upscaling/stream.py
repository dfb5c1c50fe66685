"""Enlarge an image of any size, row of tiles by row of tiles, in memory that does not grow with it."""

import contextlib
import queue
import tempfile
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np

from msrgan.io.image import BAND_BYTES, Band, Image
from msrgan.models import Upscaler
from msrgan.upscaling.plan import Options, Plan

_Item = TypeVar("_Item")
# Rows read ahead of the network, and tiles enlarged ahead of who takes them.
_STRIPS, _TILES = 1, 8


def bands(
    model: Upscaler, image: Image, *, progress: Callable[[int, int], None] | None = None, **options: Any
) -> Iterator[Band]:
    """Enlarge an image in Y and X; planes come in the order of its file, each from top to bottom.

    Pixels are read while those before are enlarged, and enlarged while those before are written. Close the iterator if
    not all of it is used.

    Args:
        model: from `load`.
        image: pixels may still lie in the file.
        progress: is called with (tiles done, tiles in all), in the thread that takes the bands.
        options: fields of `plan.Options`.

    Returns:
        Bands of full width, in the dtype of the image and the byte order of this machine; planes that a model takes
        together wait in a temporary file.

    Raises:
        ValueError: at once: the image does not fit the model, or an option is wrong; later: pixels are not finite.
        UnreadableImageError: later: the file is damaged.
    """
    plan = Plan(model, image, Options(**options))
    parts = _rows(plan, progress)
    return _together(plan, parts) if len(plan.fields[0]) > 1 else _one_by_one(plan, parts)


def ahead(items: Iterator[_Item], count: int) -> Iterator[_Item]:
    """Yield what a generator yields, which runs up to `count` items ahead in a thread of its own."""
    results: queue.Queue[tuple[Any, BaseException | None]] = queue.Queue(count)
    stopped, end = threading.Event(), object()

    def work():
        try:
            with contextlib.closing(items):
                for item in items:
                    results.put((item, None))
                    if stopped.is_set():
                        return
            results.put((end, None))
        except BaseException as error:  # is raised where the items are taken
            results.put((end, error))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while (result := results.get())[0] is not end:
            yield result[0]
        if result[1] is not None:
            raise result[1]
    finally:
        stopped.set()
        while thread.is_alive():
            # It may wait for room in the queue.
            with contextlib.suppress(queue.Empty):
                results.get_nowait()
            thread.join(0.01)


def _rows(plan: Plan, progress: Callable[[int, int], None] | None) -> Iterator[tuple]:
    """Yield each field with one row of its tiles after the other."""
    done = 0
    with contextlib.closing(ahead(plan.run(lambda items: ahead(items, _STRIPS)), _TILES)) as parts:
        for field, tiles, rows in parts:
            done += tiles
            if progress:
                progress(done, plan.tiles)
            if rows is not None:
                yield field, rows


def _one_by_one(plan: Plan, parts: Iterator[tuple]) -> Iterator[Band]:
    """Yield the bands of fields of one plane each."""
    with contextlib.closing(parts):
        for (index,), rows in parts:
            yield Band(index, rows.top, rows.pixels if plan.image.is_rgb else rows.pixels[..., 0])


def _together(plan: Plan, parts: Iterator[tuple]) -> Iterator[Band]:
    """Yield the bands of fields of several planes: plane by plane, when all planes are there that lie among theirs.

    In a stack of axes TZC those are the planes of a field; in TCZ, those of all fields of a T.
    """
    image, scale = plan.image, plan.model.scale
    before = image.stack.index("C")
    count = int(np.prod(image.pixels.shape[before:-2], dtype=np.int64))
    height, width = image.sizes["Y"] * scale, image.sizes["X"] * scale
    indices = image.indices()
    groups = [indices[first : first + count] for first in range(0, len(indices), count)]
    with contextlib.closing(parts):
        for group in groups:
            with contextlib.closing(_Spool(group, height, width, plan.dtype)) as spool:
                while not spool.is_full:
                    field, rows = next(parts)
                    for c, index in enumerate(field):
                        spool.write(index, rows.top, rows.pixels[..., c])
                yield from spool.bands()


class _Spool:
    """Planes (height, width) in a temporary file, in memory while they are few."""

    def __init__(self, indices: list[tuple[int, ...]], height: int, width: int, dtype: np.dtype):
        self._places = {index: place for place, index in enumerate(indices)}
        self._height, self._width, self._dtype = height, width, dtype
        self._missing = len(indices) * height
        self._file = tempfile.SpooledTemporaryFile(BAND_BYTES)  # noqa: SIM115

    @property
    def is_full(self) -> bool:
        """Whether all rows of all planes were written."""
        return not self._missing

    def write(self, index: tuple[int, ...], top: int, rows: np.ndarray) -> None:
        """Write some rows of a plane."""
        self._file.seek((self._places[index] * self._height + top) * self._width * self._dtype.itemsize)
        self._file.write(np.ascontiguousarray(rows).data)
        self._missing -= len(rows)

    def bands(self) -> Iterator[Band]:
        """Yield all planes, in the order of their file, from top to bottom."""
        self._file.seek(0)
        row = self._width * self._dtype.itemsize
        step = max(1, BAND_BYTES // row)
        for index in self._places:
            for top in range(0, self._height, step):
                rows = min(step, self._height - top)
                pixels = np.frombuffer(self._file.read(rows * row), self._dtype)
                yield Band(index, top, pixels.reshape(rows, self._width))

    def close(self) -> None:
        """Remove the file."""
        self._file.close()
