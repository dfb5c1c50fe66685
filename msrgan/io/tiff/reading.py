"""TIFF files: compression, axes, palettes, and the pixel size that a microscope writes."""

from __future__ import annotations

import contextlib
import io
import logging
import math
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tifffile
from tifffile import COMPRESSION, EXTRASAMPLE, PHOTOMETRIC

from msrgan.io.axes import channels_last, label
from msrgan.io.source import Source

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_ALPHA = (EXTRASAMPLE.ASSOCALPHA, EXTRASAMPLE.UNASSALPHA)
_JPEG = (COMPRESSION.OJPEG, COMPRESSION.JPEG, COMPRESSION.ALT_JPEG, COMPRESSION.JPEG_LOSSY)
_MICROMETRES = {
    **dict.fromkeys(("um", "µm", "μm", "micron", "microns"), 1.0),
    **{"nm": 1e-3, "mm": 1e3, "cm": 1e4, "m": 1e6, "inch": 25400.0},
}


def decode(data: bytes, name: object, *, axes: str | None = None) -> Source:
    """Decode the first image series of a TIFF; `io.read` says what becomes of pages and planes.

    Args:
        data: the bytes of the file.
        name: of the file, for the messages.
        axes: of its pixels, where the file does not tell them or tells wrong ones, from `axes.check`.

    Returns:
        The pixels as stored, (H, W, C), with the palette applied and alpha dropped.

    Raises:
        ValueError: the file is a stack of images, or damaged. Damaged files raise also whatever tifffile raises.
    """
    with _FAULTS.watched() as faults, tifffile.TiffFile(io.BytesIO(data)) as tif:
        series = tif.series[0]
        if faults or not _is_whole(tif, series, len(data)):
            raise ValueError("damaged or truncated TIFF")
        dimensions = [
            (axis, size) for axis, size in zip(series.axes, series.shape, strict=True) if axis in "YX" or size > 1
        ]
        shape = tuple(size for _, size in dimensions)
        stored = "".join(axis for axis, _ in dimensions)
        labels = label(shape, stored, axes, name)
        # One worker: what tifffile logs in threads of its own would not be seen.
        pixels = channels_last(series.asarray(maxworkers=1).reshape(shape), labels)
        if faults:
            raise ValueError("damaged or truncated TIFF")
        samples = "S" in stored
        pixels, is_rgb = _colours(pixels, series.keyframe, samples=samples)
        return Source(pixels, is_rgb, _pixel_size(tif))


class _Faults(logging.Handler):
    """Collect the errors that tifffile only logs, thread by thread, whatever the level of its logger."""

    def __init__(self):
        super().__init__(logging.ERROR)
        self._logger = logging.getLogger("tifffile")
        self._local = threading.local()
        self._watchers = 0
        self._settings = None

    def emit(self, record: logging.LogRecord) -> None:
        """Note an error of the thread that is decoding."""
        getattr(self._local, "messages", []).append(record.getMessage())

    @contextlib.contextmanager
    def watched(self) -> Iterator[list[str]]:
        """Give the list that the errors of this thread appear in, and keep them from being printed meanwhile."""
        logger = self._logger
        with self.lock:
            if not self._watchers:
                self._settings = logger.level, logger.propagate
                logger.addHandler(self)
                logger.setLevel(logging.ERROR)
                logger.propagate = False
            self._watchers += 1
        self._local.messages = []
        try:
            yield self._local.messages
        finally:
            with self.lock:
                self._watchers -= 1
                if not self._watchers:
                    logger.removeHandler(self)
                    level, logger.propagate = self._settings
                    logger.setLevel(level)


_FAULTS = _Faults()


def _is_whole(tif: tifffile.TiffFile, series: tifffile.TiffPageSeries, size: int) -> bool:
    """Tell whether a series holds the planes that the metadata promise, and the file of `size` bytes their data."""
    planes = math.prod(n for axis, n in zip(series.axes, series.shape, strict=True) if axis not in "YX")
    if planes < _promised_planes(tif):
        return False
    if series.dataoffset is not None:
        return series.dataoffset + series.nbytes <= size
    return all(page is not None and _is_stored(page, size) for page in series)


def _promised_planes(tif: tifffile.TiffFile) -> int:
    """Return how many planes, channels of a pixel included, ImageJ or OME metadata promise."""
    if tif.is_ome:
        pixels = _ome_pixels(tif)
        return math.prod(int(pixels[f"Size{axis}"]) for axis in "CZT")
    if tif.is_imagej:
        metadata = tif.imagej_metadata
        counts = math.prod(int(metadata.get(key, 1)) for key in ("channels", "slices", "frames"))
        return max(counts, int(metadata.get("images", 1)))
    return 1


