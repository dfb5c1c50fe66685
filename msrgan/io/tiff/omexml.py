"""OME-XML of a TIFF: the planes it promises, pixel size, time step, channels."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterator, Mapping
from xml.etree import ElementTree

import tifffile

from msrgan.io.image import Channel, PixelSize
from msrgan.io.tiff.units import MICROMETRES, SECONDS, positive

# The namespace of a map annotation of ours: the number of a channel, and the values shown as black and as full colour.
DISPLAY = "msrgan/display"


class Ome:
    """The first image of OME-XML.

    Args:
        text: the XML.

    Raises:
        ElementTree.ParseError: it is none.
        ValueError: no image is in it.
    """

    def __init__(self, text: str):
        self._root = ElementTree.fromstring(text)
        self._images = [pixels for image in _named(self._root, "Image") for pixels in _named(image, "Pixels")]
        if not self._images:
            raise ValueError("its OME metadata describe no image. Save it as one file")
        self._pixels = self._images[0]

    @property
    def planes(self) -> int:
        """How many planes the image has, samples of a pixel included."""
        return math.prod(int(self._pixels.get(f"Size{axis}", 1)) for axis in "CZT")

    @property
    def longest_run(self) -> int:
        """The most planes that an entry of any image says lie in one file, one after another."""
        runs = [
            int(data.get("PlaneCount", data.get("NumPlanes", 0))) + int(data.get("IFD", 0))
            for image in self._images
            for data in _named(image, "TiffData")
        ]
        return max(runs, default=0)

    def other_files(self, name: str) -> list[str]:
        """Return the names of the files that other planes of the image lie in.

        Args:
            name: of this file; one that was renamed is known by its UUID, or by being the only one.
        """
        own = self._root.get("UUID")
        files = {
            (uuid.text or "").strip(): uuid.get("FileName", "")
            for data in _named(self._pixels, "TiffData")
            for uuid in _named(data, "UUID")
        }
        if own is None:
            own = next((text for text, file in files.items() if file == name or len(files) == 1), None)
        return sorted(file for text, file in files.items() if text != own)

    @property
    def pixel_size(self) -> PixelSize:
        """In micrometres; a size in another unit than a length is none."""
        return PixelSize(*(self._physical(axis) for axis in "YXZ"))

    def _physical(self, axis: str) -> float | None:
        unit = MICROMETRES.get(self._pixels.get(f"PhysicalSize{axis}Unit", "µm"))
        return positive(self._pixels.get(f"PhysicalSize{axis}"), unit)

    @property
    def time_step(self) -> float | None:
        """In seconds."""
        return positive(self._pixels.get("TimeIncrement"), SECONDS.get(self._pixels.get("TimeIncrementUnit", "s")))

    @property
    def channels(self) -> tuple[Channel, ...]:
        """As many as it describes; those of RGB are one."""
        ranges = self._ranges()
        return tuple(
            Channel(name=channel.get("Name") or None, colour=_colour(channel.attrib), display=ranges.get(str(number)))
            for number, channel in enumerate(_named(self._pixels, "Channel"))
        )

    def _ranges(self) -> dict[str, tuple[float, float]]:
        """Return the display ranges by the number of the channel."""
        annotations = [part for group in _named(self._root, "StructuredAnnotations") for part in group]
        values = [value for part in annotations if part.get("Namespace") == DISPLAY for value in _named(part, "Value")]
        ranges = {}
        for entry in (entry for value in values for entry in _named(value, "M")):
            with contextlib.suppress(ValueError):
                low, high = map(float, (entry.text or "").split())
                if math.isfinite(low) and math.isfinite(high):
                    ranges[entry.get("K", "")] = low, high
        return ranges


def ome_of(tif: tifffile.TiffFile) -> Ome | None:
    """Return the OME metadata of a TIFF, if it has some."""
    return Ome(tif.ome_metadata) if tif.is_ome else None


def _named(element: ElementTree.Element, name: str) -> Iterator[ElementTree.Element]:
    """Yield the children of a name, in whatever version of the schema."""
    return (child for child in element if re.sub(r"^\{.*\}", "", str(child.tag)) == name)


def _colour(attributes: Mapping[str, str]) -> tuple[int, int, int] | None:
    """Return red, green and blue of a signed whole number of 32 bits, RGBA."""
    try:
        number = int(attributes["Color"]) & 0xFFFFFFFF
    except (KeyError, ValueError):
        return None
    return number >> 24, number >> 16 & 255, number >> 8 & 255
