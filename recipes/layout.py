"""Lay out the images of some sources as train_srgan.py and msrgan evaluate read them.

    OUT/data/train/SOURCE_NAME.png    OUT/data/val/SOURCE_NAME.png    OUT/test/SOURCE/SOURCE_NAME.png
    OUT/hashes.json     of the images that are learnt from, before they were cut

The test images lie apart: a folder is read in the widest type of its files.

Which file goes where follows from its name alone, so that it is the same on every machine.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from msrgan import io
from msrgan.datasets.simulator import simulate

HASHES = "hashes.json"
_BASE, _RANGE = 2**14, 2**15


def lay_out(
    sources: dict[str, dict[str, Any]], train: Sequence[str], kept_out: Sequence[str], raw: Path, out: Path
) -> dict[str, dict[str, int]]:
    """Write the images of a model.

    Args:
        sources: of recipes.toml.
        train: names of those to learn from.
        kept_out: names of those that are only tested on.
        raw: folder of all sources.
        out: folder to write, anew.

    Returns:
        Source -> part -> number of images.

    Raises:
        FileNotFoundError: a source that is learnt from has no files. One that is kept out may lack.
    """
    counts, hashes = {}, []
    for name in [*train, *kept_out]:
        source, counts[name] = sources[name], {"train": 0, "val": 0, "test": 0}
        files = ordered(raw, source)
        if not files and name in train:
            raise FileNotFoundError(f"{raw}: no files of {name}, {source['files'][0]}. Get them from {source['url']}")
        held_out = source.get("held_out", 0) if name in train else len(files)
        for k, file in enumerate(files):
            part = "test" if k < held_out else "val" if k < held_out + source.get("validate", 0) else "train"
            folder = out / "test" / name if part == "test" else out / "data" / part
            image = io.read_pixels(file)
            if part == "train":
                hashes.append(io.content_hash(image))
            # What is tested on is not cut: each of its images counts once.
            for tile, pixels in tiles(image, source.get("tile") if part == "train" else None):
                io.write_pixels(folder / f"{name}_{file.stem}{tile}.png", pixels)
                counts[name][part] += 1
    (out / HASHES).write_text(json.dumps(hashes, indent=0) + "\n")
    return counts


def simulated(folder: Path, fields: int) -> None:
    """Draw simulated fields, 384 x 384 pixels, and write the microtubules and the protein of each as grey images.

    Their classes take turns. No other source that may be shipped has fine structures of cells.
    """
    for k in range(fields):
        image = simulate(k % 13, [77, k], size=384).image
        for channel, name in enumerate(("microtubules", "protein")):
            io.write_pixels(folder / f"simulated_{k:03d}_{name}.png", image[..., channel : channel + 1])


def lift(folder: Path, out: Path) -> None:
    """Write the images of a folder and its folders again in 16 bits, from 16384 to 49152 at most: far from both ends.

    Where 0 is black, a file cuts off the half of the noise that is below it. A network that learns from such files
    learns to make dim images dimmer. A camera has an offset for that reason.
    """
    for file in folder.rglob("*.png"):
        pixels = io.read_pixels(file).astype(np.float64)
        lifted = np.round(_BASE + pixels * (_RANGE / max(pixels.max(), 1)))
        io.write_pixels(out / file.relative_to(folder), lifted.astype(np.uint16))


def ordered(raw: Path, source: dict[str, Any]) -> list[Path]:
    """Return the files of a source in the order of the SHA-256 of their names without suffix."""
    files = {file for pattern in source["files"] for file in raw.glob(pattern)}
    return sorted(files, key=lambda file: hashlib.sha256(file.stem.encode()).digest())[: source.get("limit")]


def tiles(pixels: np.ndarray, side: int | None) -> Iterator[tuple[str, np.ndarray]]:
    """Cut an image (H, W, C) into parts as equal as can be, of sides up to `side`; yield names and parts."""
    if side is None or max(pixels.shape[:2]) <= side:
        yield "", pixels
        return
    rows = np.array_split(pixels, -(-pixels.shape[0] // side))
    for y, row in enumerate(rows):
        for x, part in enumerate(np.array_split(row, -(-pixels.shape[1] // side), axis=1)):
            yield f"_{y}{x}", part
