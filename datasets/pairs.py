"""A folder of acquired pairs as a tf.data.Dataset: the same fields imaged twice, in `lr/` and in `hr/`."""

import re
import sys
from collections import defaultdict
from pathlib import Path

import tensorflow as tf

from msrgan import io
from msrgan.datasets.folder import Item, choose, reader
from msrgan.datasets.splits import SPLIT_FOLDERS
from msrgan.messages import few

SIDES = ("lr", "hr")


def is_paired(folder: Path) -> bool:
    """Tell whether a folder, or each of its `train/ val/ test/` folders, holds `lr/` and `hr/`.

    Raises:
        ValueError: it is half so: one of the two is missing, images lie beside them, or there are none, and images
            lie in a folder of a name like theirs: `hr` elsewhere, or with the word `lr` in it.
    """
    sides = _sides(folder)
    pairs = [path for found in sides.values() for path in found.values()]
    missing = [root / side for root, found in sides.items() for side in SIDES if side not in found]
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


def load(folder: Path, split: str, *, labels: bool = False, seed: int = 0) -> tf.data.Dataset:
    """Read the pairs of a folder.

    An image in `lr/` and one in `hr/` make a pair where their paths below these folders are the same but for the
    suffix. `lr/` and `hr/` lie in each of its `train`, `val` and `test` folders, or in the folder itself, and may then
    hold such folders; splits are those of a plain folder (see `folder.load`).

    Args:
        folder: see above.
        split: "train", "validation", "test" or "all".
        labels: an error if wanted: pairs have none.
        seed: of the held-out choice.

    Returns:
        Dataset of {"id": path of the HR image without its `hr/`, "image": HR (H, W, C), "lr": (h, w, C)}, in a mixed
        order, values as stored. HR and LR images have each a dtype of their own, the widest of their files'. A pair
        with a file that cannot be read is skipped, with a warning.

    Raises:
        ValueError: naming the first few images without a partner and the number of them (stderr names them all), if a
            split is empty, or if labels are wanted.
    """
    if labels:
        raise ValueError(f"{folder} holds pairs in lr/ and hr/, which have no labels. Use a labelled set.")
    items, partners = _items(folder)
    chosen = choose(items, split, seed=seed)
    if not chosen:
        raise ValueError(f"{folder} has too few pairs to hold some out for {split}. Add pairs.")
    read_hr, read_lr = reader([item.path for item in items]), reader(list(partners.values()))
    columns = {
        "id": [item.id for item in chosen],
        "image": [str(item.path) for item in chosen],
        "lr": [str(partners[item.id]) for item in chosen],
    }

    def example(pair):
        return pair | {"image": read_hr(pair["image"]), "lr": read_lr(pair["lr"])}

    files = tf.data.Dataset.from_tensor_slices(columns)
    decoded = files.map(example, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return decoded.filter(lambda e: (tf.size(e["image"]) > 0) & (tf.size(e["lr"]) > 0))


def _sides(folder):
    """Return {root: {"lr": path, "hr": path}} of the split folders that hold one of these, or else of the folder."""
    roots = [root for root in _folders(folder, SPLIT_FOLDERS) if _folders(root, SIDES)] or [folder]
    found = {root: {path.name.lower(): path for path in _folders(root, SIDES)} for root in roots}
    return {root: sides for root, sides in found.items() if sides}


def _folders(root, names):
    """Return the folders of these names that there are, in whatever case they are written."""
    return [path for path in sorted(root.iterdir()) if path.is_dir() and path.name.lower() in names]


def _places(folder):
    """Return all folders below a folder that hold images, itself among them."""
    try:
        return sorted({path.parent for path in io.list_images(folder)})
    except ValueError:
        return []  # or all of them are behind links


def _is_like_a_side(name):
    """Tell whether a folder has a name like one of a pair; "24 hr" are hours."""
    return name.lower() == "hr" or "lr" in re.split(r"[^a-z]|x\d", name.lower())


def _items(folder):
    """Return the HR images as items, and the LR image of each by the item's id."""
    items, partners, violations = [], {}, []
    for root, sides in _sides(folder).items():
        found = {side: _by_name(path) for side, path in sides.items()}
        for side, other in (SIDES, SIDES[::-1]):
            for name, paths in found[side].items():
                if len(paths) > 1:
                    violations.append(f"{paths[1]} (beside {paths[0].name})")
                elif name not in found[other]:
                    violations.append(f"{paths[0]} (no partner in {other}/)")
        for name, (path, *_) in found["hr"].items():
            place = root.relative_to(folder) / path.relative_to(sides["hr"])
            item = Item(path, place.as_posix(), SPLIT_FOLDERS.get(place.parts[0].lower()), None)
            items.append(item)
            partners[item.id] = found["lr"].get(name, [None])[0]
    for violation in violations:
        print(f"warning: {violation}", file=sys.stderr)
    if violations:
        raise ValueError(
            f"Every image of lr/ needs one of hr/ of the same name, and the reverse. Received: {len(violations)} "
            f"of {folder} without: {few(violations)}. Add the missing images or remove these."
        )
    return items, partners


def _by_name(folder):
    """List the images of `lr/` or `hr/` by their paths without the suffix."""
    found = defaultdict(list)
    for path in io.list_images(folder):
        found[path.relative_to(folder).with_suffix("").as_posix()].append(path)
    return found
