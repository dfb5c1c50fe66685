"""A film of the pictures that a training leaves."""

from pathlib import Path

import numpy as np
from PIL import Image

from msrgan.evaluation.strips import stack
from msrgan.io.atomic import atomic

FRAMES, MILLISECONDS = 60, 400


def film(folder: Path, name: str) -> None:
    """Write NAME.gif of the pictures step_*.png of a folder, of 60 frames at the most, each under its step."""
    pictures = sorted(folder.glob("step_*.png"))
    chosen = np.linspace(0, len(pictures) - 1, min(len(pictures), FRAMES)).round().astype(int)
    frames = [stack([np.asarray(Image.open(p))], [p.stem.replace("_", " ")]) for p in map(pictures.__getitem__, chosen)]
    if not frames:
        return
    first, *others = (Image.fromarray(frame).quantize() for frame in frames)
    with atomic(folder / f"{name}.gif") as file:
        first.save(file, format="GIF", save_all=True, append_images=others, duration=MILLISECONDS, loop=0)
