"""The files of a folder. Links to nothing, and names that are not UTF-8, are left out and named: ids are text."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from msrgan import io


def list_files(folder: Path, suffixes: tuple[str, ...], *, skip: Callable[[str], object]) -> list[Path]:
    """List the files of these suffixes below a folder, at any depth, sorted, without hidden ones.

    Args:
        folder: where to look.
        suffixes: lower case, with their dots; the case of a file's own plays no part.
        skip: told of every file that is left out, and why.
    """
    paths = [Path(parent, name) for parent, _, names in os.walk(folder) for name in names]
    fitting = [path for path in paths if path.name.lower().endswith(suffixes) and not path.name.startswith(".")]
    return usable(sorted(fitting), folder, skip=skip)


def list_images(folder: Path, *, skip: Callable[[str], object]) -> list[Path]:
    """List the images below a folder like `io.list_images`, without the files that `skip` is told of.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: it holds no image.
    """
    return usable(io.list_images(folder), folder, skip=skip)


def usable(paths: Iterable[Path], folder: Path, *, skip: Callable[[str], object]) -> list[Path]:
    """Keep the files of a folder that can be opened and named in text."""
    kept = []
    for path in paths:
        fault = _fault(path, folder)
        if fault:
            skip(f"{text_of(path)}: {fault}")
        else:
            kept.append(path)
    return kept


def text_of(path: str | os.PathLike) -> str:
    r"""Write a path as text that can be printed: bytes that are not UTF-8 as `\xe4`."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _fault(path, folder):
    try:
        str(path.relative_to(folder)).encode()
    except UnicodeEncodeError:
        return "its name is not UTF-8. Rename it"
    return None if path.is_file() else "no file, or a link to none"
