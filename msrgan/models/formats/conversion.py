"""Write an exported model in a format of others, whole or not at all, with its card."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from msrgan.io.atomic import atomic, atomic_folder
from msrgan.models.formats import bioimageio, cards, keras, litert, ncnn, onnx, openvino, savedmodel
from msrgan.models.formats.source import Source
from msrgan.models.savedmodel import check_target


class Format(NamedTuple):
    """A format of files.

    Attributes:
        suffix: of the file that is named; "" of a folder.
        write: (source, file) -> None.
        describe: (file, card) -> None: let it carry the card; None where `write` does that.
    """

    suffix: str
    write: Callable[[Source, Path], None]
    describe: Callable[[Path, dict[str, Any]], None] | None


FORMATS: dict[str, Format] = {
    "bioimageio": Format(".zip", bioimageio.write, None),
    "keras": Format(".keras", keras.write, cards.into_archive),
    "litert": Format(".tflite", litert.write, cards.into_archive),
    "ncnn": Format(".param", lambda source, file: ncnn.write(source.folder, file), cards.beside),
    "onnx": Format(".onnx", lambda source, file: onnx.write(source.folder, file), cards.into_onnx),
    "openvino": Format(".xml", lambda source, file: openvino.write(source.folder, file), cards.into_openvino),
}


def convert(
    path: str | os.PathLike,
    format: str,
    target: str | os.PathLike,
    *,
    authors: Sequence[str] = (),
    license: str | None = None,
    image: np.ndarray | None = None,
    trust: bool = False,
) -> None:
    """Write an exported model in a format that others open, in place of an older file.

    All take and give the [0, 1]-normalised units of the SavedModel, float32, and agree with it to 1e-4.

    Args:
        path: a run folder, an exported model, or the name of one that ships.
        format: one of `FORMATS`, or "savedmodel".
        target: file to write, with the suffix of its format; of "savedmodel" a folder.
        authors: names of those who made the model; "bioimageio" needs one.
        license: SPDX identifier of the licence of the weights, as "CC-BY-4.0"; "bioimageio" needs it.
        image: low-resolution (H, W, C) for the cover picture and the test of "bioimageio"; drawn if None.
        trust: whether to load operations that `models.export` never writes, and which could harm your files.

    Raises:
        FileNotFoundError: there is no exported model.
        ValueError: an argument does not fit, the model is damaged or cannot be written in this format, or a package
            is not installed.
        OSError: the file cannot be written.

    Example:
        >>> from msrgan.models.formats.conversion import convert
        >>> convert("runs/srgan", "onnx", "srgan.onnx")  # doctest: +SKIP
    """
    target = Path(target)
    names = sorted([*FORMATS, "savedmodel"])
    if format not in names:
        raise ValueError(f"`format` is one of {', '.join(names)}. Received: {format}")
    if image is not None and format != "bioimageio":
        raise ValueError(f"`image` is for the format bioimageio. Received: {format}")
    added = {"authors": list(authors)} if authors else {}
    added |= {"license": license} if license else {}
    if format == "savedmodel":
        check_target(target)
        source = Source(path, added=added, trust=trust)
        with atomic_folder(target) as folder:
            savedmodel.write(source, folder)
        return
    suffix, write, describe = FORMATS[format]
    if target.suffix != suffix or target.is_dir():
        raise ValueError(f"A model in the format {format} is a file NAME{suffix}. Received: {target}")
    source = Source(path, added=added, image=image, trust=trust)
    with _together(target) as file:
        write(source, file)
        if describe:
            describe(file, source.about)


@contextlib.contextmanager
def _together(target: Path) -> Iterator[Path]:
    """Give a temporary path for a file and those of its name beside it; put them in their places, it last."""
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=target.parent, prefix="."))
    try:
        yield folder / target.name
        for file in sorted(folder.iterdir(), key=lambda file: file.name == target.name):
            with atomic(target.with_name(file.name)) as place:
                file.replace(place)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
