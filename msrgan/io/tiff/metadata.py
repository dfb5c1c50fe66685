"""What a TIFF knows of its image beside the pixels: of OME, of ImageJ, of microscopes, of the resolution tags."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import tifffile

from msrgan.io.image import Channel, PixelSize
from msrgan.io.tiff.omexml import Ome, ome_of
from msrgan.io.tiff.units import MICROMETRES, SECONDS, positive

# Above it, the resolution of a plain TIFF of others is that of a scanner, a printer, or nothing: 2540 dots per inch.
COARSEST_TAG = 10.0
# What `Image` says by itself, or the writer knows anew.
_SAID = {
    *("ImageJ", "images", "channels", "slices", "frames", "order", "hyperstack", "axes"),
    *("unit", "yunit", "zunit", "tunit", "spacing", "finterval", "min", "max", "Ranges", "LUTs"),
}


class Known(NamedTuple):
    """What a file says of an image; see `msrgan.io.image.Image`."""

    pixel_size: PixelSize
    time_step: float | None
    channels: tuple[Channel, ...]
    extra: Mapping[str, Any]


def format_of(tif: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> str:
    """Return "imagej", "ome-tiff" or "tiff", by whose metadata the axes are read."""
    if series.kind == "imagej":
        return "imagej"
    return "ome-tiff" if tif.is_ome else "tiff"


def read(
    tif: tifffile.TiffFile, series: tifffile.TiffPageSeries, *, channels: int, table: np.ndarray | None = None
) -> Known:
    """Collect what a file says.

    Args:
        tif: the open file.
        series: its first image.
        channels: how many the image has; a description of another number is of something else.
        table: uint8 (3, values), a palette that is a matter of show.
    """
    kind = format_of(tif, series)
    if kind == "imagej":
        known = _imagej(tif, table)
    elif kind == "ome-tiff":
        known = _ome(tif)
    else:
        known = Known(_resolution(tif), None, (), _described(tif, series))
    if table is not None and not known.channels:
        known = known._replace(channels=(Channel(lut=_full(table)),) * channels)
    if len(known.channels) != channels or not any(part is not None for c in known.channels for part in c):
        known = known._replace(channels=())
    return known


def promised_planes(tif: tifffile.TiffFile) -> int:
    """Return how many planes, samples of a pixel included, ImageJ or OME metadata promise.

    Raises:
        ValueError: the metadata are damaged.
    """
    ome = ome_of(tif)
    if ome is not None:
        return ome.planes
    if tif.is_imagej:
        metadata = tif.imagej_metadata
        counts = math.prod(int(metadata.get(key, 1)) for key in ("channels", "slices", "frames"))
        return max(counts, int(metadata.get("images", 1)))
    return 1


def _ome(tif: tifffile.TiffFile) -> Known:
    ome = Ome(tif.ome_metadata)
    return Known(ome.pixel_size, ome.time_step, ome.channels, {"ome": tif.ome_metadata})


def _imagej(tif: tifffile.TiffFile, table: np.ndarray | None) -> Known:
    metadata = tif.imagej_metadata
    names = {axis: _unescaped(metadata.get(f"{axis}unit", metadata.get("unit", ""))) for axis in "xyz"}
    x, y = (_tag(tif, f"{axis}Resolution", MICROMETRES.get(names[axis.lower()])) for axis in "XY")
    if names["x"] in ("inch", "in") and x is not None and x > COARSEST_TAG:
        x = y = None  # what ImageJ takes from a picture that was scanned, or is to be printed
    size = PixelSize(y, x, positive(metadata.get("spacing"), MICROMETRES.get(names["z"])))
    step = positive(metadata.get("finterval"), SECONDS.get(_unescaped(metadata.get("tunit", "sec"))))
    left = {key: value for key, value in metadata.items() if key not in _SAID}
    return Known(size, step, _imagej_channels(metadata, table), {"imagej": left} if left else {})


def _imagej_channels(metadata: Mapping[str, Any], table: np.ndarray | None) -> tuple[Channel, ...]:
    """Return the channels' tables of colours and the range of values that each is shown by."""
    count = int(metadata.get("channels", 1))
    tables = metadata.get("LUTs", table)
    tables = [] if tables is None else [tables] if isinstance(tables, np.ndarray) else list(tables)
    ranges = metadata.get("Ranges")
    if not isinstance(ranges, (tuple, list)) or len(ranges) < 2 * count:
        ranges = (metadata.get("min"), metadata.get("max")) if count == 1 else (None,) * 2 * count
    channels = []
    for i in range(count):
        lut = _full(tables[i]) if len(tables) == count else None
        colour = None if lut is None else tuple(int(value) for value in lut[:, -1])
        channels.append(Channel(colour=colour, lut=lut, display=_range(*ranges[2 * i : 2 * i + 2])))
    return tuple(channels)


def _range(low: object, high: object) -> tuple[float, float] | None:
    try:
        low, high = float(low), float(high)
    except (TypeError, ValueError):
        return None
    return (low, high) if math.isfinite(low) and math.isfinite(high) and low < high else None


def _full(table: np.ndarray) -> np.ndarray | None:
    """Return a table of 256 colours, the only kind that ImageJ has."""
    table = np.asarray(table)
    return np.ascontiguousarray(table, np.uint8) if table.shape == (3, 256) else None


def _described(tif: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> dict[str, str]:
    """Return the description of a plain file, unless it says only how tifffile stored it."""
    text = tif.pages.first.description
    return {"description": text} if text and series.kind != "shaped" else {}


def _resolution(tif: tifffile.TiffFile) -> PixelSize:
    """Return the size that a microscope's own metadata, or the resolution tags, give."""
    lsm = tif.lsm_metadata if tif.is_lsm else None
    if lsm:
        return PixelSize(*(positive(lsm.get(f"VoxelSize{axis}"), 1e6) for axis in "YXZ"))
    unit = {2: MICROMETRES["inch"], 3: MICROMETRES["cm"]}.get(tif.pages.first.tags.valueof("ResolutionUnit", 2))
    x, y = (_tag(tif, f"{axis}Resolution", unit) for axis in "XY")
    if str(tif.pages.first.software).startswith("msrgan "):
        return PixelSize(y, x)
    return PixelSize(y, x) if max(x or 0, y or 0) <= COARSEST_TAG else PixelSize()


def _tag(tif: tifffile.TiffFile, name: str, unit: float | None) -> float | None:
    """Return the side of a pixel in micrometres from a tag (pixels, units)."""
    try:
        pixels, units = tif.pages.first.tags[name].value
        return positive(units / pixels, unit)
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None


def _unescaped(text: object) -> str:
    """Return a unit whose micro sign ImageJ wrote in letters."""
    return str(text).replace("\\u00B5", "µ").strip()
