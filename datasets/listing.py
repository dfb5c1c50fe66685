"""The files of a folder. Links to nothing, and names that are not UTF-8, are left out and named: ids are text."""

import os
from collections.abc import Callable
from pathlib import Path

from msrgan import io, messages
from msrgan.io.listing import text_of, why_unusable

_said = set()


def list_files(folder: Path, suffixes: tuple[str, ...], *, skip: Callable[[str], object]) -> list[Path]:
    """List the files of these suffixes below a folder, at any depth, sorted, without hidden ones.

    Args:
        folder: where to look.
        suffixes: lower case, with their dots; the case of a file's own plays no part.
        skip: told of every file that is left out, and why.
    """
    paths = [Path(parent, name) for parent, _, names in os.walk(folder) for name in names]
    fitting = [path for path in paths if path.name.lower().endswith(suffixes) and not path.name.startswith(".")]
    kept = []
    for path in sorted(fitting):
        if reason := why_unusable(path, folder):
            skip(f"{text_of(path)}: {reason}")
        else:
            kept.append(path)
    return kept


def list_images(folder: Path, *, skip: Callable[[str], object]) -> list[Path]:
    """List the images below a folder, see `io.survey_folder`; say once what files are passed over.

    Args:
        folder: where to look.
        skip: told of every image that is left out, and why.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: it holds no image.
    """
    survey = io.survey_folder(folder)
    for path, reason in survey.unusable.items():
        skip(f"{text_of(path)}: {reason}")
    line = survey.passed_over()
    if line and (folder, line) not in _said:  # every split of a set lists its folder
        _said.add((folder, line))
        messages.say(f"{text_of(folder)}: {line}")
    return survey.images
