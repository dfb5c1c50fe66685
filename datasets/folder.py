"""A plain folder of images as a tf.data.Dataset, read where it lies, without a copy."""

import os
from collections.abc import Callable, Sequence
from operator import attrgetter
from pathlib import Path

import numpy as np
import tensorflow as tf

from msrgan.datasets import masks
from msrgan.datasets.files import Files, by_frame, fault_of, header
from msrgan.datasets.listing import list_images
from msrgan.datasets.localisation import LOCALISATIONS, class_of
from msrgan.datasets.records import Record
from msrgan.datasets.splits import SPLITS, check_all_named, named_by, rank
from msrgan.datasets.splits import split as split_records
from msrgan.messages import warn_once


def load(folder: Path, split: str, *, axes: str | None = None, labels: bool = False, seed: int = 0) -> tf.data.Dataset:
    """Read the images of a folder: its files, and each plane in Z and T of its stacks.

    `train`, `val` (or `validation`) and `test` folders at the top are the splits. Otherwise, and for a
    validation split that is missing, 15 % of every class are held out; "test" is then "validation". No split cuts a
    stack.

    Args:
        folder: images at any depth, in all formats of `io.outputs.LISTED`. Classes, where wanted: the `CC_ID.png` names
            of the thesis, or one folder a class. Label maps: in a folder `labels` or `masks` beside a folder `images`,
            see `masks`.
        split: "train", "validation", "test" or "all".
        axes: as for `io.read_pixels`.
        labels: yield "label" too.
        seed: of the held-out choice.

    Returns:
        Dataset of {"id": path below `folder`, of a stack with the plane, as "cells.tif[T3 Z0]", "group": the path
        alone, "image": (H, W, C)} and "label" if wanted, in an order that mixes the classes. The dtype is the widest
        of the files' (uint8, uint16 or float32), values as stored. If an image of the folder has a label map, all have
        "mask", uint16 (H, W), which is zero throughout where an image has none, or one that cannot be read or has
        another size: that is warned of, and the image is kept, since its pixels are right.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if it has no images, or no classes where they are wanted.
    """
    records = by_frame(_records(folder), axes, skip=skip)
    if not records:
        raise ValueError(f"{folder}: holds no images that can be opened")
    names = class_names(folder) if labels else ()
    chosen = choose(records, split, seed=seed, labels=labels)
    if not chosen:
        raise ValueError(
            f"{folder} has too few images to hold some out for {split}; the planes of a stack count as one. Add images."
        )
    paths = list(dict.fromkeys(record.paths[0] for record in records))
    read, maps = reader(paths, axes), masks.maps_of(paths, folder, axes=axes, warn=warn_once)
    columns = {
        "id": [record.id for record in chosen],
        "group": [record.group for record in chosen],
        "image": [os.fsencode(record.paths[0]) for record in chosen],
    }
    if labels:
        columns["label"] = np.array([names.index(record.label) for record in chosen], np.int64)
    if maps:
        columns["mask"] = [os.fsencode(maps.get(record.paths[0], "")) for record in chosen]

    read_map = _map_reader(axes)

    def example(item, frame):
        image = read(item["image"], frame)
        return item | {"image": image} | ({"mask": read_map(item["mask"], frame, image)} if maps else {})

    files = tf.data.Dataset.from_tensor_slices((columns, [record.frame for record in chosen]))
    decoded = files.map(example, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return decoded.filter(lambda example: tf.size(example["image"]) > 0)


def reader(paths: Sequence[Path], axes: str | None = None) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """Make a function for tf.data from the path of one of these images, and its frame, to its pixels (H, W, C).

    The dtype is the widest of all the files'; `axes` as for `io.read_pixels`. A file that cannot be read is warned of
    and gives (0, 0, 0).
    """
    dtype = np.result_type(np.uint8, *{header(path, axes).dtype for path in paths})
    files = Files(axes)

    def read(name, frame):
        path = Path(os.fsdecode(name))
        try:
            image = files.read(path, frame.decode())
        except (ValueError, FileNotFoundError) as error:
            skip(fault_of(path, error))
            return np.zeros((0, 0, 0), dtype)
        if not np.can_cast(image.dtype, dtype):
            raise ValueError(f"{path}: its pixels became {image.dtype} after its folder was listed. Start again.")
        return image.astype(dtype)

    def tensor(name, frame):
        return tf.ensure_shape(tf.numpy_function(read, [name, frame], dtype, stateful=False), (None, None, None))

    return tensor


def class_names(folder: Path) -> tuple[str, ...]:
    """Return the classes of a folder.

    Raises:
        ValueError: if a file has no class, or if there is one class only.
    """
    records = _records(folder)
    missing = next((record.paths[0] for record in records if record.label is None), None)
    if missing:
        raise ValueError(
            f"Every image needs a class: one folder a class, or a name CC_ID.png with CC from 00 to 12. "
            f"Received: {missing}."
        )
    names = {record.label for record in records}
    if len(names) == 1:
        raise ValueError(f"A classifier needs two classes or more. Received: {folder} with only {names.pop()}.")
    return LOCALISATIONS if names <= set(LOCALISATIONS) else tuple(sorted(names))


def choose(records: Sequence[Record], split: str, *, seed: int, labels: bool = False) -> list[Record]:
    """Return the records of a split, see `load`, in an order that mixes the classes; ValueError if there is no such."""
    if split not in (*SPLITS, "all"):
        raise ValueError(f"A split of a folder is one of {', '.join(SPLITS)}, all. Received: {split}.")
    if split != "all":
        check_all_named(records)
        label = attrgetter("label") if labels else lambda record: None
        parts = split_records(records, label=label, held_out=("validation",), seed=seed)
        records = parts["validation"] if split == "test" and not parts["test"] else parts[split]
    return sorted(records, key=lambda record: rank(record.id))


def skip(reason: str) -> None:
    """Warn of a file that is left out, on the first of the passes that meet it."""
    warn_once(f"skipped {reason}")


def _records(folder):
    """List the files with their split and class, read from their folders, or all from names `CC_ID.png`."""
    records = []
    for path in list_images(folder, skip=skip):
        parts = path.relative_to(folder).parts
        split = named_by(path, folder)
        # A folder `images` is the one beside `labels`, no class.
        folders = [part for part in parts[split is not None : -1] if part.lower() != "images"]
        name = "/".join(parts)
        records.append(Record(name, name, (path,), folders[0] if folders else None, split))
    if not records:
        raise ValueError(f"{folder}: holds no images that can be opened")
    codes = [class_of(record.paths[0]) for record in records]
    if all(record.label is None for record in records) and None not in codes:
        records = [r._replace(label=LOCALISATIONS[code]) for r, code in zip(records, codes, strict=True)]
    return records


def _map_reader(axes):
    """Make a function for tf.data from the path of a label map, a frame and its image to the map, uint16 (H, W)."""
    files = masks.files_of(axes)

    def read(name, frame, height, width):
        try:
            if name:
                return masks.read_map(Path(os.fsdecode(name)), height, width, files=files, frame=frame.decode())
        except (ValueError, FileNotFoundError) as error:
            warn_once(f"an image goes without its label map. {error}")
        return np.zeros((height, width), np.uint16)

    def tensor(name, frame, image):
        height, width = tf.unstack(tf.shape(image)[:2])
        label_map = tf.numpy_function(read, [name, frame, height, width], tf.uint16, stateful=False)
        return tf.ensure_shape(label_map, (None, None))

    return tensor
