"""OME-XML of an image: its own fields, and what its file's OME-XML says of the acquisition.

Schema: https://www.openmicroscopy.org/Schemas/OME/2016-06. Of an older schema, the text is kept as an annotation.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from xml.etree import ElementTree

import numpy as np

from msrgan.io import provenance
from msrgan.io.image import Channel, Image
from msrgan.io.tiff import ome_original
from msrgan.io.tiff.ome_original import SCHEMA
from msrgan.io.tiff.omexml import DISPLAY

Element = ElementTree.Element

TYPES = {
    **{name: name for name in ("int8", "int16", "int32", "uint8", "uint16", "uint32")},
    **{"float32": "float", "float64": "double"},
}
_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_ORDER = ("Rights", "Experiment", "Experimenter", "ExperimenterGroup", "Instrument", "Image", "StructuredAnnotations")
_AFTER_PIXELS = ("MicrobeamManipulationRef", "AnnotationRef")
_BEFORE_DESCRIPTION = ("AcquisitionDate", "ExperimenterRef")
# Not allowed in XML 1.0, however it is escaped.
_UNSPEAKABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def build(image: Image) -> bytes:
    """Return the OME-XML of a file that holds the planes of an image in the order of `image.indices()`.

    What the OME-XML in `image.extra["ome"]` says of instrument, objective, people, dates, channels and planes is kept;
    what it says of X and Y, and regions of interest, is not. The provenance, and what is known from vendor formats and
    ImageJ, are map annotations; the provenance is a part of the description, too.

    Returns:
        ASCII, with character references.
    """
    original = ome_original.parse(image.extra.get("ome"))
    known = original.find("Image") is not None
    picture = original.find("Image") if known else Element("Image")
    pixels = _pixels(image, picture.find("Pixels"))
    picture[:] = [child for child in picture if child.tag not in ("Pixels", "ROIRef")]
    picture.set("ID", picture.get("ID", "Image:0"))
    _describe(picture, image)
    picture.insert(sum(not child.tag.endswith(_AFTER_PIXELS) for child in picture), pixels)

    annotations = original.find("StructuredAnnotations")
    annotations = Element("StructuredAnnotations") if annotations is None else annotations
    if image.extra.get("ome") and not known:
        value = ome_original.verbatim(image.extra["ome"])
        _annotate(annotations, picture, "XMLAnnotation", "msrgan/original-ome-xml", [value])
    # Of the file that was read: they are said anew.
    ranges = [annotation for annotation in annotations if annotation.get("Namespace") == DISPLAY]
    annotations[:] = [annotation for annotation in annotations if annotation not in ranges]
    references = {annotation.get("ID") for annotation in ranges}
    picture[:] = [child for child in picture if child.tag != "AnnotationRef" or child.get("ID") not in references]
    info = image.extra.get("imagej", {}).get("Info")
    for namespace, texts in (
        ("msrgan/vendor", _flat(image.extra.get("vendor", {}))),
        ("msrgan/imagej", {"Info": info} if info else {}),
        (DISPLAY, _ranges(image)),
        ("msrgan/provenance", provenance.items(image)),
    ):
        if texts:
            _annotate(annotations, picture, "MapAnnotation", namespace, [_entry(*text) for text in texts.items()])

    kept = [child for child in original if child.tag in _ORDER and child.tag not in ("Image", "StructuredAnnotations")]
    kept += [picture] + ([annotations] if len(annotations) else [])
    schema = f"{SCHEMA} {SCHEMA}/ome.xsd"
    root = Element("OME", {"xmlns": SCHEMA, f"{{{_XSI}}}schemaLocation": schema, "Creator": provenance.software()})
    root.extend(sorted(kept, key=lambda child: _ORDER.index(child.tag)))
    ome_original.prune(root)
    return b'<?xml version="1.0" encoding="UTF-8"?>' + ElementTree.tostring(root)


def _ranges(image: Image) -> dict[str, str]:
    """Return the values shown as black and as full colour, by the number of the channel: the schema has no place."""
    ranges = {str(number): channel.display for number, channel in enumerate(image.channels)}
    return {number: " ".join(repr(float(x)) for x in display) for number, display in ranges.items() if display}


def _pixels(image: Image, original: Element | None) -> Element:
    sizes = image.sizes
    samples = 3 if image.is_rgb else 1
    # The axis that changes fastest comes first; for the samples of a colour image that is C.
    order = ("C" if image.is_rgb and "C" not in image.stack else "") + image.stack[::-1]
    order += "".join(axis for axis in "ZCT" if axis not in order)
    attributes = {
        "ID": "Pixels:0" if original is None else original.get("ID", "Pixels:0"),
        "DimensionOrder": f"XY{order}",
        "Type": TYPES[image.dtype.name],
        "BigEndian": "false",
        "Interleaved": "true" if image.is_rgb else "false",
        **{f"Size{axis}": str(sizes.get(axis, 1) * (samples if axis == "C" else 1)) for axis in "XYZCT"},
    }
    for axis in "XYZ":
        size = getattr(image.pixel_size, axis.lower())
        if size is not None:
            attributes |= {f"PhysicalSize{axis}": repr(float(size)), f"PhysicalSize{axis}Unit": "µm"}
    if image.time_step is not None:
        attributes |= {"TimeIncrement": repr(float(image.time_step)), "TimeIncrementUnit": "s"}
    element = Element("Pixels", attributes)

    origins = _origins(image, original)
    for number, origin in enumerate(origins):
        channel = image.channels[number] if image.channels else Channel()
        element.append(_channel(channel, origin, number, samples))
    element.append(Element("TiffData", {"IFD": "0", "PlaneCount": str(len(image.indices()))}))
    element.extend(ome_original.planes(original, origins, sizes.get("T", 1), sizes.get("Z", 1)))
    return element


def _origins(image: Image, original: Element | None) -> list[Element | None]:
    """Return the original element of each channel: by their number if all are there, else by name."""
    count = image.sizes.get("C", 1)
    channels = [] if original is None else original.findall("Channel")
    if len(channels) == count:
        return channels
    names = [channel.get("Name") for channel in channels]
    by_name = {name: channel for name, channel in zip(names, channels, strict=True) if name and names.count(name) == 1}
    return [by_name.get(channel.name) for channel in image.channels] or [None] * count


def _channel(channel: Channel, origin: Element | None, number: int, samples: int) -> Element:
    element = Element("Channel") if origin is None else copy.deepcopy(origin)
    element.attrib |= {"ID": f"Channel:0:{number}", "SamplesPerPixel": str(samples)}
    if channel.name is not None:
        element.set("Name", clean(channel.name))
    colour = channel.colour or _ramp(channel.lut)
    if colour is not None:
        element.set("Color", str(signed_colour(colour)))
    return element


def signed_colour(colour: tuple[int, int, int]) -> int:
    """Return an opaque colour as OME has it: a signed 32-bit number of the bytes red, green, blue, alpha."""
    red, green, blue = colour
    value = red << 24 | green << 16 | blue << 8 | 255
    return value - (1 << 32) if value >= 1 << 31 else value


def _ramp(lut: np.ndarray | None) -> tuple[int, int, int] | None:
    """Return the colour that a table of colours rises to evenly from black, None for other tables."""
    if lut is None:
        return None
    ends = lut[:, -1:].astype(float)
    even = np.abs(lut - ends * np.arange(lut.shape[1]) / (lut.shape[1] - 1)).max() <= 1
    return tuple(int(value) for value in ends[:, 0]) if even else None


def _describe(picture: Element, image: Image) -> None:
    """Add what is said of the whole image to its description."""
    element = picture.find("Description")
    texts = [(element.text or "") if element is not None else "", image.extra.get("description", "")]
    text = "\n\n".join(filter(None, [*texts, provenance.text(image)]))
    if not text:
        return
    if element is None:
        element = Element("Description")
        picture.insert(sum(child.tag in _BEFORE_DESCRIPTION for child in picture), element)
    element.text = clean(text)


def _annotate(annotations: Element, picture: Element, tag: str, namespace: str, values: list[Element]) -> None:
    ids = {element.get("ID") for element in annotations.iter()}
    number = next(n for n in range(len(ids) + 1) if f"Annotation:{n}" not in ids)
    annotation = ElementTree.SubElement(annotations, tag, {"ID": f"Annotation:{number}", "Namespace": namespace})
    ElementTree.SubElement(annotation, "Value").extend(values)
    ElementTree.SubElement(picture, "AnnotationRef", {"ID": f"Annotation:{number}"})


def _entry(key: str, value: str) -> Element:
    entry = Element("M", {"K": clean(key)})
    entry.text = clean(value)
    return entry


def _flat(tree: Mapping, path: str = "") -> dict[str, str]:
    """Return the leaves of nested dicts by their path."""
    leaves = {}
    for key, value in tree.items():
        name = f"{path}{key}"
        leaves |= _flat(value, f"{name}.") if isinstance(value, Mapping) else {name: str(value)}
    return leaves


def clean(text: str) -> str:
    """Return a text without the characters that XML cannot hold."""
    return _UNSPEAKABLE.sub("", str(text))
