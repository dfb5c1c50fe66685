"""Label maps of a folder of images: an integer for each pixel, 0 the ground, every other number an object.

They lie in a folder `labels` or `masks` beside the folder `images`, under the same path and stem as their image, with
or without `_label`, `_labels`, `_mask` or `_masks` after it: `images/a.tif` has `labels/a.png` or `masks/a_masks.tif`.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from msrgan import io
from msrgan.io.listing import MASK_FOLDERS

# Files that keep the numbers of a map; a JPEG blurs them.
SUFFIXES = (".png", ".tif", ".tiff", ".bmp")
ENDINGS = ("", "_label", "_labels", "_mask", "_masks")


def maps_of(paths: Sequence[Path], folder: Path, *, warn: Callable[[str], object]) -> dict[Path, Path]:
    """Return the label map, below the same folder, of each of these images that has one.

    Of two maps of an image none is taken, and `warn` is told so.
    """
    maps, known = {}, {}
    for path in paths:
        above = path.parents[: len(path.relative_to(folder).parents) - 1]  # without the folder itself
        root = next((parent for parent in above if parent.name.lower() == "images"), None)
        if root is None:
            continue
        if root not in known:
            known[root] = _maps_beside(root)
        stem = path.relative_to(root).with_suffix("").as_posix()
        candidates = [file for ending in ENDINGS for file in known[root].get(stem + ending, ())]
        if len(candidates) > 1:
            warn(f"{path} has more than one label map, and goes without: {', '.join(map(str, candidates))}")
        elif candidates:
            maps[path] = candidates[0]
    return maps


def read_map(path: Path, height: int, width: int) -> np.ndarray:
    """Read a label map, uint16 (height, width).

    Raises:
        ValueError: naming the file, if it cannot be read, has several channels (colours tell no number of an object),
            numbers that are not whole or above 65535, or another size.
    """
    label_map = io.read_pixels(path)
    if label_map.shape != (height, width, 1):
        size = "x".join(map(str, label_map.shape))
        raise ValueError(f"{path}: a label map has the size of its image, {height}x{width}x1. Received: {size}")
    with np.errstate(invalid="ignore"):
        labels = label_map[..., 0].astype(np.uint16)
    if (labels != label_map[..., 0]).any():
        raise ValueError(f"{path}: a label map holds whole numbers from 0 to 65535. Received: other {label_map.dtype}")
    return labels


def _maps_beside(root):
    """Return {path without suffix: files} of the folders of label maps beside a folder `images`."""
    maps = defaultdict(list)
    for folder in sorted(root.parent.iterdir()):
        if folder.name.lower() not in MASK_FOLDERS:
            continue
        for parent, _, names in os.walk(folder):
            for name in sorted(names):
                if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                    path = Path(parent, name)
                    maps[path.relative_to(folder).with_suffix("").as_posix()].append(path)
    return maps
