"""What lies in folders."""

import os
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from msrgan.io.outputs import LISTED
from msrgan.messages import few, warn

MASK_FOLDERS = ("labels", "masks")


class Survey(NamedTuple):
    """What lies below a folder, hidden files and label maps left out.

    Attributes:
        images: the image files, sorted.
        unusable: {path: reason} of what has the suffix of an image and cannot be read: links to nothing, names that
            are not UTF-8, folders without permission.
        others: {suffix: how many} of the files that are no images.
    """

    images: list[Path]
    unusable: dict[Path, str]
    others: Counter

    def passed_over(self) -> str | None:
        """Return a line on the files that are no images, None if there are none."""
        if not self.others:
            return None
        count = self.others.total()
        counts = sorted(self.others.items(), key=lambda item: (-item[1], item[0] or "~"))
        suffixes = few([f"{n} {suffix or 'without suffix'}" for suffix, n in counts])
        files = "1 file that is no image" if count == 1 else f"{count} files that are no images"
        return f"passed over {files}: {suffixes}"


def survey_folder(folder: str | os.PathLike) -> Survey:
    """List what lies below a folder, at any depth.

    Images are the files of the suffixes `outputs.LISTED`, and folders named *.zarr. Folders `labels` and `masks` below
    it hold label maps, which are not images; the folder itself may have that name.

    Raises:
        FileNotFoundError: the folder does not exist.
        ValueError: it is not a folder, or holds no image.
    """
    folder = Path(folder)
    if not folder.exists():
        raise FileNotFoundError(f"{folder}: no such folder")
    if not folder.is_dir():
        raise ValueError(f"Images are listed from a folder. Received: {folder}, a file")
    survey, masks = Survey([], {}, Counter()), []

    def refused(error: OSError) -> None:
        survey.unusable[Path(error.filename)] = error.strerror

    for parent, folders, files in os.walk(folder, onerror=refused):
        masks += [Path(parent, name) for name in folders if name.lower() in MASK_FOLDERS]
        folders[:] = [name for name in folders if not name.startswith(".") and name.lower() not in MASK_FOLDERS]
        images = [name for name in folders if name.lower().endswith(".zarr")]
        folders[:] = [name for name in folders if name not in images]
        for path in (Path(parent, name) for name in (*images, *files) if not name.startswith(".")):
            if path.suffix.lower() not in LISTED:
                survey.others[path.suffix.lower()] += 1
            elif reason := why_unusable(path, folder):
                survey.unusable[path] = reason
            else:
                survey.images.append(path)
    survey = survey._replace(images=sorted(survey.images), unusable=dict(sorted(survey.unusable.items())))
    if not survey.images and not survey.unusable:
        maps = f" but label maps in {few([str(path) for path in sorted(masks)])}. Name that folder" if masks else ""
        raise ValueError(f"{folder}: holds no images ({' '.join(LISTED)}){maps}")
    return survey


def list_images(folder: str | os.PathLike) -> list[Path]:
    """List the image files below a folder, at any depth, sorted; see `survey_folder`.

    What cannot be read for its name or its link is left out with a warning.

    Raises:
        FileNotFoundError: the folder does not exist.
        ValueError: it is not a folder, or holds no image.
    """
    survey = survey_folder(folder)
    for path, reason in survey.unusable.items():
        warn(f"skipped {text_of(path)}: {reason}")
    if not survey.images:
        raise ValueError(f"{folder}: holds no images that can be read")
    return survey.images


def text_of(path: str | os.PathLike) -> str:
    r"""Write a path as text that can be printed: bytes that are not UTF-8 as `\xe4`."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def why_unusable(path: Path, folder: Path) -> str | None:
    """Say why a file of a folder cannot be used, before it is read: its name below the folder, or a link to nothing."""
    try:
        str(path.relative_to(folder)).encode()
    except UnicodeEncodeError:
        return "its name is not UTF-8. Rename it"
    if path.is_file() or path.is_dir():
        return None
    return "a link to nothing" if path.is_symlink() else "no file"


def contents(path: str | os.PathLike) -> str:
    """Say what is at a path where something else was expected: nothing, a file, or a folder of which names."""
    path = Path(path)
    if not path.is_dir():
        return "a file" if path.exists() else "nothing"
    names = sorted(entry.name for entry in path.iterdir())
    return f"a folder of {few(names)}" if names else "an empty folder"
