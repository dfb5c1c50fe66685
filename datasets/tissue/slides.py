"""Large images and whole-slide files, cut into tiles band by band, so that a slide never lies in memory whole."""

import contextlib
import importlib.util
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import tifffile

from msrgan import io
from msrgan.datasets.listing import list_files, list_images
from msrgan.io.outputs import LISTED

# What tiffslide reads in full: Hamamatsu, Leica and Aperio (it does not stitch Ventana's .bif), and tiled TIFFs.
SLIDE_SUFFIXES = (".ndpi", ".scn", ".svs")
# A pixel is background where it is bright and colourless; both limits are fractions of the full scale.
BRIGHT, COLOURLESS = 0.8, 0.1
_FULL_SCALES = (1023, 4095, 16383, 65535)
_COLOUR = ("RGB", "YCBCR")
_TIFF_SUFFIXES = (".tif", ".tiff")
_SLIDES_EXTRA = "Whole-slide files are read by tiffslide. Install it: pip install 'msrgan[slides]'"


def list_sources(folder: Path, *, skip: Callable[[str], object]) -> list[Path]:
    """List the images and whole-slide files below a folder, at any depth, sorted; see `listing`.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: it holds none, or only slides and tiffslide is not installed.
    """
    slides = list_files(folder, SLIDE_SUFFIXES, skip=skip)
    try:
        pictures = list_images(folder, skip=skip)
    except ValueError:
        if not slides:
            suffixes = " ".join(sorted((*LISTED, *SLIDE_SUFFIXES)))
            raise ValueError(f"A folder of tissue holds images or slides ({suffixes}). Received: {folder}.") from None
        if not _has_tiffslide():
            raise ValueError(f"{_SLIDES_EXTRA}. Received: {folder}, which holds slides only.") from None
        pictures = []
    return sorted(pictures + slides)


def tiles(
    path: Path, *, tile: int, stride: int, background: float = 1.0, level: int = 0
) -> Iterator[tuple[int, int, np.ndarray]]:
    """Cut an image or slide into tiles, row by row from the top left; what is left at the edges is not used.

    Args:
        path: an image that `io.read_pixels` reads, or a slide (`SLIDE_SUFFIXES`, or a tiled TIFF).
        tile: side of a tile in pixels.
        stride: from one tile to the next in pixels, along both axes.
        background: leave out a tile with a larger `background_fraction` than this.
        level: of a pyramid, 0 the largest. Other images have only level 0.

    Yields:
        The top row and the left column of a tile, in pixels of the level, and the tile, (tile, tile, C) uint8 or
        uint16, with the channels and values of the file.

    Raises:
        ValueError: naming the file: it cannot be read (`io.UnreadableImageError`), is smaller than a tile, lacks
            the level, or holds pixels of another type.
    """
    bands = _slide_bands if _is_slide(path) else _image_bands
    for top, band in bands(path, tile, stride, level):
        if band.dtype not in (np.uint8, np.uint16):
            raise ValueError(f"{path}: tissue has 8 or 16 bits. Received: {band.dtype} pixels. Convert it")
        for left in range(0, band.shape[1] - tile + 1, stride):
            cut = band[:, left : left + tile]
            if background_fraction(cut) <= background:
                yield top, left, cut


def background_fraction(tile: np.ndarray) -> float:
    """Return the fraction of pixels of a tile (H, W, C), uint8 or uint16, that show no tissue.

    That is glass, bright and colourless: all channels at 0.8 of the full scale or more, and at most 0.1 of it apart.
    Of a colour image it is also what was not scanned and is filled with zeros. The full scale is 255, or with 16 bits
    that of 10, 12, 14 or 16 bits which holds the brightest pixel of the tile: cameras do not fill 16 bits.
    """
    brightest, darkest = tile.max(axis=-1), tile.min(axis=-1)
    scale = 255
    if tile.dtype == np.uint16:
        scale = next(s for s in _FULL_SCALES if brightest.max() <= s)
    glass = (darkest >= BRIGHT * scale) & (brightest - darkest <= COLOURLESS * scale)
    if tile.shape[-1] == 3:
        glass |= brightest == 0
    return float(glass.mean())


def _tops(path, height, width, tile, stride):
    if min(height, width) < tile:
        raise ValueError(f"{path}: {height}x{width} pixels are smaller than a tile of {tile}x{tile}")
    return range(0, height - tile + 1, stride)


def _image_bands(path, tile, stride, level):
    if path.suffix.lower() in SLIDE_SUFFIXES:
        raise ValueError(f"{path}: {_SLIDES_EXTRA}")
    if level:
        raise ValueError(f"{path}: has only level 0. Received: level={level}")
    image = io.read_pixels(path)
    for top in _tops(path, *image.shape[:2], tile, stride):
        yield top, image[top : top + tile]


def _slide_bands(path, tile, stride, level):
    """Read bands of `tile` rows across the whole width: of neighbouring tiles, a compressed block is decoded once."""
    with _open_slide(path) as slide:
        levels = slide.level_dimensions
        if level >= len(levels):
            raise ValueError(f"{path}: has the levels 0 to {len(levels) - 1}. Received: level={level}")
        width, height = levels[level]
        colour = slide.ts_tifffile.pages[0].photometric.name in _COLOUR
        for top in _tops(path, height, width, tile, stride):
            location = 0, _base_row(top, slide.level_downsamples[level])
            try:
                band = slide.read_region(location, level, (width, tile), as_array=True)
            except Exception as error:  # decoders raise anything on damaged data
                raise io.UnreadableImageError(f"{path}: damaged or truncated after row {top}") from error
            yield top, band[..., :3] if colour else band  # without alpha


def _base_row(row, downsample):
    """Return a row of level 0 from which tiffslide, which divides and rounds down, gets back to `row` of a level."""
    base = int(row * downsample)
    while int(base / downsample) < row:
        base += 1
    return base


def _is_slide(path):
    """Tell whether a file is left to tiffslide."""
    if not _has_tiffslide():
        return False
    if path.suffix.lower() in SLIDE_SUFFIXES:
        return True
    try:
        return path.suffix.lower() in _TIFF_SUFFIXES and _is_tiled(path)
    except Exception:  # damaged: `io.read_pixels` says so
        return False


def _is_tiled(path):
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        plain = page.photometric.name in (*_COLOUR, "MINISBLACK")
        return page.is_tiled and plain and file.series[0].axes in ("YX", "YXS", "CYX")


@contextlib.contextmanager
def _open_slide(path):
    from tiffslide import TiffSlide

    with contextlib.ExitStack() as stack:
        try:
            slide = stack.enter_context(TiffSlide(path))
            _check_complete(slide.ts_tifffile)
            with warnings.catch_warnings():
                # It says of every Hamamatsu file that it does not read all of its metadata.
                warnings.simplefilter("ignore", UserWarning)
                slide.level_dimensions  # noqa: B018, read now and kept
        except Exception as error:  # tifffile raises anything on damaged files
            raise io.UnreadableImageError(f"{path}: damaged, truncated, or no slide for tiffslide") from error
        yield slide


def _check_complete(file):
    """Refuse a file that ends before its pixels do: where they are missing, tifffile would give zeros."""
    for page in (page for series in file.series for level in series.levels for page in level if page):
        ends = (offset + count for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True))
        if max(ends, default=0) > file.filehandle.size:
            raise ValueError("truncated")


def _has_tiffslide():
    return importlib.util.find_spec("tiffslide") is not None
