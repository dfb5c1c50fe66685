"""What the readers of bioio tell of an image of a microscope maker, in the fields of `Image`."""

from __future__ import annotations

import contextlib
import datetime
import math
import re
from pathlib import Path
from typing import Any

import numpy as np

from msrgan.io.image import Channel, PixelSize

# Of the standard metadata, what `Image` has itself.
_OWN = ("dimensions_present", "image_size_", "pixel_size_")
# The names that bioio gives to channels without one.
_NAMELESS = r"(Channel:)?\d*(:\d+)?"
_CZI_COLOUR = r"#(?:[0-9a-fA-F]{2})?([0-9a-fA-F]{6})"  # transparency may come first


def facts_of(reader: Any) -> dict[str, Any]:
    """Return what bioio's standard metadata tell besides sizes: objective, date, binning, ..."""
    facts = {name: value for name, value in vars(reader.standard_metadata).items() if not name.startswith(_OWN)}
    return {"scene": str(reader.current_scene)} | {
        name: _plain(value) for name, value in facts.items() if value is not None
    }


def pixel_size_of(reader: Any, path: Path) -> PixelSize:
    """Return the pixel size, without the numbers that stand where a file says nothing."""
    sizes = reader.physical_pixel_sizes
    known = {axis: _positive(getattr(sizes, axis)) for axis in "ZYX"}
    if path.suffix.lower() == ".nd2":  # 1 is what nd2 fills in
        unknown = [axis for axis, told in zip("XYZ", _nd2_calibrated(path), strict=True) if not told]
        known |= {axis: None for axis in unknown if known[axis] == 1}
    return PixelSize(known["Y"], known["X"], known["Z"])


def time_step_of(reader: Any, path: Path) -> float | None:
    """Return the seconds between two T."""
    interval = reader.time_interval or reader.standard_metadata.timelapse_interval
    if interval is not None:
        return _positive(interval.total_seconds())
    # bioio-lif gives the times of the frames without their interval.
    times = reader.xarray_dask_data.coords.get("T") if path.suffix.lower() == ".lif" else None
    return None if times is None or len(times) < 2 else _positive(float(times[1] - times[0]))


def channels_of(reader: Any, path: Path, count: int, dtype: np.dtype) -> tuple[Channel, ...]:
    """Return names, colours and display ranges of the channels, none if nothing is known."""
    names = [str(name) for name in reader.channel_names or ()]
    if len(names) != count:
        return ()
    shown: list[Channel] = []
    with contextlib.suppress(Exception):  # what bioio makes of the metadata of a file is often no valid OME
        shown = _czi_shown(reader, dtype) if path.suffix.lower() == ".czi" else _ome_shown(reader)
    shown = shown if len(shown) == count else [Channel()] * count
    names = [None if re.fullmatch(_NAMELESS, name) else name for name in names]
    channels = tuple(channel._replace(name=name) for name, channel in zip(names, shown, strict=True))
    return () if all(channel == Channel() for channel in channels) else channels


def _czi_shown(reader: Any, dtype: np.dtype) -> list[Channel]:
    """Return the display settings of ZEN; their limits are parts of the range of the pixel type."""
    full = np.iinfo(dtype).max if dtype.kind in "iu" else None
    shown = []
    for channel in reader.metadata.findall("./Metadata/DisplaySetting/Channels/Channel"):
        colour = re.fullmatch(_CZI_COLOUR, channel.findtext("Color") or "")
        limits = channel.findtext("Low"), channel.findtext("High")
        display = None if full is None or None in limits else tuple(float(limit) * full for limit in limits)
        shown.append(Channel(colour=tuple(bytes.fromhex(colour[1])) if colour else None, display=display))
    return shown


def _ome_shown(reader: Any) -> list[Channel]:
    channels = reader.ome_metadata.images[reader.current_scene_index].pixels.channels
    # The colour of a channel without one is white in OME.
    told = ["color" in channel.model_fields_set for channel in channels]
    return [
        Channel(colour=tuple(channel.color.as_rgb_tuple(alpha=False)) if known else None)
        for channel, known in zip(channels, told, strict=True)
    ]


def _nd2_calibrated(path: Path) -> tuple[bool, bool, bool]:
    """Tell of X, Y and Z whether the file has their pixel size."""
    import nd2

    with nd2.ND2File(path) as file:
        channels = file.metadata.channels
    return tuple(channels[0].volume.axesCalibrated) if channels else (False,) * 3


def _positive(number: float | None) -> float | None:
    """Return a length; readers say 0 where a file has none."""
    return float(number) if number is not None and math.isfinite(number) and number > 0 else None


def _plain(value: object) -> object:
    """Return what a text file can hold of a value."""
    match value:
        case datetime.timedelta():
            return value.total_seconds()
        case datetime.datetime():
            return value.isoformat()
        case bool() | int() | float() | str():
            return value
    return str(value)
