"""Proof that the memory of `msrgan upscale` does not grow with the image: a large plane, a small one, a tiny network.

Each is enlarged by the command in a process of its own, whose largest memory is measured, and windows of the result,
far apart and across the borders of tiles, are compared with what the network makes of them at once. It fails if the
large plane takes 2 GiB or 15 % more than the small one, or a window is another.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tifffile

from msrgan.io.tiff import codecs

MOST_MIB, MOST_GROWTH = 2048, 1.15
SIDES = (4096, 16384)
# How the plane is stored, and what is written.
CASES = ("tiled:ome.tif", "tiled:ome.zarr", "striped:ome.tif", "lzw:ome.tif", "zstd:ome.tif")
LAYOUTS = {
    "tiled": {"tile": (256, 256)},
    "striped": {"rowsperstrip": 16},
    "lzw": {"rowsperstrip": 16, "compression": "lzw"},
    "zstd": {"tile": (512, 512), "compression": "zstd"},
}
# Larger than a tile, so that it has borders of tiles in it, wherever it lies.
WINDOW = 600
# A process starts with the memory of the one that made it: this one is small, and knows what its child took.
WAITER = """
import os, subprocess, sys
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(child.pid, 0)
print(usage.ru_maxrss, usage.ru_utime + usage.ru_stime)
sys.exit(os.waitstatus_to_exitcode(status))
"""


class Cost(NamedTuple):
    """What a process took: its largest memory, and its processor time."""

    mib: float
    seconds: float


def main():
    """Measure and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sides", type=int, nargs=2, default=SIDES, metavar=("SMALL", "LARGE"), help="pixels")
    parser.add_argument(
        "--cases", nargs="+", choices=CASES, default=CASES, help="how it is stored, and what is written"
    )
    parser.add_argument("--folder", type=Path, help="where files of the size of the results have room")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        failures = prove(Path(folder), arguments.sides, arguments.cases)
    return "; ".join(failures) or 0


def prove(folder, sides, cases):
    """Run all cases, small and large; print what they took and return what is wrong."""
    model = folder / "model"
    make_model(model)
    failures = []
    for case in cases:
        costs, (layout, _, suffix) = [], case.partition(":")
        for side in sides:
            source, target = folder / f"{layout}.tif", folder / f"result.{suffix}"
            write_plane(source, side, **LAYOUTS[layout])
            costs.append(enlarge(model, source, target))
            took = f"{costs[-1].mib:.0f} MiB, {costs[-1].seconds:.0f} s of processor time"
            print(f"{layout} {side}x{side} -> {suffix}: {took}", flush=True)
            different = differences(model, source, target)
            failures += [f"{layout} {side} -> {suffix}: {text}" for text in different]
            remove(target)
            source.unlink()
        growth = costs[-1].mib / costs[0].mib
        if costs[-1].mib > MOST_MIB or growth > MOST_GROWTH:
            failures.append(f"{layout} -> {suffix}: {costs[-1].mib:.0f} MiB, {growth:.2f} times as much")
    return failures


def make_model(path):
    """Export a tiny network whose weights are random, so that it adds much to the image, and sees its border."""
    import keras

    import msrgan
    from msrgan.networks.phases import DepthToSpace

    keras.utils.set_random_seed(1)
    image = keras.Input((None, None, 1))
    x = keras.layers.Conv2D(8, 5, padding="same", activation="relu")(image)
    x = keras.layers.Conv2D(16, 3, padding="same")(x)
    x = keras.layers.Add()([x, image])  # to each of the 16
    msrgan.export(keras.Model(image, DepthToSpace(4)(x)), path)


def write_plane(path, side, *, compression=None, **layout):
    """Write waves and noise of 8 bits, some rows after the other."""
    height, width = layout.get("tile", (layout.get("rowsperstrip"), side))
    columns = np.sin(np.arange(side) / 11)
    encode = codecs.encoder(compression, np.dtype(np.uint8))

    def segments():
        for top in range(0, side, height):
            rows = np.sin(np.arange(top, top + height) / 7 + top / 1000)
            noise = np.random.default_rng(top).integers(0, 30, (height, side))
            band = (100 + 50 * rows[:, None] * columns + noise).astype(np.uint8)
            yield from (encode(band[:, left : left + width]) for left in range(0, side, width))

    layout |= codecs.tags(compression, np.dtype(np.uint8))
    tifffile.imwrite(path, segments(), shape=(side, side), dtype=np.uint8, photometric="minisblack", **layout)


def enlarge(model, source, target):
    """Run the command; return what it took."""
    program = Path(sys.executable).with_name("msrgan")
    command = [program, "upscale", source, "-o", target, "--model", model, "--quiet"]
    done = subprocess.run([sys.executable, "-c", WAITER, *command], check=True, capture_output=True, text=True)
    kib, seconds = map(float, done.stdout.split())
    return Cost(kib / 1024, seconds)


def differences(model, source, target):
    """Compare windows with one call of the network each, of the window and what it sees around it."""
    import zarr

    import msrgan

    model, image = msrgan.load(model), tifffile.imread(source)
    stored = (
        zarr.open(target, mode="r")["0"]
        if target.suffix == ".zarr"
        else zarr.open(tifffile.imread(target, aszarr=True), mode="r")
    )
    low, high = np.percentile(image, (0.1, 99.9)).astype(np.float32)
    if stored.shape != tuple(4 * n for n in image.shape) or stored.dtype != image.dtype:
        return [f"{stored.shape} {stored.dtype}"]
    last = len(image) - min(WINDOW, len(image))
    tops = [(0, 0), (0, last), (last, 0), (last, last), *np.random.default_rng(0).integers(0, last + 1, (4, 2))]
    wrong = []
    for top, left in tops:
        rows, columns = (slice(max(0, n - model.radius), n + WINDOW + model.radius) for n in (top, left))
        x = (image[rows, columns].astype(np.float32) - low) / (high - low)
        y = model(x[None, ..., None])[0, 4 * (top - rows.start) :, 4 * (left - columns.start) :, 0]
        expected = np.clip(np.rint(y * (high - low) + low), 0, 255)[: 4 * WINDOW, : 4 * WINDOW]
        window = stored[4 * top : 4 * (top + WINDOW), 4 * left : 4 * (left + WINDOW)]
        error = np.abs(window - expected)
        # A number that lies at a half, to 1e-5, may be rounded to either side.
        if window.std() < 10 or error.max() > 1 or error.mean() > 1e-3:
            wrong.append(f"{error.max():g} at most, {error.mean():g} in the mean, off in the window at {top}, {left}")
    return wrong


def remove(target):
    """Remove a file, or a folder."""
    if target.is_dir():
        import shutil

        shutil.rmtree(target)
    else:
        target.unlink()


if __name__ == "__main__":
    sys.exit(main())
