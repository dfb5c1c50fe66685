"""A folder of acquired pairs as a tf.data.Dataset: the same fields imaged twice, in `lr/` and in `hr/`."""

import os
import re
from collections import defaultdict
from pathlib import Path

import tensorflow as tf

from msrgan import io, messages
from msrgan.datasets.files import by_frame, stem_of
from msrgan.datasets.folder import choose, reader, skip
from msrgan.datasets.listing import list_images
from msrgan.datasets.records import Record
from msrgan.datasets.splits import FOLDERS
from msrgan.messages import few

SIDES = ("lr", "hr")


def is_paired(folder: Path) -> bool:
    """Tell whether a folder, or each of its `train/ val/ test/` folders, holds `lr/` and `hr/`.

    Raises:
        ValueError: it is half so: one of the two is missing, images lie beside them, or there are none, and images
            lie in a folder of a name like theirs: `hr` elsewhere, or with the word `lr` in it.
    """
    sides = _sides(folder)
    pairs = [path for folders in sides.values() for path in folders.values()]
    missing = [root / side for root, folders in sides.items() for side in SIDES if side not in folders]
    others = [place for place in _places(folder) if not any(map(place.is_relative_to, pairs))]
    alike = [place for place in others if any(map(_is_like_a_side, place.relative_to(folder).parts))]
    if not pairs and not alike:
        return False
    wrong = [f"no folder {path}" for path in missing] + [f"images in {path}" for path in alike or others]
    if wrong:
        raise ValueError(
            f"Acquired pairs lie in folders lr and hr of {folder} or of each of its folders train, val and test, "
            f"without an image beside them. Received: {few(wrong)}. Rename or move them; to read "
            "plain images, name their folder itself."
        )
    return True


def load(folder: Path, split: str, *, axes: str | None = None, labels: bool = False, seed: int = 0) -> tf.data.Dataset:
    """Read the pairs of a folder.

    An image in `lr/` and one in `hr/` make a pair where their paths below these folders are the same but for the
    suffix; of two stacks each plane makes one with its like. `lr/` and `hr/` lie in each of its `train`, `val` and
    `test` folders, or in the folder itself, and may then hold such folders; splits are made as of a plain folder (see
    `folder.load`).

    Args:
        folder: see above.
        split: "train", "validation", "test" or "all".
        axes: as for `io.read_pixels`.
        labels: an error if wanted: pairs have none.
        seed: of the held-out choice.

    Returns:
        Dataset of {"id": path of the HR image without its `hr/`, of a stack with the plane, as "cells.tif[Z0]",
        "group": the path alone, "image": HR (H, W, C), "lr": (h, w, C)}, in a mixed order, values as stored. HR and LR
        images have each a dtype of their own, the widest of their files'. A pair with a file that cannot be read is
        skipped, with a warning.

    Raises:
        ValueError: naming the first few images without a partner and the number of them (warnings name them all), if
            two stacks have other planes, a split is empty, or labels are wanted.
    """
    if labels:
        raise ValueError(f"{folder} holds pairs in lr/ and hr/, which have no labels. Use a labelled set.")
    records = by_frame(_records(folder), axes, skip=skip)
    chosen = choose(records, split, seed=seed)
    if not chosen:
        raise ValueError(
            f"{folder} has too few pairs to hold some out for {split}; the planes of a stack count as one. Add pairs."
        )
    read_hr, read_lr = (reader([record.paths[side] for record in records], axes) for side in (0, 1))
    columns = {
        "id": [record.id for record in chosen],
        "group": [record.group for record in chosen],
        "image": [os.fsencode(record.paths[0]) for record in chosen],
        "lr": [os.fsencode(record.paths[1]) for record in chosen],
    }

    def example(pair, frame):
        return pair | {"image": read_hr(pair["image"], frame), "lr": read_lr(pair["lr"], frame)}

    files = tf.data.Dataset.from_tensor_slices((columns, [record.frame for record in chosen]))
    decoded = files.map(example, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return decoded.filter(lambda e: (tf.size(e["image"]) > 0) & (tf.size(e["lr"]) > 0))


def _sides(folder):
    """Return {root: {"lr": path, "hr": path}} of the split folders that hold one of these, or else of the folder."""
    roots = [root for root in _folders(folder, FOLDERS) if _folders(root, SIDES)] or [folder]
    sides = {root: {path.name.lower(): path for path in _folders(root, SIDES)} for root in roots}
    return {root: folders for root, folders in sides.items() if folders}


def _folders(root, names):
    """Return the folders of these names that there are, in whatever case they are written."""
    return [path for path in sorted(root.iterdir()) if path.is_dir() and path.name.lower() in names]


def _places(folder):
    """Return all folders below a folder that hold images, itself among them."""
    try:
        return sorted({path.parent for path in io.survey_folder(folder).images})
    except ValueError:
        return []  # or all of them are behind links


def _is_like_a_side(name):
    """Tell whether a folder has a name like one of a pair; "24 hr" are hours."""
    return name.lower() == "hr" or "lr" in re.split(r"[^a-z]|x\d", name.lower())


def _records(folder):
    """Return the pairs, their paths the HR and the LR image; a ValueError if an image has no partner."""
    records, violations = [], []
    for root, sides in _sides(folder).items():
        files = {side: _by_name(path) for side, path in sides.items()}
        for side, other in (SIDES, SIDES[::-1]):
            for name, paths in files[side].items():
                if len(paths) > 1:
                    violations.append(f"{paths[1]} (beside {paths[0].name})")
                elif name not in files[other]:
                    violations.append(f"{paths[0]} (no partner in {other}/)")
        for name, (path, *_) in files["hr"].items():
            place = root.relative_to(folder) / path.relative_to(sides["hr"])
            split = FOLDERS.get(place.parts[0].lower())
            pair = (path, *files["lr"].get(name, ())[:1])
            records.append(Record(place.as_posix(), place.as_posix(), pair, split=split))
    for violation in violations:
        messages.warn(violation)
    if violations:
        raise ValueError(
            f"Every image of lr/ needs one of hr/ of the same name, and the reverse. Received: {len(violations)} "
            f"of {folder} without: {few(violations)}. Add the missing images or remove these."
        )
    return records


def _by_name(folder):
    """List the images of `lr/` or `hr/` by their paths without the suffix."""
    files = defaultdict(list)
    for path in list_images(folder, skip=skip):
        files[stem_of(path.relative_to(folder))].append(path)
    return files
