"""The files of the Human Protein Atlas challenge: four channels and a table of classes; and their colours."""

import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from msrgan import images
from msrgan.datasets.localisation import class_index
from msrgan.datasets.tally import Tally
from msrgan.tables import rows

COLOURS = ("red", "green", "blue", "yellow")
SUFFIXES = (".png", ".tif", ".tiff")
# The level from which a colour is seen: microtubules, nucleus, protein, endoplasmic reticulum.
FIRST_LEVEL = {"red": 1, "blue": 2, "green": 3, "yellow": 4}
CLASSES = (
    "Nucleoplasm",
    "Nuclear membrane",
    "Nucleoli",
    "Nucleoli fibrillar center",
    "Nuclear speckles",
    "Nuclear bodies",
    "Endoplasmic reticulum",
    "Golgi apparatus",
    "Peroxisomes",
    "Endosomes",
    "Lysosomes",
    "Intermediate filaments",
    "Actin filaments",
    "Focal adhesion sites",
    "Microtubules",
    "Microtubule ends",
    "Cytokinetic bridge",
    "Mitotic spindle",
    "Microtubule organizing center",
    "Centrosome",
    "Lipid droplets",
    "Plasma membrane",
    "Cell junctions",
    "Mitochondria",
    "Aggresome",
    "Cytosol",
    "Cytoplasmic bodies",
    "Rods & rings",
)


class Record(NamedTuple):
    """An image before it is read.

    Attributes:
        id: its name in the table.
        classes: indices into `CLASSES`, rising, at least one.
        paths: of its channels, in the order of `COLOURS`.
    """

    id: str
    classes: tuple[int, ...]
    paths: tuple[Path, ...]


def compose(image: tf.Tensor, level: int | tf.Tensor) -> tf.Tensor:
    """Show the first structures of an image in their colours, as real-time SRGAN does (arXiv 2010.04634).

    Level 1 shows the microtubules in red, 2 adds the nucleus in blue, 3 the protein in green, 4 the endoplasmic
    reticulum in yellow, which is red and green in equal parts: R = red + yellow, G = green + yellow, B = blue. Sums
    are of whole numbers, so nothing is rounded; they saturate at the largest value of the type.

    Args:
        image: uint8 or uint16 (..., H, W, 4), channels as `COLOURS`.
        level: 1 to 4, a number or a scalar tensor.

    Returns:
        RGB of the type of `image`, (..., H, W, 3).
    """
    image = tf.convert_to_tensor(image)
    seen = tf.cast(level, tf.int32) >= tf.constant([FIRST_LEVEL[colour] for colour in COLOURS])
    planes = tf.where(seen, tf.cast(image, tf.int32), 0)
    rgb = planes[..., :3] + planes[..., 3:] * tf.constant([1, 1, 0])
    return tf.cast(tf.minimum(rgb, image.dtype.max), image.dtype)


def merge(paths: tuple[Path, ...]) -> np.ndarray:
    """Read the channels of an image, uint8, uint16 or float32 (H, W, 4), as stored.

    Raises:
        ValueError: naming the file, if it cannot be read, is no grey image, or differs in size or depth.
    """
    planes = [images.read(path) for path in paths]
    for path, plane in zip(paths, planes, strict=True):
        if plane.shape[-1] != 1:
            raise ValueError(f"{path} has {plane.shape[-1]} different planes. A channel is one grey image.")
        if (plane.shape, plane.dtype) != (planes[0].shape, planes[0].dtype):
            sizes = [f"{p.shape[0]}x{p.shape[1]} {p.dtype}" for p in (plane, planes[0])]
            raise ValueError(f"{path} is {sizes[0]}, {paths[0].name} is {sizes[1]}. Channels must match.")
    return np.concatenate(planes, axis=-1)


def find(folder: Path, tally: Tally) -> tuple[list[Record], int]:
    """Collect the images of the challenge: the rows of train.csv that have all four channels and known classes.

    Args:
        folder: with train.csv and the channels, at any depth.
        tally: told of what is left out, and why.

    Returns:
        The images, and the number of all that there are: ids in the table or in the names of files.

    Raises:
        FileNotFoundError: there is no train.csv, or more than one.
        ValueError: it cannot be read or lacks its columns, or there is no image at all.
    """
    files, tables = _list(folder)
    if len(tables) != 1:
        raise FileNotFoundError(
            f"{folder} must hold one train.csv of Id,Target and the channels <id>_<colour>.png or .tif. "
            f"Received: {len(tables)} files train.csv. See `--manual-dir` in the README."
        )
    (table,) = tables
    records, seen, absent = [], set(), []
    for line, row in rows(table, ("Id", "Target")):
        name = row["Id"].strip()
        try:
            if not name:
                raise ValueError("it has no id")
            if name in seen:
                raise ValueError("its id occurs before")
            seen.add(name)
            classes = parse_classes(_target(row))
            if name not in files:
                absent.append(name)
                continue
            records.append(Record(name, classes, _channels(files[name])))
        except ValueError as error:
            tally.skip(f"{name or 'a row'} ({table.name}, line {line}): {error}")
    # A part of the set may have been downloaded; its test images have no classes.
    for name in absent:
        tally.skip(f"{name} ({table.name}): it has no files")
    for name in sorted(set(files) - seen):
        tally.skip(f"{name}: it has no row in {table.name}")
    if not records:
        raise ValueError(
            f"{folder} has no image with all of {', '.join(COLOURS)} (<id>_<colour>.png or .tif) and a class in "
            f"{table}. Received: {len(files)} ids with files, {len(seen)} in the table.{tally.why()}"
        )
    return records, len(seen | set(files))


def parse_classes(target: str) -> tuple[int, ...]:
    """Read the classes of an image: indices between spaces, or indices or names between | or ;.

    Raises:
        ValueError: there is none, or an unknown one.
    """
    parts = [part.strip() for part in re.split(r"[|;]", target)]
    if len(parts) == 1 and parts[0] not in CLASSES:
        parts = target.split()
    if not any(parts):
        raise ValueError("it has no class")
    return tuple(sorted({class_index(part, CLASSES) for part in parts}))


def rarest(records: list[Record]) -> Callable[[Record], int]:
    """Return the function from an image to that class of it which the fewest of these images have."""
    count = Counter(label for record in records for label in record.classes)
    return lambda record: min(record.classes, key=lambda label: (count[label], label))


def _list(folder):
    """Return {id: {colour: paths}} and the tables below a folder."""
    files, tables = defaultdict(lambda: defaultdict(list)), []
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if name == "train.csv":
                tables.append(Path(parent, name))
            field, _, colour = Path(name).stem.rpartition("_")
            hidden = name.startswith(".")
            if colour in COLOURS and Path(name).suffix.lower() in SUFFIXES and not hidden:
                files[field][colour].append(Path(parent, name))
    return files, tables


def _channels(found):
    missing = [colour for colour in COLOURS if colour not in found]
    if missing:
        raise ValueError(f"no {' and no '.join(missing)} channel")
    for colour in COLOURS:
        if len(found[colour]) > 1:
            raise ValueError(f"more than one {colour} channel: {' and '.join(map(str, found[colour]))}")
    return tuple(found[colour][0] for colour in COLOURS)


def _target(row):
    """Return the classes of a row, which must be in one cell."""
    if row[None]:
        raise ValueError(f"more cells than columns, {row[None]}. Several classes stand between spaces")
    return row["Target"]
