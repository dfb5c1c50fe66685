"""How an image of any size is enlarged: rows of tiles, one after the other."""

import contextlib
import numbers
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from msrgan.io.image import Image
from msrgan.messages import say
from msrgan.models import Upscaler
from msrgan.upscaling.corrections import Consistency
from msrgan.upscaling.fields import Field, apply, fields, joined, strips
from msrgan.upscaling.limits import OVER, Levels, measure
from msrgan.upscaling.numbers import NAN, check_dtype, restored, uncounted
from msrgan.upscaling.tiling import Span, spans

# An image of fewer bytes is read once, whole; another twice, by and by.
SMALL = 1 << 25
# Of a row of tiles in the result: in a wider image tiles are lower, and as much longer, but not lower than this.
BAND = 1 << 25
LOWEST = 64


class Options(NamedTuple):
    """How an image is enlarged; `array.upscale` explains each."""

    tile: int = 256
    overlap: int | None = None
    batch: int | None = None
    clip: bool = False
    consistent: bool = False
    normalize_over: str = "stack"
    nan: str = "refuse"


class Rows(NamedTuple):
    """A row of tiles of the result: its first row, and the pixels (h, scale X, C) in the dtype of the plan."""

    top: int
    pixels: np.ndarray


class Plan:
    """An image, a model and how one is applied to the other.

    Attributes:
        dtype: of the result: that of the image, in the byte order of this machine.
        fields: what is enlarged at once, see `msrgan.upscaling.fields`.
        rows: of tiles, in each field.
        tiles: how many there are in all.
    """

    def __init__(self, model: Upscaler, image: Image, options: Options):
        """Check the arguments; no pixel is read.

        Raises:
            ValueError: the image does not fit the model, or an argument is wrong.
        """
        self.dtype = image.dtype.newbyteorder("=")
        check_dtype(self.dtype)
        if 0 in image.pixels.shape:
            raise ValueError(f"An image has pixels. Received: {image.axes} {tuple(image.pixels.shape)}")
        for name, value, known in (("normalize_over", options.normalize_over, OVER), ("nan", options.nan, NAN)):
            if value not in known:
                raise ValueError(f"`{name}` is one of {', '.join(known)}. Received: {value}")
        self.model, self.image = model, image
        self.fields = fields(image, model)
        self._consistency = Consistency(model.metadata["degradation"], model.scale) if options.consistent else None
        self._clip, self._over, self._nan = options.clip, options.normalize_over, options.nan
        tile, overlap = _check_tiles(options.tile, options.overlap, model, self._consistency)
        self._batch = 1 if options.batch is None else _positive("batch", options.batch)
        # As low as the width demands.
        row = model.scale**2 * image.sizes["X"] * image.dtype.itemsize * (3 if image.is_rgb else len(self.fields[0]))
        height = min(tile, max(LOWEST, BAND // row))
        self.rows = list(spans(image.sizes["Y"], tile=height, overlap=overlap))
        self._columns = list(spans(image.sizes["X"], tile=tile * tile // height, overlap=overlap))
        self.tiles = len(self.fields) * len(self.rows) * len(self._columns)
        self._residual = 0.0

    def run(self, ahead: Callable[[Iterator], Iterator] = iter) -> Iterator[tuple[Field, int, Rows | None]]:
        """Enlarge field after field, each from top to bottom.

        Args:
            ahead: hands on what an iterator of rows that are read yields.

        Yields:
            The field, how many tiles were done, and, with the last one of a row of tiles, the rows.

        Raises:
            ValueError: pixels are not finite, or those of the result are not.
            UnreadableImageError: the file is damaged.
        """
        if self.image.nbytes <= SMALL and not isinstance(self.image.pixels, np.ndarray):
            self.image = replace(self.image, pixels=_loaded(self.image))
        levels, image, windows = self.measure(), self.image, [span.window for span in self.rows]
        strips_of_fields = (
            (field, row, strip)
            for field in self.fields
            for row, strip in zip(self.rows, strips(image, field, windows, nan=self._nan), strict=True)
        )
        with contextlib.closing(ahead(strips_of_fields)) as read:
            for field, row, strip in read:
                yield from self._row(field, row, strip, Levels.joined([levels[index] for index in field]))
        if self._clip and self._consistency:
            say(f"Degraded again, the clipped result is the input to {self._residual:.2g} of its range, at worst")

    def measure(self) -> dict[tuple[int, ...], Levels]:
        """Look at all pixels; return the numbers of each plane by its index."""
        return measure(self.image, self.model.normalization, over=self._over, nan=self._nan)

    def row(
        self, field: Field, k: int, windows: Sequence[np.ndarray], levels: dict[tuple[int, ...], Levels]
    ) -> np.ndarray:
        """Enlarge one row of tiles, (h, scale X, C).

        Args:
            field: its planes.
            k: which of `rows`.
            windows: the pixels of its window, of full width, in each plane.
            levels: from `measure`.
        """
        strip = joined(windows, self._nan)
        *_, (_, _, rows) = self._row(field, self.rows[k], strip, Levels.joined([levels[index] for index in field]))
        return rows.pixels

    def _row(self, field: Field, row: Span, strip: np.ndarray, levels: Levels):
        """Enlarge a row of tiles; yield as `run` does."""
        scale, (_, width, channels) = self.model.scale, strip.shape
        height = (row.kept[1] - row.kept[0]) * scale
        pixels = np.empty((height, width * scale, channels), self.dtype)
        for first in range(0, len(self._columns), self._batch):
            columns = self._columns[first : first + self._batch]
            # Where nothing is to be seen a network may see something.
            if np.isnan(levels.even).any():
                self._batch_of_tiles(row, columns, strip, levels, pixels)
            done = first + len(columns) == len(self._columns)
            if done:
                for c in np.flatnonzero(~np.isnan(levels.even)):
                    pixels[..., c] = uncounted(levels.even[c], self.dtype)
            yield field, len(columns), Rows(row.kept[0] * scale, pixels) if done else None

    def _batch_of_tiles(self, row: Span, columns: list[Span], strip: np.ndarray, levels: Levels, out: np.ndarray):
        """Enlarge some tiles of a row, which lie in `strip`, and put what is kept of them into `out`."""
        scale = self.model.scale
        x = np.stack([levels.limits.normalize(strip[:, slice(*column.window)]) for column in columns])
        for lr, sr, column in zip(x, apply(self.model, x), columns, strict=True):
            if not np.isfinite(sr).all():
                raise ValueError(
                    "The model gives NaN or infinite pixels. Its training diverged, or the intensities of the image, "
                    f"from {levels.least.min():g} to {levels.most.max():g}, are extreme"
                )
            if self._consistency:
                sr = self._consistency(sr, lr)
                if self._clip:
                    self._note_residual(lr, sr, levels, row, column)
            kept = sr[row.inner(scale), column.inner(scale)]
            bounds = (levels.least, levels.most) if self._clip else None
            out[:, column.outer(scale)] = restored(kept, levels.limits, self.dtype, bounds)

    def _note_residual(self, lr: np.ndarray, sr: np.ndarray, levels: Levels, row: Span, column: Span) -> None:
        """Keep in mind how far a tile, clipped, is from agreeing with the input."""
        low, high = levels.limits
        clipped = np.clip(sr, (levels.least - low) / (high - low), (levels.most - low) / (high - low))
        errors = np.abs(self._consistency.degraded(clipped) - lr)[row.inner(1), column.inner(1)]
        self._residual = max(self._residual, float(errors.max()))


def _check_tiles(tile, overlap, model, consistency):
    """Return the side of a tile and its context."""
    reach = model.radius + (consistency.reach if consistency else 0)
    overlap = reach if overlap is None else overlap
    if not _is_whole_number(overlap) or overlap < reach:
        more = " and of `consistent`" if consistency else ""
        raise ValueError(f"overlap must be {reach} or more, the reach of the model{more}. Received: {overlap}")
    return _positive("tile", tile), int(overlap)


def _positive(name, value):
    if not _is_whole_number(value) or value < 1:
        raise ValueError(f"{name} must be a whole number of 1 or more. Received: {name}={value}")
    return int(value)


def _is_whole_number(value):
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _loaded(image: Image) -> np.ndarray:
    """Read all pixels of an image, plane by plane."""
    pixels = np.empty(image.pixels.shape, image.dtype)
    for index in image.indices():
        pixels[index] = image.read(index)
    return pixels
