"""TIFF files: compression, axes, palettes, and the pixel size that a microscope writes."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile
from tifffile import PHOTOMETRIC

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_MICROMETRES = {
    **dict.fromkeys(("um", "µm", "μm", "micron", "microns"), 1.0),
    **{"nm": 1e-3, "mm": 1e3, "cm": 1e4, "m": 1e6, "inch": 25400.0},
}


def decode(data: bytes, *, fallback: Callable[[bytes], np.ndarray]) -> np.ndarray:
    """Decodes the first image series of a TIFF; `io.read` says what becomes of pages and planes.

    Args:
        data: the bytes of the file.
        fallback: decoder of single images whose compression (LZW, JPEG, ...) tifffile leaves to imagecodecs,
            which is not always installed.

    Returns:
        The pixels as stored, (H, W, C), with the palette applied and alpha dropped.

    Raises:
        ValueError: the file is a stack of images, or needs imagecodecs. Damaged files raise whatever tifffile
            raises.
    """
    with tifffile.TiffFile(io.BytesIO(data)) as tif:
        series = tif.series[0]
        page = series.keyframe
        axes = _image_axes(series.shape, series.axes)
        try:
            image = _channels_last(series.asarray(), series.axes, axes)
        except (ImportError, ValueError) as error:
            if isinstance(error, ValueError) and "imagecodecs" not in str(error):
                raise
            try:
                if axes not in ("YX", "YXS"):
                    raise ValueError("OpenCV reads single planes only")
                return fallback(data)
            except ValueError:
                raise ValueError(f"{error}; pip install imagecodecs") from None
    channels = axes[2:]
    if page.photometric == PHOTOMETRIC.PALETTE:
        return (page.colormap >> 8).astype(np.uint8)[:, image[..., 0]].transpose(1, 2, 0)
    if page.photometric == PHOTOMETRIC.MINISWHITE:
        return ~image if image.dtype.kind in "bu" else image.max() - image
    if channels == "S" and page.photometric == PHOTOMETRIC.RGB:
        return image[..., :3]
    if channels == "S" and page.photometric == PHOTOMETRIC.MINISBLACK and set(page.extrasamples) & {1, 2}:
        return image[..., :1]
    return image


def _image_axes(shape: tuple[int, ...], axes: str) -> str:
    """Returns "YX" and the channel axis, if there is one, of a series with these tifffile axes."""
    planes = [axis for axis, size in zip(axes, shape, strict=True) if axis not in "YX" and size > 1]
    few = len(planes) == 1 and planes[0] in "IQ" and shape[axes.index(planes[0])] <= 4
    if not (few or "".join(planes) in ("", "C", "S")):
        raise ValueError(
            f"an image has the axes Y, X and channels, this stack has {axes} {shape}. Save its planes as single files"
        )
    return "YX" + "".join(planes)


def _channels_last(pixels: np.ndarray, axes: str, wanted: str) -> np.ndarray:
    """Drops the axes of size 1 that are not wanted and brings the others into the wanted order, (H, W, C)."""
    kept = [axis for axis in axes if axis in wanted]
    pixels = pixels.squeeze(tuple(i for i, axis in enumerate(axes) if axis not in wanted))
    return np.atleast_3d(pixels.transpose([kept.index(axis) for axis in wanted]))


def encode(path: Path, image: np.ndarray, *, pixel_size: float | None = None) -> None:
    """Writes an image (H, W, C): RGB if it has three channels, else one plane a channel, as ImageJ does."""
    if image.shape[2] == 3:
        size = {} if pixel_size is None else {"resolution": (1e4 / pixel_size,) * 2, "resolutionunit": 3}
        tifffile.imwrite(path, image, photometric="rgb", metadata=None, **size)
    else:
        # ImageJ's dialect keeps channels apart from other planes, and micrometres as micrometres.
        size = {} if pixel_size is None else {"resolution": (1 / pixel_size,) * 2}
        metadata = {"axes": "CYX"} | ({} if pixel_size is None else {"unit": "um"})
        tifffile.imwrite(path, np.moveaxis(image, -1, 0), imagej=True, metadata=metadata, **size)


def read_pixel_size(path: str | os.PathLike) -> float | None:
    """Reads the pixel width of a TIFF, in micrometres, from OME or ImageJ metadata or the resolution tags.

    Returns:
        The size as the file has it (a scanner's 72 dpi included); None for other files and if there is none.
    """
    try:
        with tifffile.TiffFile(path) as tif:
            if tif.is_ome:
                images = tifffile.xml2dict(tif.ome_metadata)["OME"]["Image"]
                pixels = (images[0] if isinstance(images, list) else images)["Pixels"]
                return float(pixels["PhysicalSizeX"]) * _MICROMETRES[pixels.get("PhysicalSizeXUnit", "µm")]
            tags = tif.pages[0].tags
            pixels, units = tags["XResolution"].value
            if tif.is_imagej:
                unit = tif.imagej_metadata["unit"].replace("\\u00B5", "µ")
            else:
                unit = {2: "inch", 3: "cm"}[int(tags["ResolutionUnit"].value)]
            return _MICROMETRES[unit] * units / pixels
    except (tifffile.TiffFileError, KeyError, ValueError, ZeroDivisionError):
        return None
