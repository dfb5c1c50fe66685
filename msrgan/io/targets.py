"""Which file the enlargement of each input is written to, decided before any of them is read."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from msrgan.io import outputs
from msrgan.io.formats import format_of
from msrgan.io.listing import Survey, survey_folder


class Job(NamedTuple):
    """A file to read and a file to write."""

    source: Path
    target: Path


class Plan(NamedTuple):
    """What is to be done.

    Attributes:
        folder: where all is written; None where one file was named for one input.
        jobs: by target.
        refused: {input: reason}.
        others: how many files of folders are no images, by suffix.
    """

    folder: Path | None
    jobs: list[Job]
    refused: dict[Path, str]
    others: Counter

    def passed_over(self) -> str | None:
        """Return a line on the files that are no images, None if there are none."""
        return Survey([], {}, self.others).passed_over()

    def shard(self, number: int, count: int) -> Plan:
        """Return every `count`-th job and refusal, from the `number`-th on, 1 being the first."""
        refused = dict(list(self.refused.items())[number - 1 :: count])
        others = self.others if number == 1 else Counter()
        return self._replace(jobs=self.jobs[number - 1 :: count], refused=refused, others=others)


def plan(
    inputs: Sequence[str | os.PathLike], out: str | os.PathLike, *, suffix: str = "", format: str | None = None
) -> Plan:
    """Find the files of the inputs, and a file below `out` for each.

    Args:
        inputs: files, folders, and patterns such as "plate*/**/*.tif" where no file has this name. What lies in a
            folder, or below the part of a pattern without wildcards, is written to folders of the same names; of
            several folders each has its own.
        out: a folder; or for one input that is no folder a file, if it has the suffix of an image and is no folder.
        suffix: text before the suffixes of the files.
        format: of `outputs.WRITTEN`, where one is chosen.

    Raises:
        FileNotFoundError: an input does not exist.
        ValueError: outputs would be among the inputs, or an argument does not fit.
    """
    out = Path(out)
    if os.sep in suffix or "/" in suffix or "\0" in suffix:
        raise ValueError(f"`suffix` is part of a file name. Received: {suffix}")
    if len(inputs) == 1 and not _is_folder(Path(inputs[0])) and Path(inputs[0]).exists() and is_file(out):
        job = Job(Path(inputs[0]), out)
        _check_apart([job])
        return Plan(None, [job], {}, Counter())
    folders = [Path(path) for path in inputs if _is_folder(Path(path))]
    for folder in folders:
        if out.resolve().is_relative_to(folder.resolve()):
            raise ValueError(f"The output folder must lie outside the input folder. Received: {out}")
    if out.is_file() or is_file(out):
        raise ValueError(f"The output of a folder or of several inputs is a folder. Received: {out}, a file")
    jobs, refused, others = [], {}, Counter()
    for text in inputs:
        top = out / Path(text).resolve().name if len(inputs) > 1 and Path(text) in folders else out
        for source, place in _files(Path(text), refused, others):
            name = outputs.written_name(source.name, suffix=suffix, format=format)
            jobs.append(Job(source, top / place / name))
    _check_apart(jobs)
    jobs = list(_permitted(sorted(set(jobs), key=lambda job: (job.target, job.source)), out, refused))
    return Plan(out, jobs, dict(sorted(refused.items())), others)


def files(inputs: Sequence[str | os.PathLike]) -> list[Path]:
    """Return the files of the inputs of `plan`.

    Raises:
        FileNotFoundError: an input does not exist.
        ValueError: a folder holds no images.
    """
    refused: dict[Path, str] = {}
    paths = [path for text in inputs for path, _ in _files(Path(text), refused, Counter())]
    return sorted({*paths, *refused})


def is_file(out: Path) -> bool:
    """Tell whether an output names a file or an OME-Zarr, and not a folder for files."""
    is_zarr = outputs.suffix_of(out).endswith(".zarr")
    return is_zarr or (not out.is_dir() and any(outputs.suffix_of(out) in kind for kind in outputs.SUFFIXES.values()))


def _is_folder(path: Path) -> bool:
    """Tell whether an input is a folder of files, and not an OME-Zarr."""
    if not path.is_dir():
        return False
    try:
        format_of(path)
    except ValueError:
        return True
    return False


def _files(path: Path, refused: dict[Path, str], others: Counter) -> Iterator[tuple[Path, Path]]:
    """Yield the files of an input, each with its folder below that of the input."""
    if _is_folder(path):
        survey = survey_folder(path)
        refused.update(survey.unusable)
        others.update(survey.others)
        yield from ((file, file.relative_to(path).parent) for file in survey.images)
    elif path.exists():
        yield path, Path()
    else:
        yield from _matches(path)


def _matches(pattern: Path) -> Iterator[tuple[Path, Path]]:
    """Yield the files that a pattern matches, each with its folder below the part without wildcards."""
    fixed = [part for part in pattern.parents if not glob.has_magic(str(part))]
    paths = sorted(map(Path, glob.glob(str(pattern), recursive=True))) if glob.has_magic(str(pattern)) else []
    paths = [path for path in paths if not _is_folder(path)]
    if not paths:
        raise FileNotFoundError(f"{pattern}: no such file or folder")
    yield from ((path, path.relative_to(fixed[0]).parent) for path in paths)


def _check_apart(jobs: list[Job]) -> None:
    """Raise ValueError where an output would replace an input."""
    sources = {job.source.resolve() for job in jobs}
    for job in jobs:
        if job.target.resolve() in sources:
            raise ValueError(f"The output must not replace the input. Received: {job.target}")


def _permitted(jobs: list[Job], out: Path, refused: dict[Path, str]) -> Iterator[Job]:
    """Yield the jobs whose targets are their own and lie below `out`; the others are refused."""
    taken: dict[Path, Path] = {}
    root = out.resolve()
    for job in jobs:
        if job.target in taken:
            refused[job.source] = f"its output would be that of {taken[job.target]}, {job.target}. Rename one of them"
        elif not job.target.parent.resolve().is_relative_to(root):
            refused[job.source] = f"its output {job.target} would lie outside {out}, through a link. Remove the link"
        else:
            taken[job.target] = job.source
            yield job
