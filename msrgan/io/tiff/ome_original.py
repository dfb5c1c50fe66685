"""What a file's own OME-XML says, made ready to be kept in the OME-XML of another file."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree

Element = ElementTree.Element

SCHEMA = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
# They list the sizes of a pyramid's levels, and tell that a dimension has parts.
_ABOUT_SIZES = ("PyramidResolution", "modulo")
# Beyond any real file; what is deeper would exhaust Python's stack.
_DEPTH = 100


def parse(text: str | None) -> Element:
    """Return the root with its first image only; without children where there is no OME-XML of the schema 2016-06.

    Tags of the schema are plain names. Annotations on the levels of a pyramid are gone.
    """
    root = _tree(text)
    if root is None or root.tag != f"{{{SCHEMA}}}OME":
        return Element("OME")
    _rename(root, "")
    for other in root.findall("Image")[1:]:
        root.remove(other)
    for group in root.findall("StructuredAnnotations"):
        for annotation in list(group):
            if annotation.get("Namespace", "").endswith(_ABOUT_SIZES):
                group.remove(annotation)
    return root


def verbatim(text: str) -> Element:
    """Return OME-XML as it is, or as the text of an element where it is none."""
    tree = _tree(text)
    if tree is None:
        tree = Element("Text")
        tree.text = text
    return tree


def planes(pixels: Element | None, channels: list[Element | None], times: int, depths: int) -> Iterator[Element]:
    """Yield the `Plane` elements (times, exposures, positions) of an image with the same T and Z.

    Args:
        pixels: the original element.
        channels: the original element of each channel that the image has.
        times: number of T.
        depths: number of Z.
    """
    if pixels is None or (pixels.get("SizeT"), pixels.get("SizeZ")) != (str(times), str(depths)):
        return
    numbers = {str(n): channel for n, channel in enumerate(pixels.findall("Channel"))}
    for plane in pixels.findall("Plane"):
        channel = numbers.get(plane.get("TheC"))
        for number, kept in enumerate(channels):
            if kept is not None and kept is channel:
                element = Element("Plane", plane.attrib | {"TheC": str(number)})
                element.extend(child for child in plane if child.tag != "HashSHA1")
                yield element


def prune(root: Element) -> None:
    """Remove references to elements that are not there; what annotations hold as XML is left alone."""
    ids = {element.get("ID") for element in _own(root) if not element.tag.endswith("Ref")}
    for element in list(_own(root)):
        for child in list(element):
            if child.tag.endswith("Ref") and child.get("ID") not in ids:
                element.remove(child)


def _own(element: Element) -> Iterator[Element]:
    yield element
    if element.tag != "XMLAnnotation":
        for child in element:
            yield from _own(child)


def _tree(text: str | None) -> Element | None:
    try:
        root = ElementTree.fromstring(text) if text else None
    except (ElementTree.ParseError, ValueError):
        return None
    level = [] if root is None else [root]
    for _ in range(_DEPTH):
        level = [child for element in level for child in element]
    return None if level else root


def _rename(element: Element, inherited: str) -> None:
    """Turn names of the schema into plain ones, and declare the namespace where it changes to none and back.

    ElementTree knows no default namespace but for a whole tree without a single attribute.
    """
    namespace, _, name = element.tag.rpartition("}")
    namespace = namespace.removeprefix("{")
    if namespace in ("", SCHEMA):
        element.tag = name
        if inherited != namespace:
            element.set("xmlns", namespace)
        inherited = namespace
    for child in element:
        _rename(child, inherited)