def _ome_pixels(tif: tifffile.TiffFile) -> dict:
    images = tifffile.xml2dict(tif.ome_metadata)["OME"]["Image"]
    return (images[0] if isinstance(images, list) else images)["Pixels"]


def _is_stored(page: tifffile.TiffPage | tifffile.TiffFrame, size: int) -> bool:
    """Tell whether all strips or tiles of a page lie within the file."""
    if page.keyframe.is_contiguous:
        return page.dataoffsets[0] + page.nbytes <= size
    segments = list(zip(page.dataoffsets, page.databytecounts, strict=True))
    complete = len(segments) == math.prod(page.keyframe.chunked)
    return complete and all(offset and count and offset + count <= size for offset, count in segments)


def _colours(image: np.ndarray, page: tifffile.TiffPage, *, samples: bool) -> tuple[np.ndarray, bool]:
    """Apply a palette, turn white-is-zero round, drop alpha; tell whether the result is RGB.

    Args:
        image: (H, W, C), as stored.
        page: the first of the image.
        samples: the channels are samples of a pixel, and not planes.
    """
    match page.photometric:
        case PHOTOMETRIC.PALETTE if image.shape[2] == 1:
            # Some programs write 8 bits of the 16.
            table = (page.colormap >> (8 if page.colormap.max() > 255 else 0)).astype(np.uint8)
            return np.dstack([colour[image[..., 0].astype(np.uint16)] for colour in table]), True
        case PHOTOMETRIC.MINISWHITE:
            if image.dtype.kind in "bu":
                return (~image if image.dtype == bool else np.subtract(2**page.bitspersample - 1, image)), False
            return image.max() - image, False
        case PHOTOMETRIC.RGB if samples and image.shape[2] <= 4:
            return image[..., :3], image.shape[2] >= 3
        case PHOTOMETRIC.YCBCR if samples and page.compression in _JPEG:  # tifffile makes RGB of it
            return image[..., :3], True
        case PHOTOMETRIC.MINISBLACK | PHOTOMETRIC.RGB if samples and page.extrasamples:
            colours = image.shape[2] - len(page.extrasamples)
            kept = [colours + i for i, kind in enumerate(page.extrasamples) if kind not in _ALPHA]
            return image[..., [*range(colours), *kept]], False
        case PHOTOMETRIC.MINISBLACK | PHOTOMETRIC.RGB | PHOTOMETRIC.PALETTE:
            return image, False
    raise ValueError(f"a TIFF is grey, RGB or has a palette, this one is {page.photometric!r}. Save it as RGB")


def encode(path: Path, image: np.ndarray, *, pixel_size: float | None = None, rgb: bool = True) -> None:
    """Write an image (H, W, C): RGB if it is so and has three channels, else one plane a channel, as ImageJ does."""
    if rgb and image.shape[2] == 3:
        size = {} if pixel_size is None else {"resolution": (1e4 / pixel_size,) * 2, "resolutionunit": 3}
        tifffile.imwrite(path, image, photometric="rgb", metadata=None, **size)
    else:
        # ImageJ's dialect keeps channels apart from other planes, and micrometres as micrometres.
        size = {} if pixel_size is None else {"resolution": (1 / pixel_size,) * 2}
        metadata = {"axes": "CYX"} | ({} if pixel_size is None else {"unit": "um"})
        planes = np.moveaxis(image, -1, 0)
        tifffile.imwrite(path, planes, imagej=True, photometric="minisblack", metadata=metadata, **size)


def _pixel_size(tif: tifffile.TiffFile) -> float | None:
    """Return the pixel width in micrometres, from OME or ImageJ metadata or the resolution tags.

    It is the size as the file has it, a scanner's 72 dpi included.
    """
    try:
        size = _stored_size(tif)
    except (AttributeError, KeyError, TypeError, ValueError, ArithmeticError):
        return None
    return size if 0 < size < math.inf else None


def _stored_size(tif: tifffile.TiffFile) -> float:
    if tif.is_ome:
        pixels = _ome_pixels(tif)
        return float(pixels["PhysicalSizeX"]) * _MICROMETRES[pixels.get("PhysicalSizeXUnit", "µm")]
    tags = tif.pages[0].tags
    pixels, units = tags["XResolution"].value
    if tif.is_imagej:
        unit = tif.imagej_metadata["unit"].replace("\\u00B5", "µ")
    else:
        unit = {2: "inch", 3: "cm"}[int(tags["ResolutionUnit"].value)]
    return _MICROMETRES[unit] * units / pixels
