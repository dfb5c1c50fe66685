"""Label maps of a folder of images: an integer for each pixel, 0 the ground, every other number an object.

They lie in a folder `labels` or `masks` beside the folder `images`, under the same path and stem as their image, with
or without `_label`, `_labels`, `_mask` or `_masks` after it: `images/a.tif` has `labels/a.png` or `masks/a_masks.tif`.
A stack has a stack of label maps, plane by plane.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from msrgan.datasets.files import Files, described, fault_of, header, stem_of
from msrgan.io.listing import MASK_FOLDERS
from msrgan.io.outputs import LISTED

# Files that keep the numbers of a map; a JPEG blurs them.
SUFFIXES = tuple(suffix for suffix in LISTED if suffix not in (".jpg", ".jpeg", ".webp"))
ENDINGS = ("", "_label", "_labels", "_mask", "_masks")


def maps_of(
    paths: Sequence[Path], folder: Path, *, axes: str | None = None, warn: Callable[[str], object]
) -> dict[Path, Path]:
    """Return the label map, below the same folder, of each of these images that has one.

    Args:
        paths: the images.
        folder: which they lie in.
        axes: of the images, as for `io.read_pixels`.
        warn: is told of an image with two maps, and of a stack whose map has other planes; they go without.
    """
    maps, known = {}, {}
    for path in paths:
        above = path.parents[: len(path.relative_to(folder).parents) - 1]  # without the folder itself
        root = next((parent for parent in above if parent.name.lower() == "images"), None)
        if root is None:
            continue
        if root not in known:
            known[root] = _maps_beside(root)
        stem = stem_of(path.relative_to(root))
        candidates = [file for ending in ENDINGS for file in known[root].get(stem + ending, ())]
        if len(candidates) > 1:
            warn(f"{path} has more than one label map, and goes without: {', '.join(map(str, candidates))}")
        elif candidates and (reason := _misfit(candidates[0], path, axes)):
            warn(f"an image goes without its label map. {reason}")
        elif candidates:
            maps[path] = candidates[0]
    return maps


def files_of(axes: str | None) -> Files:
    """Make a reader of the label maps of images with these axes: a map has no channels."""
    return Files(_axes(axes))


def read_map(path: Path, height: int, width: int, *, files: Files, frame: str = "") -> np.ndarray:
    """Read a label map, or one of a stack of them, uint16 (height, width).

    Raises:
        ValueError: naming the file, if it cannot be read, has several channels (colours tell no number of an object),
            numbers that are not whole or above 65535, or another size.
    """
    label_map = files.read(path, frame)
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
        for parent, folders, names in os.walk(folder):
            stores = [name for name in folders if name.lower().endswith(".zarr")]
            folders[:] = [name for name in folders if name not in stores]
            for name in sorted((*stores, *names)):
                if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                    path = Path(parent, name)
                    maps[stem_of(path.relative_to(folder))].append(path)
    return maps


def _misfit(label_map, image, axes):
    """Say why the label map of a stack does not fit it, None if it does; that of a single image is seen when read."""
    planes = header(image, axes).frames
    if len(planes) == 1:
        return None
    try:
        own = header(label_map, _axes(axes)).frames
    except (ValueError, OSError) as error:
        return fault_of(label_map, error)
    if own == planes:
        return None
    return f"{label_map}: a label map has the planes of its stack, {described(planes)}. Received: {described(own)}"


def _axes(axes):
    return axes and axes.replace("C", "")
