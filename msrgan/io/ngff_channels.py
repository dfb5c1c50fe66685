"""The channels of an OME-Zarr image: the attribute `omero`, read and written.

The attribute wants a colour and a window of every channel, and has no place for a look-up table. What an image does not
know is filled in, and what was filled in is noted in our own attribute, next to the look-up tables.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from msrgan.io.image import Channel, Image

_RED_GREEN_BLUE = tuple(
    Channel(name, tuple(255 * (place == k) for k in range(3))) for place, name in enumerate(("red", "green", "blue"))
)


def channels_of(omero: Mapping, ours: Mapping) -> tuple[Channel, ...]:
    """Return what is known of each channel.

    Args:
        omero: the attribute.
        ours: our own attribute, see `omero`.
    """
    assumed, luts = (dict(enumerate(ours.get(key, ()))) for key in ("assumed", "luts"))
    channels = []
    for place, channel in enumerate(omero.get("channels", ())):
        known = {key: value for key, value in channel.items() if key not in assumed.get(place, ())}
        label, colour, window = known.get("label"), str(known.get("color", "")), known.get("window") or {}
        display = tuple(window.get(key) for key in ("start", "end"))
        lut = luts.get(place)
        channels.append(
            Channel(
                name=None if label in (None, "") else str(label),
                colour=tuple(bytes.fromhex(colour[:6])) if re.fullmatch(r"([0-9a-fA-F]{2}){3,4}", colour) else None,
                lut=None if lut is None else np.array(lut, np.uint8).reshape(3, 256),
                display=tuple(map(float, display)) if all(map(_is_number, display)) else None,
            )
        )
    return tuple(channels)


def settings_of(omero: Mapping) -> dict[str, dict]:
    """Return what else the attribute says, of the image and by the labels of its channels."""
    return {
        "omero": {key: value for key, value in omero.items() if key not in ("channels", "version")},
        "channels": {
            channel["label"]: {key: value for key, value in channel.items() if key not in ("label", "color", "window")}
            for channel in omero.get("channels", ())
            if isinstance(channel.get("label"), str)
        },
    }


def omero(image: Image, ranges: Sequence[tuple[float, float]]) -> tuple[dict[str, Any], dict[str, list]]:
    """Return the attribute, and for our own: what of each channel was filled in, and its look-up table.

    Args:
        image: that is written.
        ranges: the least and the greatest value of each channel.
    """
    channels = _RED_GREEN_BLUE if image.is_rgb else image.channels
    if not channels:
        return {}, {}
    ngff = image.extra.get("ngff", {})
    entries, assumed = [], []
    for channel, limits in zip(channels, ranges, strict=True):
        window = dict(zip(("min", "max", "start", "end"), (*limits, *(channel.display or limits)), strict=True))
        brightest = (255, 255, 255) if channel.lut is None else channel.lut[:, -1].tolist()
        entry = {"active": True, **ngff.get("channels", {}).get(channel.name, {})}
        entry |= {"label": channel.name or "", "color": bytes(channel.colour or brightest).hex().upper()}
        entries.append({**entry, "window": window})
        unknown = [key for key, value in (("color", channel.colour), ("window", channel.display)) if value is None]
        assumed.append(unknown)
    settings = {"rdefs": {"model": "color" if len(channels) > 1 else "greyscale"}, **ngff.get("omero", {})}
    luts = [None if channel.lut is None else channel.lut.ravel().tolist() for channel in channels]
    noted = {"assumed": assumed if any(assumed) else [], "luts": luts if any(luts) else []}
    return {**settings, "channels": entries}, noted


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
