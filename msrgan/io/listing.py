"""What lies in folders."""

import os
from pathlib import Path

from msrgan.io.raster import SUFFIXES
from msrgan.messages import few

_MASK_FOLDERS = ("labels", "masks")


def list_images(folder: str | os.PathLike) -> list[Path]:
    """Lists the image files below a folder, at any depth, sorted.

    Hidden files are left out, and so is a `labels` or `masks` folder beside a folder `images` or `hr`:
    label maps are not images.

    Raises:
        FileNotFoundError: the folder does not exist.
        ValueError: it is not a folder, or holds no image.
    """
    folder = Path(folder)
    if not folder.exists():
        raise FileNotFoundError(f"{folder}: no such folder")
    if not folder.is_dir():
        raise ValueError(f"Images are listed from a folder. Received: {folder}, a file")
    found = []
    for parent, folders, files in os.walk(folder):
        names = {name.lower() for name in folders}
        skipped = _MASK_FOLDERS if {"images", "hr"} & names else ()
        folders[:] = [f for f in folders if not f.startswith(".") and f.lower() not in skipped]
        found += [Path(parent, f) for f in files if f.lower().endswith(SUFFIXES) and not f.startswith(".")]
    if not found:
        raise ValueError(f"{folder}: holds no images ({' '.join(SUFFIXES)})")
    return sorted(found)


def contents(path: str | os.PathLike) -> str:
    """Says what is at a path where something else was expected: nothing, a file, or a folder of which names."""
    path = Path(path)
    if not path.is_dir():
        return "a file" if path.exists() else "nothing"
    names = sorted(entry.name for entry in path.iterdir())
    return f"a folder of {few(names)}" if names else "an empty folder"
