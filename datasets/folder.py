"""A plain folder of images as a tf.data.Dataset, read where it lies, without a copy."""

import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tifffile

from msrgan import io
from msrgan.datasets.localisation import LOCALISATIONS, class_of
from msrgan.datasets.splits import HELD_OUT, hold_out, named_splits, rank, split_of

SPLITS = ("train", "validation", "test", "all")


class Item(NamedTuple):
    """One file of a folder: path, path below the folder, split named by a folder or None, class or None."""

    path: Path
    id: str
    split: str | None
    label: str | None


def load(folder: Path, split: str, *, labels: bool = False, seed: int = 0) -> tf.data.Dataset:
    """Read the images of a folder.

    `train`, `val` (or `validation`) and `test` folders at the top are the splits. Otherwise, and for a
    validation split that is missing, 15 % of every class are held out; "test" is then "validation".

    Args:
        folder: images at any depth. Classes, where wanted: the `CC_ID.png` names of the thesis, or one
            folder a class.
        split: "train", "validation", "test" or "all".
        labels: yield "label" too.
        seed: of the held-out choice.

    Returns:
        Dataset of {"id": path below `folder`, "image": (H, W, C)} and "label" if wanted, in an order that
        mixes the classes. The dtype is the widest of the files' (uint8, uint16 or float32), values as stored.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if it has no images, or no classes where they are wanted.
    """
    items = _items(folder)
    names = class_names(folder) if labels else ()
    chosen = choose(items, split, seed=seed, labels=labels)
    if not chosen:
        raise ValueError(f"{folder} has too few images to hold some out for {split}. Add images.")
    read = reader([item.path for item in items])
    columns = {"id": [item.id for item in chosen], "image": [str(item.path) for item in chosen]}
    if labels:
        columns["label"] = np.array([names.index(item.label) for item in chosen], np.int64)

    def example(item):
        return item | {"image": read(item["image"])}

    files = tf.data.Dataset.from_tensor_slices(columns)
    decoded = files.map(example, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return decoded.filter(lambda e: tf.size(e["image"]) > 0)


def reader(paths: list[Path]) -> Callable[[tf.Tensor], tf.Tensor]:
    """Make a function for tf.data from the path of one of these images to its pixels (H, W, C).

    The dtype is the widest of all the files'. A file that cannot be read is named on stderr and gives (0, 0, 0).
    """
    dtype = _common_dtype(paths)

    def read(path):
        try:
            image = io.read(path.decode())
        except io.UnreadableImageError as error:
            _warn_once(str(error))
            return np.zeros((0, 0, 0), dtype)
        if not np.can_cast(image.dtype, dtype):
            raise ValueError(
                f"{path.decode()}: its pixels are {image.dtype}, which its suffix does not tell. Rename it."
            )
        return image.astype(dtype)

    def tensor(path):
        return tf.ensure_shape(tf.numpy_function(read, [path], dtype, stateful=False), (None, None, None))

    return tensor


def class_names(folder: Path) -> tuple[str, ...]:
    """Return the classes of a folder.

    Raises:
        ValueError: if a file has no class, or if there is one class only.
    """
    items = _items(folder)
    missing = next((item.path for item in items if item.label is None), None)
    if missing:
        raise ValueError(
            f"Every image needs a class: one folder a class, or a name CC_ID.png with CC from 00 to 12. "
            f"Received: {missing}."
        )
    found = {item.label for item in items}
    if len(found) == 1:
        raise ValueError(f"A classifier needs two classes or more. Received: {folder} with only {found.pop()}.")
    return LOCALISATIONS if found <= set(LOCALISATIONS) else tuple(sorted(found))


def _items(folder):
    """List the files with their split and class, read from their folders, or all from names `CC_ID.png`."""
    items = []
    for path in io.list_images(folder):
        parts = path.relative_to(folder).parts
        split = split_of(path, folder)
        # A folder `images` is the one beside `labels`, no class.
        folders = [part for part in parts[split is not None : -1] if part.lower() != "images"]
        items.append(Item(path, "/".join(parts), split, folders[0] if folders else None))
    codes = [class_of(item.path) for item in items]
    if all(item.label is None for item in items) and None not in codes:
        items = [item._replace(label=LOCALISATIONS[code]) for item, code in zip(items, codes, strict=True)]
    return items


def choose(items: list[Item], split: str, *, seed: int, labels: bool = False) -> list[Item]:
    """Return the items of a split, see `load`, in an order that mixes the classes; ValueError if there is no such."""
    if split not in SPLITS:
        raise ValueError(f"A split of a folder is one of {', '.join(SPLITS)}. Received: {split}.")
    return sorted(_members(items, split, seed, labels), key=lambda item: rank(item.id))


def _members(items, split, seed, labels):
    if split == "all":
        return items
    named = named_splits(items)
    if split == "test" and "test" not in named:
        split = "validation"
    if split in named and (split != "train" or "validation" in named):
        return [item for item in items if item.split == split]
    rest = [item for item in items if item.split in (None, "train")]
    classes = [item.label if labels else None for item in rest]
    held = hold_out(classes, [item.id for item in rest], fraction=HELD_OUT, seed=seed)
    return [item for item, out in zip(rest, held, strict=True) if out == (split == "validation")]


def _common_dtype(paths):
    """Return the dtype that holds every file's pixels, from the headers alone."""
    widest = np.uint8
    for path in paths:
        try:
            widest = np.promote_types(widest, _header_dtype(path))
        except (OSError, struct.error, tifffile.TiffFileError, IndexError):
            continue  # damaged: named and skipped when it is read
    return np.dtype(widest)


def _header_dtype(path):
    if path.suffix.lower() == ".png":
        with open(path, "rb") as file:
            # The bit depth follows signature, chunk head, width and height.
            return np.uint16 if file.read(25)[24:] == b"\x10" else np.uint8
    if path.suffix.lower() in (".tif", ".tiff"):
        with tifffile.TiffFile(path) as file:
            dtype = np.dtype(file.pages[0].dtype)
        if dtype.kind == "f":
            return np.float32
        return np.uint8 if dtype.itemsize == 1 else np.uint16
    return np.uint8


_warned = set()


def _warn_once(message):
    """Name an unreadable file on the first of the passes that meet it."""
    if message not in _warned:
        _warned.add(message)
        print(f"warning: skipped {message} ({len(_warned)} so far)", file=sys.stderr)
