"""A folder of acquired pairs as a tf.data.Dataset: the same fields imaged twice, in `lr/` and in `hr/`."""

import sys
from collections import defaultdict
from pathlib import Path

import tensorflow as tf

from msrgan import images
from msrgan.datasets.folder import Item, choose, reader
from msrgan.datasets.splits import SPLIT_FOLDERS

SIDES = ("lr", "hr")
SHOWN = 5


def is_paired(folder: Path) -> bool:
    """Tell whether a folder, or one of its `train/ val/ test/` folders, holds both `lr/` and `hr/`."""
    return any(set(SIDES) <= set(_sides(root)) for root in _roots(folder))


def load(folder: Path, split: str, *, labels: bool = False, seed: int = 0) -> tf.data.Dataset:
    """Read the pairs of a folder.

    An image in `lr/` and one in `hr/` make a pair where their paths below these folders are the same but for the
    suffix. `lr/` and `hr/` lie in the folder itself, or in each of its `train`, `val` and `test` folders; splits are
    those of a plain folder (see `folder.load`).

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


def _roots(folder):
    """Return the split folders that hold `lr/` or `hr/`, else the folder itself."""
    splits = [path for path in sorted(folder.iterdir()) if path.is_dir() and path.name.lower() in SPLIT_FOLDERS]
    return [path for path in splits if _sides(path)] or [folder]


def _sides(root):
    """Return the folders `lr` and `hr` that there are, in whatever case they are written."""
    return {path.name.lower(): path for path in root.iterdir() if path.is_dir() and path.name.lower() in SIDES}


def _items(folder):
    """Return the HR images as items, and the LR image of each by the item's id."""
    items, partners, violations = [], {}, []
    for root in _roots(folder):
        sides = {side: root / side for side in SIDES} | _sides(root)
        found = {side: _by_name(path) for side, path in sides.items()}
        for side, other in (SIDES, SIDES[::-1]):
            for name, paths in found[side].items():
                if len(paths) > 1:
                    violations.append(f"{paths[1]} (beside {paths[0].name})")
                elif name not in found[other]:
                    violations.append(f"{paths[0]} (no partner in {other}/)")
        split = SPLIT_FOLDERS.get(root.name.lower()) if root != folder else None
        for name, (path, *_) in found["hr"].items():
            relative = path.relative_to(sides["hr"])
            item = Item(path, (root.relative_to(folder) / relative).as_posix(), split, None)
            items.append(item)
            partners[item.id] = found["lr"].get(name, [None])[0]
    for violation in violations:
        print(f"warning: {violation}", file=sys.stderr)
    if violations:
        more = f" and {len(violations) - SHOWN} more" if len(violations) > SHOWN else ""
        raise ValueError(
            f"Every image of lr/ needs one of hr/ of the same name, and the reverse. Received: {len(violations)} "
            f"without: {', '.join(violations[:SHOWN])}{more}. Add the missing images or remove these."
        )
    return items, partners


def _by_name(folder):
    """List the images of `lr/` or `hr/` by their paths without the suffix."""
    found = defaultdict(list)
    for path in images.list_images(folder):
        found[path.relative_to(folder).with_suffix("").as_posix()].append(path)
    return found
