"""How many patches a second the input pipeline makes, alone, from a folder of images."""

import argparse
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from msrgan.messages import import_tensorflow


def make_folder(folder: Path, count: int, size: int):
    """Write smooth noise as colour PNG files."""
    rng = np.random.default_rng(0)
    for k in range(count):
        noise = rng.integers(0, 256, (size // 4, size // 4, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / f"{k}.png"), cv2.resize(noise, (size, size)))


def measure(folder: Path, *, patch: int, batch: int, batches: int, degradation: str, cached: bool) -> float:
    """Return patches a second, after a first pass over the folder."""
    from msrgan import datasets
    from msrgan.data.pairs import sr_pairs
    from msrgan.data.stream import Part
    from msrgan.data.survey import survey
    from msrgan.degradation import DEGRADATIONS

    found = survey(datasets.load(folder, "all"))
    pairs = sr_pairs(
        found.images,
        patch_size=patch,
        batch_size=batch,
        degradation=DEGRADATIONS[degradation],
        seed=0,
        channels=3,
        part=Part(window=None if cached else len(found.ids) // 4),
    )
    iterator = iter(pairs)
    for _ in range(len(found.ids) // batch + 4):
        next(iterator)
    start = time.perf_counter()
    for _ in range(batches):
        next(iterator)
    return batch * batches / (time.perf_counter() - start)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of images (default: 64 made files of 512x512x3)")
    parser.add_argument("--patch", type=int, default=96)
    parser.add_argument("--batch", type=int, default=16)
    options = parser.parse_args()
    import_tensorflow()
    with tempfile.TemporaryDirectory() as made:
        folder = options.data or Path(made)
        if not options.data:
            make_folder(folder, 64, 512)
        for degradation in ("bicubic", "thesis", "area"):
            for cached, batches in ((True, 600), (False, 60)):
                rate = measure(
                    folder,
                    patch=options.patch,
                    batch=options.batch,
                    batches=batches,
                    degradation=degradation,
                    cached=cached,
                )
                memory = "images in memory" if cached else "images decoded every time"
                print(f"{degradation:8} {memory:26} {rate:8.0f} patches/s of {options.patch}x{options.patch}x3")


if __name__ == "__main__":
    main()
