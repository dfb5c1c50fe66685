"""What stored values mean: white-is-zero, bits, alpha, RGB samples, palettes; applied window by window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tifffile
from tifffile import EXTRASAMPLE, PHOTOMETRIC

from msrgan.io.image import Pixels
from msrgan.io.tiff.segments import JPEG, Planes

_ALPHA = (EXTRASAMPLE.ASSOCALPHA, EXTRASAMPLE.UNASSALPHA)
_BAND = 1 << 22


class Samples(NamedTuple):
    """Which samples of a pixel are kept, and whether they are red, green and blue."""

    kept: tuple[int, ...]
    is_rgb: bool


def samples_of(page: tifffile.TiffPage) -> Samples:
    """Tell RGB, where the page says so, from channels; alpha is dropped.

    Raises:
        ValueError: the colours are others than grey, RGB and palettes, as those of printers.
    """
    count = page.samplesperpixel
    everything = tuple(range(count))
    match page.photometric:
        case PHOTOMETRIC.RGB if 3 <= count <= 4:
            return Samples((0, 1, 2), True)
        case PHOTOMETRIC.YCBCR if count >= 3 and page.compression in JPEG:  # tifffile makes RGB of it
            return Samples((0, 1, 2), True)
        case PHOTOMETRIC.MINISBLACK | PHOTOMETRIC.RGB if page.extrasamples:
            colours = count - len(page.extrasamples)
            kept = [colours + i for i, kind in enumerate(page.extrasamples) if kind not in _ALPHA]
            return Samples((*range(colours), *kept), False)
        case PHOTOMETRIC.MINISBLACK | PHOTOMETRIC.RGB | PHOTOMETRIC.PALETTE | PHOTOMETRIC.MINISWHITE:
            return Samples(everything, False)
    raise ValueError(f"a TIFF is grey, RGB or has a palette, this one is {page.photometric!r}. Save it as RGB")


def palette_of(page: tifffile.TiffPage) -> np.ndarray | None:
    """Return the colours of the values of a page, uint8 (3, values), or None."""
    if page.photometric != PHOTOMETRIC.PALETTE or page.colormap is None:
        return None
    # Some programs write 8 bits of the 16.
    return (page.colormap >> (8 if page.colormap.max() > 255 else 0)).astype(np.uint8)


class Stored:
    """Planes as an array with all dimensions of a file, black at zero, bits as 0 and 255, without alpha.

    Args:
        planes: of the file.
        shape: of the file's array; Y and X, then the samples if they are interleaved, come last.
        page: that stands for all.
        separate: the dimension of the samples, if they lie in planes of their own.
        kept: which samples are kept.
    """

    def __init__(
        self,
        planes: Planes,
        shape: Sequence[int],
        page: tifffile.TiffPage,
        *,
        separate: int | None,
        kept: tuple[int, ...],
    ):
        self._planes, self._kept, self._separate = planes, kept, separate
        self._interleaved = planes.shape[3] > 1
        self._lead = tuple(shape[: len(shape) - (3 if self._interleaved else 2)])
        self._white = 2**page.bitspersample - 1 if page.photometric == PHOTOMETRIC.MINISWHITE else None
        self._tops: dict[int, np.generic] = {}
        sizes = list(shape)
        if self._interleaved or separate is not None:
            sizes[-1 if self._interleaved else separate] = len(kept)
        self.shape = tuple(sizes)
        self.dtype = np.dtype(np.uint8) if planes.dtype == bool else planes.dtype

    def close(self) -> None:
        """Close the file."""
        self._planes.close()

    def __getitem__(self, key: tuple[slice, ...]) -> np.ndarray:
        """Return the block of a slice, from start to stop, for each dimension."""
        n = len(self._lead)
        lead, (rows, columns) = key[:n], key[n : n + 2]
        block = np.empty([part.stop - part.start for part in key], self.dtype)
        for place in np.ndindex(block.shape[:n]):
            index = [part.start + i for part, i in zip(lead, place, strict=True)]
            if self._separate is not None:
                index[self._separate] = self._kept[index[self._separate]]
            plane = int(np.ravel_multi_index(index, self._lead)) if index else 0
            window = self._positive(plane, self._planes.window(plane, rows, columns))
            block[place] = window[..., list(self._kept[key[-1]])] if self._interleaved else window[..., 0]
        return block

    def _positive(self, plane: int, window: np.ndarray) -> np.ndarray:
        """Let zero be black."""
        if self._white is not None:
            window = ~window if window.dtype == bool else self._inverted(plane, window)
        return window.view(np.uint8) * np.uint8(255) if window.dtype == bool else window

    def _inverted(self, plane: int, window: np.ndarray) -> np.ndarray:
        if window.dtype.kind == "u":
            return np.subtract(self._white, window, dtype=window.dtype)
        if plane not in self._tops:
            self._tops[plane] = self._top(plane)
        inverted = self._tops[plane] - window
        if window.dtype.kind == "i" and inverted.size and inverted.min() < 0:
            raise ValueError("white is zero, and the values are too far apart to be turned round")
        return inverted

    def _top(self, plane: int) -> np.generic:
        """Return the largest value of a plane, which is white where no number of bits says what is."""
        _, rows, columns, samples = self._planes.shape
        height = max(1, _BAND // (columns * samples))
        bands = (slice(top, min(top + height, rows)) for top in range(0, rows, height))
        tops = [np.fmax.reduce(self._planes.window(plane, band, slice(0, columns)), axis=None) for band in bands]
        return np.fmax.reduce(tops)


class Painted:
    """A grey plane (Y, X) in the colours of its palette, (Y, X, 3), or in its greys, where a palette is nothing else.

    Args:
        pixels: values, (Y, X).
        table: uint8 (3, values).
    """

    def __init__(self, pixels: Pixels, table: np.ndarray):
        self._pixels = pixels
        self._grey = bool((table == table[:1]).all())
        self._table = np.ascontiguousarray(table[0] if self._grey else table.T)
        self.shape = (*pixels.shape, *self._table.shape[1:])
        self.axes = "YX" if self._grey else "YXS"
        self.dtype = np.dtype(np.uint8)

    def __getitem__(self, key: tuple[int | slice, ...]) -> np.ndarray:
        """Return a block; see `msrgan.io.image.Pixels`."""
        colours = self._table[np.asarray(self._pixels[key[:2]])]
        return colours[(..., *key[2:])]

    def close(self) -> None:
        """Close the file."""
        getattr(self._pixels, "close", lambda: None)()
