"""TIFF files as images: which pages, which axes, which level of a pyramid."""

from __future__ import annotations

import io
import math
import os
from pathlib import Path
from typing import NamedTuple

import tifffile

from msrgan.io import axes as _axes
from msrgan.io.image import Image, PixelSize
from msrgan.io.source import check_level, check_size
from msrgan.io.tiff import metadata
from msrgan.io.tiff.colours import Painted, Samples, Stored, palette_of, samples_of
from msrgan.io.tiff.faults import watched
from msrgan.io.tiff.omexml import ome_of
from msrgan.io.tiff.segments import Planes
from msrgan.messages import warn_once

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def read(path: str | os.PathLike, *, axes: str | None = None, level: int = 0, max_pixels: int | None = None) -> Image:
    """Read the first image series of a TIFF; its pixels are decoded window by window, when they are asked for.

    If the file holds other images too, that is warned of.

    A file is RGB if its colours say so; its palette is applied, alpha is dropped, white-is-zero is turned round, and
    bits become 0 and 255. In a stack, and in files of ImageJ, a palette is a matter of show: the values stay.

    Args:
        path: the file.
        axes: what its dimensions are, in place of what it says itself: letters of C, Y, X, Z and T in the order in
            which they are stored, as "CYX". Files of a single plane need none.
        level: of a pyramid; 0 is the finest.
        max_pixels: the most pixels, all planes together, that its header may claim.

    Returns:
        The image, whose file stays open until it is closed or forgotten.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: `axes` are none of an image, or there is no such `level`.
        UnreadableImageError: the file is damaged, truncated or too large, its planes lie in several files, or it does
            not say what they are.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such image file")
    return _opened(path, path, axes, level, max_pixels)


def decode(data: bytes, name: object, *, axes: str | None = None) -> Image:
    """Read a TIFF from its bytes like `read`; `name` stands in the error messages."""
    return _opened(data, name, axes, 0, None)


def _opened(source: Path | bytes, name: object, axes: str | None, level: int, max_pixels: int | None) -> Image:
    axes = None if axes is None else _axes.check(axes)
    data = source if isinstance(source, bytes) else None
    tif = None
    try:
        with watched(name):
            # Other files are none of this image's business, whatever its metadata say.
            tif = tifffile.TiffFile(source if data is None else io.BytesIO(data), _multifile=False)
        with watched(name):
            _check_promises(tif)
            levels = _levels(tif.series)
            _check_whole(tif, levels[0])
        with watched(name):
            layout = _layout(levels[0], axes, name)
            check_size(layout.plane_sizes, max_pixels, name)
        _tell_of_others(tif.series, levels, name)
        check_level(level, len(levels), name)
        with watched(name):
            if level:
                layout = _layout(levels[level], axes, name)
                _check_whole(tif, levels[level])
            return _image(tif, levels, level, layout, name, source)
    except BaseException:
        if tif is not None:  # what was only logged is raised when it is open
            tif.close()
        raise


class _Layout(NamedTuple):
    """The dimensions of a series as they are stored.

    Attributes:
        shape: Y and X, or Y, X and interleaved samples, come last.
        letters: a letter for each; "" for dimensions of 1 that are left out.
        told: by the user, in place of what the file says.
        separate: the dimension of samples that lie in planes of their own.
        samples: that are kept.
    """

    shape: tuple[int, ...]
    letters: tuple[str, ...]
    told: bool
    separate: int | None
    samples: Samples

    @property
    def plane_sizes(self) -> tuple[int, ...]:
        """Lengths of the dimensions that are no samples."""
        return tuple(size for size, letter in zip(self.shape, self.letters, strict=True) if letter != "S")


def _layout(series: tifffile.TiffPageSeries, told: str | None, name: object) -> _Layout:
    page = series.keyframe
    separate, depth, rows, columns, interleaved = page.shaped
    shape, letters = list(series.get_shape(squeeze=False)), list(series.get_axes(squeeze=False))
    if interleaved == 1 and letters[-1] == "S":
        shape, letters = shape[:-1], letters[:-1]
    expected = [rows, columns] if interleaved == 1 else [rows, columns, interleaved]
    if interleaved > 1:
        letters[-1] = "S"
    place = None
    if separate > 1:
        place = len(shape) - len(expected) - (2 if depth > 1 else 1)
        letters[place] = "S"
    if shape[-len(expected) :] != expected or (place is not None and (place < 0 or shape[place] != separate)):
        raise ValueError(f"its axes {series.axes} {series.shape} do not fit its pages, {page.shape}")
    kept = [i for i, letter in enumerate(letters) if letter in "YX" or shape[i] > 1]
    own = "".join(letters[i] for i in kept)
    labels = _axes.label([shape[i] for i in kept], own, told, name)
    samples = samples_of(page)
    if "S" in labels and not samples.is_rgb:
        if "C" in labels:
            raise ValueError("its pixels have channels, and so have its pages. Save its pages as single files")
        one = page.samplesperpixel > 1 and len(samples.kept) == 1
        labels, kept = _without(labels, kept) if one else (labels.replace("S", "C"), kept)
    named = dict(zip(kept, labels, strict=True))
    all_letters = tuple(named.get(i, "") for i in range(len(shape)))
    return _Layout(tuple(shape), all_letters, told is not None and labels != own, place, samples)


def _without(labels: str, kept: list[int]) -> tuple[str, list[int]]:
    """Leave out the samples, of which one is left."""
    return labels.replace("S", ""), [i for i, letter in zip(kept, labels, strict=True) if letter != "S"]


def _image(
    tif: tifffile.TiffFile,
    levels: list[tifffile.TiffPageSeries],
    level: int,
    layout: _Layout,
    name: object,
    source: Path | bytes,
) -> Image:
    series = levels[level]
    page, data = series.keyframe, source if isinstance(source, bytes) else None
    if page.dtype is None or page.dtype.kind not in "buif":
        raise ValueError(f"pixels are integers or floats. Received: {page.dtype or 'a kind unknown'}")
    planes = Planes(tif, series, name, data)
    stored = Stored(planes, layout.shape, page, separate=layout.separate, kept=layout.samples.kept)
    pixels, axes = _axes.arrange(stored, layout.letters)
    table, kind = palette_of(page), metadata.format_of(tif, series)
    if table is not None and axes == "YX" and kind == "tiff":
        pixels = Painted(pixels, table)
        axes, table = pixels.axes, None
    known = metadata.read(tif, series, channels=dict(zip(axes, pixels.shape, strict=True)).get("C", 1), table=table)
    y, x = (layout.letters.index(letter) for letter in "YX")
    sizes = tuple((s[y], s[x]) for s in (one.get_shape(squeeze=False) for one in levels))
    size = known.pixel_size
    coarser = [fine / coarse for fine, coarse in zip(sizes[0], sizes[level], strict=True)]
    size = PixelSize(size.y and size.y * coarser[0], size.x and size.x * coarser[1], None if layout.told else size.z)
    return Image(
        pixels,
        axes,
        pixel_size=size,
        time_step=known.time_step,
        channels=known.channels,
        extra=known.extra,
        source=None if data is not None else source,
        format=kind,
        levels=sizes,
    )


def _levels(series: list[tifffile.TiffPageSeries]) -> list[tifffile.TiffPageSeries]:
    """Return the levels of the first image, the finest first; a pyramid may lie in pages that follow one another."""
    first = series[0]
    if len(first.levels) > 1:
        return list(first.levels)
    levels = [first]
    for other in series[1:]:
        rows, columns = first.keyframe.shaped[2:4]
        height, width = other.keyframe.shaped[2:4]
        scale = rows / max(1, height)
        alike = other.axes == first.axes and other.dtype == first.dtype and scale > 1
        smaller = height < levels[-1].keyframe.shaped[2]
        if alike and smaller and abs(columns / scale - width) <= 1:
            levels.append(other)
    return levels


def _tell_of_others(series: list[tifffile.TiffPageSeries], levels: list[tifffile.TiffPageSeries], name: object) -> None:
    """Warn of the images of a file that are not read."""
    count = 1 + sum(all(other is not level for level in levels) for other in series)
    if count > 1:
        sizes = f"{levels[0].axes} {'x'.join(map(str, levels[0].shape))}"
        warn_once(f"{name}: holds {count} images. The first is read, {sizes}. Save the others as files")


def _check_promises(tif: tifffile.TiffFile) -> None:
    """Compare the planes that metadata promise with the pages, before lists of that length are made.

    Raises:
        ValueError: some are missing, because the file is cut or they lie in other files.
    """
    ome = ome_of(tif)
    if ome is None:
        return
    others = ome.other_files(tif.filename)
    if others:
        raise ValueError(
            f"its planes lie in {len(others) + 1} files, such as {others[0]}. Save them as one file, or read each as "
            "a plain TIFF"
        )
    page = tif.pages.first
    planes = len(tif.pages) * math.prod(page.shaped) // max(1, math.prod(page.shaped[2:4]))
    if ome.planes > planes or ome.longest_run > len(tif.pages):
        raise ValueError("damaged or truncated TIFF: planes are missing")


def _check_whole(tif: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> None:
    """Check that a series holds the planes that the metadata promise, and the file their data.

    Raises:
        ValueError: it does not.
    """
    size = tif.filehandle.size
    planes = math.prod(series.shape) // max(1, math.prod(series.keyframe.shaped[2:4]))
    whole = planes >= metadata.promised_planes(tif)
    if series.dataoffset is not None:
        whole &= series.dataoffset + series.nbytes <= size
    else:
        whole &= all(page is not None and page.parent is tif and _is_stored(page, size) for page in series)
    if not whole:
        raise ValueError("damaged or truncated TIFF")


def _is_stored(page: tifffile.TiffPage | tifffile.TiffFrame, size: int) -> bool:
    """Tell whether all strips or tiles of a page lie within the file."""
    if page.keyframe.is_contiguous:
        return page.dataoffsets[0] + page.nbytes <= size
    segments = list(zip(page.dataoffsets, page.databytecounts, strict=True))
    complete = len(segments) == math.prod(page.keyframe.chunked)
    return complete and all(offset and count and offset + count <= size for offset, count in segments)
