"""What an ImageJ hyperstack says of its planes: a text of "key=value" lines, and tables in tags of its own.

ImageJ documents neither; see ij.io.TiffEncoder, ij.io.FileSaver, and tifffile's `imagej_metadata_tag`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from msrgan.io import provenance
from msrgan.io.image import Channel, Image

ORDER = "TZC"
DTYPES = ("uint8", "uint16", "float32")
# A plane is one array of Java.
_MOST_PIXELS = 2**31 - 1
_COMPOSITE_CHANNELS = 7
# Of the pixels, or of X and Y, or said anew.
_NOT_KEPT = {
    *("imagej", "images", "channels", "slices", "frames", "hyperstack", "order", "mode", "unit", "xunit", "yunit"),
    *("zunit", "tunit", "spacing", "finterval", "xorigin", "yorigin", "min", "max", "info", "labels", "ranges"),
    *("luts", "properties", "prop", "roi", "overlays", "plot"),
}


def check(image: Image) -> None:
    """Check that ImageJ can hold an image.

    Raises:
        ValueError: it cannot.
    """
    dtypes = DTYPES[:1] if image.is_rgb else DTYPES
    if image.dtype.name not in dtypes:
        kind = "RGB" if image.is_rgb else "grey"
        raise ValueError(
            f"An ImageJ file holds {' '.join(dtypes)} where it is {kind}. Received: {image.dtype}. Write OME-TIFF"
        )
    if image.is_rgb and image.sizes.get("C", 1) > 1:
        raise ValueError("An ImageJ file has channels or is RGB. Received: channels of RGB. Write OME-TIFF")
    order = "".join(axis for axis in ORDER if axis in image.stack)
    if image.stack != order:
        raise ValueError(
            f"An ImageJ file has its planes in the order T, Z, C. Received: {image.axes}. "
            f"Take `image.transposed({order!r})`, or write OME-TIFF"
        )
    pixels = image.sizes["Y"] * image.sizes["X"]
    if pixels > _MOST_PIXELS:
        raise ValueError(f"A plane of ImageJ has at most {_MOST_PIXELS} pixels. Received: {pixels}. Write OME-TIFF")


def shape(image: Image) -> tuple[int, ...]:
    """Return the lengths of T, Z, C, Y, X and S."""
    sizes = {"S": 1} | image.sizes
    return tuple(sizes.get(axis, 1) for axis in "TZCYXS")


def metadata(image: Image) -> dict[str, Any]:
    """Return what tifffile writes as the description and the tags of ImageJ."""
    carried = image.extra.get("imagej", {})
    result = {
        key: _ascii(value) if isinstance(value, str) else value
        for key, value in carried.items()
        if key.lower() not in _NOT_KEPT and isinstance(value, str | int | float)
    }
    result["axes"] = "TZCYXS"
    if any(image.pixel_size):
        result["unit"] = "um"
    if image.pixel_size.z is not None:
        result["spacing"] = image.pixel_size.z
    if image.time_step is not None:
        result["finterval"] = image.time_step
    texts = (image.extra.get("description"), carried.get("Info"), provenance.text(image))
    result["Info"] = "\n".join(filter(None, texts))
    result["Labels"] = _labels(image)
    result["Properties"] = carried.get("Properties")
    if not image.is_rgb:
        result |= _display(image, carried.get("mode"))
    return {key: value for key, value in result.items() if value not in (None, "", [])}


def _labels(image: Image) -> list[str] | str | None:
    """Return the labels of the planes, which are the names of their channels where there are no others."""
    labels, planes = image.extra.get("imagej", {}).get("Labels"), len(image.indices())
    if labels and planes == (1 if isinstance(labels, str) else len(labels)):
        return labels
    names = [channel.name or "" for channel in image.channels]
    return names * (planes // len(names)) if any(names) else None


def _display(image: Image, mode: str | None) -> dict[str, Any]:
    """Return colours and display ranges of the channels."""
    result = {}
    channels = image.channels
    if any(channel.lut is not None or channel.colour for channel in channels):
        result["LUTs"] = [_lut(channel) for channel in channels]
        mode = mode or ("composite" if 1 < len(channels) <= _COMPOSITE_CHANNELS else "color")
    if channels and all(channel.display for channel in channels):
        # Of a single channel, ImageJ reads the range in the text.
        result["Ranges"] = [float(value) for channel in channels for value in channel.display]
        result |= {"min": result["Ranges"][0], "max": result["Ranges"][1]} if len(channels) == 1 else {}
    return result | ({"mode": mode} if mode else {})


def _lut(channel: Channel) -> np.ndarray:
    """Return the table of a channel, or the one that rises to its colour, or to white."""
    if channel.lut is not None:
        return np.ascontiguousarray(channel.lut, np.uint8)
    return np.rint(np.outer(channel.colour or (255, 255, 255), np.arange(256) / 255)).astype(np.uint8)


def _ascii(text: str) -> str:
    """Return a text with other characters escaped as ImageJ does, by their number."""
    return "".join(letter if letter.isascii() else f"\\u{ord(letter):04X}" for letter in text)


def passes_4_gb(image: Image) -> bool:
    """Tell whether only the first plane gets a directory: ImageJ's way beyond the 32-bit offsets of TIFF.

    The other planes follow it; that there are more is said by the description.
    """
    planes = math.prod(shape(image)[:3])
    return image.nbytes + planes * 4096 + (1 << 20) > 1 << 32
