"""A film of the pictures that a training leaves."""

from pathlib import Path

import numpy as np
from PIL import Image

from msrgan.evaluation.strips import stack
from msrgan.io.atomic import atomic
from msrgan.messages import few, warn

FRAMES, MILLISECONDS = 60, 400
# What Pillow raises of damaged files.
_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)


def film(folder: Path, name: str) -> None:
    """Write NAME.gif of the pictures step_*.png of a folder, of 60 frames at the most, each under its step.

    Damaged pictures are left out with a warning, and a film that cannot be written is a warning too: what a run has
    learned does not depend on it.
    """
    pictures = sorted(folder.glob("step_*.png"))
    chosen = np.linspace(0, len(pictures) - 1, min(len(pictures), FRAMES)).round().astype(int)
    frames, damaged = [], []
    for path in (pictures[k] for k in chosen):
        try:
            with Image.open(path) as picture:
                frames.append(stack([np.asarray(picture.convert("RGB"))], [path.stem.replace("_", " ")]))
        except _DAMAGED:
            damaged.append(path.name)
    if damaged:
        warn(f"{folder}: damaged pictures are left out of the film: {few(damaged)}.")
    if frames:
        _write(folder / f"{name}.gif", frames)


def _write(path, frames):
    first, *others = (Image.fromarray(frame).quantize() for frame in frames)
    try:
        with atomic(path) as file:
            first.save(file, format="GIF", save_all=True, append_images=others, duration=MILLISECONDS, loop=0)
    except (OSError, ValueError) as error:
        warn(f"{path}: the film cannot be written ({error}).")
