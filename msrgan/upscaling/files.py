"""Enlarge many files: each whole or not at all, and what is wrong with one does not stop the others."""

from __future__ import annotations

import contextlib
import csv
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from tensorflow.errors import ResourceExhaustedError

from msrgan.io import capacity, formats, outputs
from msrgan.io.atomic import atomic
from msrgan.io.image import Image
from msrgan.io.listing import text_of
from msrgan.io.selection import select_channels
from msrgan.io.targets import Job
from msrgan.io.tiff import imagej
from msrgan.messages import say
from msrgan.models import Upscaler
from msrgan.upscaling import stream
from msrgan.upscaling.provenance import provenance
from msrgan.upscaling.suited import warn_of_size


@dataclass(frozen=True)
class Choices:
    """What is chosen for all files.

    Attributes:
        axes, level, scene, max_pixels: see `formats.read`.
        channels: see `selection.select_channels`.
        format, compression: see `formats.write`.
        name: of the model, for the provenance; None: what its card says.
        existing: what becomes of an input whose output is there.
        dry_run: whether to do all but the pixels.
        stream: options of `stream.bands`.
    """

    axes: str | None = None
    level: int = 0
    scene: str | None = None
    max_pixels: int | None = None
    channels: str | None = None
    format: str | None = None
    compression: str | None = None
    name: str | None = None
    existing: Literal["refuse", "overwrite", "skip"] = "refuse"
    dry_run: bool = False
    stream: Mapping[str, Any] = field(default_factory=dict)


class Result(NamedTuple):
    """What became of a file.

    Attributes:
        job: the file.
        status: "done", "skipped" because its output is there, or "failed".
        image: what was written, or would be, without its pixels.
        reason: why it failed.
    """

    job: Job
    status: Literal["done", "skipped", "failed"]
    image: Image | None = None
    reason: str | None = None


def upscale_files(
    model: Upscaler | Callable[[Image], Upscaler],
    jobs: Sequence[Job],
    choices: Choices,
    *,
    folder: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Result]:
    """Enlarge files one after the other; tell what became of each when it is over.

    Args:
        model: from `load`; or what gives each image its model.
        jobs: from `targets.plan`.
        choices: of formats, pixels and the network.
        folder: nothing is written outside it.
        progress: called with (tiles done, tiles in all) of the file that is being enlarged.
    """
    for job in jobs:
        try:
            if _is_done(job.target, choices.existing):
                yield Result(job, "skipped")
                continue
            if folder and not job.target.parent.resolve().is_relative_to(folder.resolve()):
                raise ValueError(f"{job.target} would lie outside {folder}, through a link. Remove the link")
            yield Result(job, "done", upscale_file(model, *job, choices, progress=progress))
        except (MemoryError, ResourceExhaustedError):
            reason = "does not fit into memory, or its enlargement does not. Choose a smaller `tile`, or enlarge parts"
            yield Result(job, "failed", reason=reason)
        except (ValueError, OSError) as error:
            yield Result(job, "failed", reason=_reason(error))


def upscale_file(
    model: Upscaler | Callable[[Image], Upscaler],
    source: Path,
    target: Path,
    choices: Choices,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Image:
    """Enlarge a file; what was at `target` is replaced when all is done.

    Returns:
        What was written, without its pixels; its format is that of the file.

    Raises:
        ValueError: the file, the model and the choices do not fit each other, or there is no room for the result.
        OSError: a file cannot be read or written.
    """
    reading = {name: getattr(choices, name) for name in ("axes", "level", "scene", "max_pixels")}
    with formats.read(source, **reading) as image:
        if choices.channels is not None:
            image = select_channels(image, choices.channels)
        model = model if isinstance(model, Upscaler) else model(image)
        warn_of_size(image, model)
        if choices.format == "imagej":  # knows one order of planes
            image = image.transposed("".join(axis for axis in imagej.ORDER if axis in image.stack))
        enlarged, pyramid = outputs.enlarged(
            image,
            target,
            model.scale,
            provenance(model, choices.name),
            choices.format,
            compression=choices.compression,
        )
        if image.format == "imagej" and choices.compression and enlarged.format == "ome-tiff" and not choices.format:
            say(f"{target} becomes an OME-TIFF: ImageJ's hyperstacks are not compressed")
        capacity.check_disk(target, outputs.size(enlarged, pyramid=pyramid))
        if choices.dry_run:
            return enlarged
        compression = None if outputs.is_compressed(enlarged.format) else choices.compression
        with contextlib.closing(stream.bands(model, image, progress=progress, **choices.stream)) as bands:
            options = {"format": enlarged.format, "compression": compression, "pyramid": pyramid}
            formats.write(target, enlarged, bands=bands, **options)
    return enlarged


def probe(model: Upscaler, options: Mapping[str, Any]) -> None:
    """Prepare a tiny image, so that an option that does not suit the model is told before the first file.

    Raises:
        ValueError: it does not.
    """
    channels = model.channels or 1
    shape, axes = ((channels, 8, 8), "CYX") if channels > 1 else ((8, 8), "YX")
    stream.bands(model, Image(np.zeros(shape, np.uint8), axes), **options).close()


def write_failures(folder: Path, failures: Mapping[Path, str], shard: tuple[int, int] | None = None) -> Path | None:
    """Write a table of what failed to `failures.csv` in a folder, or remove that of an earlier run.

    Args:
        folder: of the outputs.
        failures: {input: reason}.
        shard: number and count, which are in the name: others write at the same time.

    Returns:
        The table, None if nothing failed.

    Raises:
        OSError: it cannot be written.
    """
    path = folder / ("failures-{}-of-{}.csv".format(*shard) if shard else "failures.csv")
    if not failures:
        path.unlink(missing_ok=True)
        return None
    with atomic(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("file", "reason"))
        writer.writerows((text_of(path), text_of(reason)) for path, reason in failures.items())
    return path


def _is_done(target: Path, existing: str) -> bool:
    """Tell whether a file is left out because its output exists.

    Raises:
        ValueError: the output exists, and may not or cannot be replaced.
    """
    if not os.path.lexists(target) or existing == "skip":
        return os.path.lexists(target)
    if existing == "refuse":
        raise ValueError(f"{target} exists already. Choose `overwrite` or `skip_existing`")
    if target.is_symlink() or (target.is_dir() and not outputs.suffix_of(target).endswith(".zarr")):
        raise ValueError(f"{target} is a {'link' if target.is_symlink() else 'folder'}. Remove it")
    return False


def _reason(error: ValueError | OSError) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return " ".join(str(error).split())
