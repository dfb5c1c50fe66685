"""The metadata of an OME-Zarr image, read into the fields of `Image` and written from them.

    multiscales   the axes with their units; for each level its array, scale and translation
    omero         labels, colours and windows of the channels: `ngff_channels`
    msrgan        ours: how the pixels were computed, and what the specification has no place for

A translation is where the centre of the first pixel lies. A scale without a unit is no pixel size: it is carried over
as it is. Sources: OME-NGFF 0.4 and 0.5, https://ngff.openmicroscopy.org.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from msrgan.io import ngff_channels
from msrgan.io.image import Image, PixelSize

# Attributes that describe the arrays or the program of the file that was read.
_OWN = ("multiscales", "omero", "ome", "labels", "image-label", "plate", "well", "msrgan", "_creator")
_CARRIED = ("description", "imagej", "ome", "vendor")
_TYPES = {"T": "time", "C": "channel", "Z": "space", "Y": "space", "X": "space"}
_UNITS = {"T": "second", "Z": "micrometer", "Y": "micrometer", "X": "micrometer"}
_METRES = {"pico": 1e-6, "nano": 1e-3, "micro": 1.0, "milli": 1e3, "centi": 1e4, "deci": 1e5, "": 1e6, "kilo": 1e9}
_MICROMETRES = {
    **{f"{prefix}meter": factor for prefix, factor in _METRES.items()},
    **dict.fromkeys(("um", "µm", "μm", "micron"), 1.0),
    **{"angstrom": 1e-4, "nm": 1e-3, "mm": 1e3, "cm": 1e4, "m": 1e6, "inch": 25400.0},
}
_SECONDS = {
    **{"picosecond": 1e-12, "nanosecond": 1e-9, "microsecond": 1e-6, "millisecond": 1e-3, "second": 1.0},
    **{"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "sec": 1.0},
    **{"minute": 60.0, "hour": 3600.0, "day": 86400.0},
}


def axes_of(multiscale: Mapping) -> str:
    """Return the letter of each axis.

    Raises:
        ValueError: there is an axis that an `Image` does not have.
    """
    letters = {"time": "T", "channel": "C"}
    axes = [letters.get(axis.get("type"), axis["name"].upper()) for axis in multiscale["axes"]]
    if not set(axes) <= set(_TYPES):
        names = ", ".join(axis["name"] for axis in multiscale["axes"])
        raise ValueError(f"the axes of an image are t, c, z, y and x. Received: {names}")
    return "".join(axes)


def grid_of(multiscale: Mapping, level: int, axes: str, shape: Sequence[int]) -> dict[str, dict]:
    """Return for each axis {"size", "scale", "offset", "unit"}, in micrometres and seconds where the unit is known.

    Raises:
        ValueError: a transformation is damaged. Metadata of another form raise KeyError, TypeError or AttributeError.
    """
    steps = [
        *multiscale["datasets"][level].get("coordinateTransformations", ()),
        *multiscale.get("coordinateTransformations", ()),
    ]
    if not steps:
        return {}
    scale, offset = np.ones(len(axes)), np.zeros(len(axes))
    for step in steps:
        if step["type"] not in ("identity", "scale", "translation"):
            raise ValueError(f"transformations are scales and translations. Received: {step['type']}")
        values = np.asarray(step.get(step["type"], np.ones(len(axes))), float)
        if values.shape != scale.shape or not np.isfinite(values).all():
            raise ValueError(f"a transformation has a number for each axis. Received: {step}")
        if step["type"] == "scale":
            if (values <= 0).any():
                raise ValueError(f"a scale is above 0. Received: {step}")
            scale, offset = scale * values, offset * values
        elif step["type"] == "translation":
            offset = offset + values
    grid = {}
    for place, axis in enumerate(axes):
        unit = multiscale["axes"][place].get("unit")
        factor = (_SECONDS if axis == "T" else _MICROMETRES).get(str(unit).lower()) if axis in _UNITS else None
        grid[axis] = {
            "size": int(shape[place]),
            "scale": float(scale[place]) * (factor or 1.0),
            "offset": float(offset[place]) * (factor or 1.0),
            "unit": _UNITS[axis] if factor else unit,
        }
    return grid


def sizes_of(grid: Mapping[str, Mapping]) -> tuple[PixelSize, float | None]:
    """Return the pixel size and the time step of a grid."""
    known = {axis: place["scale"] for axis, place in grid.items() if place["unit"] == _UNITS.get(axis, "")}
    return PixelSize(known.get("Y"), known.get("X"), known.get("Z")), known.get("T")


def carried_of(attributes: Mapping, multiscale: Mapping, omero: Mapping, grid: Mapping) -> dict[str, Any]:
    """Return what `Image.extra` carries on of the attributes of a group."""
    ours = attributes.get("msrgan", {})
    extra = {
        "provenance": ours.get("provenance", {}),
        "attributes": {key: value for key, value in attributes.items() if key not in _OWN},
        "ngff": {"name": multiscale.get("name"), "grid": grid, **ngff_channels.settings_of(omero)},
        **{key: value for key, value in ours.get("carried", {}).items() if key in _CARRIED},
    }
    return {key: value for key, value in extra.items() if value}


def attributes(
    image: Image,
    axes: str,
    sizes: Sequence[tuple[int, int]],
    ranges: Sequence[tuple[float, float]],
    *,
    name: str,
    version: str,
) -> dict[str, Any]:
    """Return the attributes of a group.

    Args:
        image: that is written.
        axes: of the arrays.
        sizes: (Y, X) of each level.
        ranges: the least and the greatest value of each channel.
        name: of the image, where it has none.
        version: of the specification, "0.4" or "0.5".
    """
    multiscale = {"name": image.extra.get("ngff", {}).get("name") or name, **_multiscale(image, axes, sizes)}
    omero, of_channels = ngff_channels.omero(image, ranges)
    carried = {key: image.extra[key] for key in _CARRIED if image.extra.get(key)}
    ours = {"provenance": image.extra.get("provenance"), "carried": carried, **of_channels}
    ours = {"chunks": "all are stored", **{key: value for key, value in ours.items() if value}}
    if version == "0.4":
        standard = {"multiscales": [{"version": version, **multiscale}]}
        standard |= {"omero": {"version": version, **omero}} if omero else {}
    else:
        standard = {"ome": {"version": version, "multiscales": [multiscale], **({"omero": omero} if omero else {})}}
    return _as_json({**image.extra.get("attributes", {}), **standard, "msrgan": ours})


def _multiscale(image: Image, axes: str, sizes: Sequence[tuple[int, int]]) -> dict:
    grid = _grid(image, axes)
    datasets = []
    for level in range(len(sizes)):
        factors = [2**level if axis in "YX" else 1 for axis in axes]
        scale = [grid[axis]["scale"] * factor for axis, factor in zip(axes, factors, strict=True)]
        # The first pixel of a level covers several of the finest: its centre lies between theirs.
        offset = [
            grid[axis]["offset"] + grid[axis]["scale"] * (factor - 1) / 2
            for axis, factor in zip(axes, factors, strict=True)
        ]
        steps = [{"type": "scale", "scale": scale}, {"type": "translation", "translation": offset}]
        datasets.append({"path": str(level), "coordinateTransformations": steps if any(offset) else steps[:1]})
    described = [{"name": axis.lower(), "type": _TYPES[axis], "unit": grid[axis]["unit"]} for axis in axes]
    described = [{key: value for key, value in axis.items() if value} for axis in described]
    kind = {"type": "mean", "metadata": {"description": "mean of 2x2 pixels of the level before"}}
    return {"axes": described, "datasets": datasets, **(kind if len(sizes) > 1 else {})}


def _grid(image: Image, axes: str) -> dict[str, dict]:
    """Return scale, offset and unit of each axis; edges of an image stay where they were in the file it comes from."""
    size = image.pixel_size
    known = {"Y": size.y, "X": size.x, "Z": size.z, "T": image.time_step}
    grid = {}
    for axis in axes:
        old = image.extra.get("ngff", {}).get("grid", {}).get(axis)
        scale, unit, offset = known.get(axis), _UNITS.get(axis), 0.0
        if scale is None:
            carried = old is not None and old["unit"] != unit
            scale, unit = (old["scale"], old["unit"]) if carried else (1.0, None)
            if carried and axis in "YX":
                scale *= old["size"] / image.sizes[axis]
        if old is not None and old["unit"] == unit:
            offset = old["offset"] + (scale - old["scale"]) / 2
        grid[axis] = {"scale": scale, "unit": unit, "offset": offset}
    return grid


def _as_json(value: Any) -> Any:
    """Return what JSON can hold of a value: arrays as lists, anything that it does not know as text."""
    match value:
        case Mapping():
            return {str(key): _as_json(entry) for key, entry in value.items()}
        case list() | tuple():
            return [_as_json(entry) for entry in value]
        case np.ndarray() | np.generic():
            return _as_json(value.tolist())
        case datetime.timedelta():
            return value.total_seconds()
        case float() if not math.isfinite(value):
            return str(value)
        case None | bool() | int() | float() | str():
            return value
    return str(value)
