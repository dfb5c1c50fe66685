"""Fields of the Human Protein Atlas as files: each channel is one, and a table names their classes."""

import gzip
import zlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow_datasets as tfds

from msrgan import io
from msrgan.datasets.listing import list_files
from msrgan.datasets.records import Record
from msrgan.datasets.tally import Tally
from msrgan.io.tables import rows

# What a colour shows: microtubules, the protein of interest, the nucleus, the endoplasmic reticulum.
COLOURS = ("red", "green", "blue", "yellow")
LICENCE = "Human Protein Atlas images: see https://www.proteinatlas.org/about/licence"


class DepthConfig(tfds.core.BuilderConfig):
    """Bit depth of the raw files, which is kept."""

    def __init__(self, *, dtype: type, **kwargs: Any):
        super().__init__(**kwargs)
        self.dtype = dtype


DEPTHS = (
    DepthConfig(name="8bit", dtype=np.uint8, description="8-bit files"),
    DepthConfig(name="16bit", dtype=np.uint16, description="16-bit files"),
)


class Layout(NamedTuple):
    """How a set names its files and its table.

    Attributes:
        colours: the channels of a field, in the order of the image; a file is named `<field>_<colour><suffix>`.
        suffixes: of these files, in lower case; `.gz` files are unpacked.
        columns: of the table: the id, and the classes.
        classes: reads the label of a row from its cell; a ValueError if it is none.
        id_of: field -> its id in the table.
    """

    colours: tuple[str, ...]
    suffixes: tuple[str, ...]
    columns: tuple[str, str]
    classes: Callable[[str], Any]
    id_of: Callable[[str], str]


def list_fields(folder: Path, table: Path, layout: Layout, tally: Tally) -> list[Record]:
    """List the fields that have all their channels and a label in the table; their group is their id.

    Args:
        folder: of the channels, at any depth.
        table: of the classes.
        layout: how they are named.
        tally: told of what is left out. Its `total` is set: fields, and ids of the table without one.

    Raises:
        ValueError: the table cannot be read or lacks its columns, or no field is left.
    """
    labels, ids = _read_labels(table, layout, tally)
    fields = _channels(folder, layout, tally)
    records = []
    for field, channels in fields.items():
        try:
            records.append(_record(field, channels, labels, layout))
        except ValueError as error:
            tally.skip(f"{field}: {error}")
    # A part of the set may have been downloaded; its test images have no classes.
    absent = sorted(ids - {layout.id_of(field) for field in fields})
    for name in absent:
        tally.skip(f"{name} ({table.name}): it has no files")
    tally.total = len(fields) + len(absent)
    if not records:
        raise ValueError(
            f"{folder} has no field with all of {', '.join(layout.colours)} ({' or '.join(layout.suffixes)}) and a "
            f"class in {table.name}. Received: {len(fields)} fields, {len(ids)} ids in the table.{tally.why()}"
        )
    return records


def merge(paths: Sequence[Path]) -> np.ndarray:
    """Read the channels of a field as one image, uint8, uint16 or float32 (H, W, C), as stored.

    Raises:
        ValueError: naming the file, if it cannot be read, is no grey image, or differs in size or depth.
    """
    planes = [_plane(path) for path in paths]
    for path, plane in zip(paths, planes, strict=True):
        if (plane.shape, plane.dtype) != (planes[0].shape, planes[0].dtype):
            one, other = (f"{p.shape[0]}x{p.shape[1]} {p.dtype}" for p in (plane, planes[0]))
            raise ValueError(f"{path} is {one}, {paths[0].name} is {other}. Channels must match.")
    return np.dstack(planes)


def class_index(text: str, classes: Sequence[str]) -> int:
    """Return the index of a class that is given as its name or its index; a ValueError for any other."""
    if text in classes:
        return classes.index(text)
    if text.isascii() and text.isdigit() and int(text) < len(classes):
        return int(text)
    raise ValueError(f"{text!r} is none of the {len(classes)} classes, a name or a number from 0 on")


def _plane(path):
    data = path.read_bytes()
    try:
        data = gzip.decompress(data) if path.suffix.lower() == ".gz" else data
    except (OSError, EOFError, zlib.error) as error:
        raise io.UnreadableImageError(f"{path}: cannot be unpacked ({error})") from error
    image = io.decode(data, path)
    # Some exports hold a grey channel in its colour: the other planes are empty.
    seen = [plane for plane in np.moveaxis(image, -1, 0) if plane.any()] or [image[..., 0]]
    if any((plane != seen[0]).any() for plane in seen):
        raise ValueError(f"{path} has {image.shape[-1]} different planes. A channel is one grey image.")
    return seen[0]


def _channels(folder, layout, tally):
    """Return {field: {colour: paths}}; of a file and its packed form, the file."""
    paths = list_files(folder, layout.suffixes, skip=tally.skip)
    unpacked = {path for path in paths if path.suffix.lower() != ".gz"}
    fields = defaultdict(lambda: defaultdict(list))
    for path in paths:
        if path not in unpacked and path.with_suffix("") in unpacked:
            continue
        suffix = max((s for s in layout.suffixes if path.name.lower().endswith(s)), key=len)
        field, _, colour = path.name[: -len(suffix)].rpartition("_")
        if colour.lower() in layout.colours:
            fields[field][colour.lower()].append(path)
    return fields


def _record(field, channels, labels, layout):
    name = layout.id_of(field)
    if name not in labels:
        raise ValueError(f"its id {name} has no class in the table")
    missing = [colour for colour in layout.colours if colour not in channels]
    if missing:
        raise ValueError(f"no {' and no '.join(missing)} channel")
    for colour in layout.colours:
        if len(channels[colour]) > 1:
            raise ValueError(f"more than one {colour} channel: {' and '.join(map(str, channels[colour]))}")
    paths = tuple(channels[colour][0] for colour in layout.colours)
    return Record(id=field, group=name, paths=paths, label=labels[name])


def _read_labels(table, layout, tally):
    """Return {id: label} of the rows that are good, and the ids of all rows."""
    labels, ids = {}, set()
    of_id, of_classes = layout.columns
    for line, row in rows(table, layout.columns):
        name = layout.id_of(row[of_id].strip())
        try:
            if not name:
                raise ValueError("it has no id")
            ids.add(name)
            label = layout.classes(_one_cell(row, of_classes))
            if labels.setdefault(name, label) != label:
                raise ValueError(f"its id {name} has another class before")
        except ValueError as error:
            tally.skip(f"{row[of_id].strip() or 'a row'} ({table.name}, line {line}): {error}")
    return labels, ids


def _one_cell(row, column):
    """Return the classes of a row, which must be in one cell."""
    if row[None]:
        raise ValueError(f"more cells than columns, {row[None]}. Several classes stand between spaces")
    if not row[column].strip():
        raise ValueError("it has no class")
    return row[column].strip()
