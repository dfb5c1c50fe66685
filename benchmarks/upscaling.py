"""What enlarging an image costs beside its network: time, and memory that should not grow with the image.

python benchmarks/upscaling.py time     2048x2048, three channels of 16 bits, `srgan` with 64 filters and 16 blocks
python benchmarks/upscaling.py memory   8-bit planes of 4096x4096 and 8192x8192 pixels, a tiny network
"""

import argparse
import os
import resource
import subprocess
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np


class Scene:
    """Pixels that are computed when they are read: a plane as large as one likes, of which nothing is kept."""

    def __init__(self, shape, dtype):
        self.shape, self.dtype = shape, np.dtype(dtype)

    def __getitem__(self, key):
        """Return a window of waves."""
        rows, columns = (np.arange(*part.indices(n)) for part, n in zip(key[-2:], self.shape[-2:], strict=True))
        waves = np.sin(rows / 7)[:, None] * np.cos(columns / 11)
        return ((waves + 1) / 2 * np.iinfo(self.dtype).max).astype(self.dtype)


def model_of(channels, filters, blocks, calls=None):
    """Make a model of an untrained `srgan` generator; `calls` is filled with the seconds of its calls."""
    import tensorflow as tf

    from msrgan.models import Upscaler, card
    from msrgan.networks import fold_batch_norm, receptive_radius, srresnet

    generator = srresnet(channels=channels, filters=filters, blocks=blocks)
    network = fold_batch_norm(generator, dtype="float32")
    compiled = tf.function(lambda x: (network(x * 2 - 1, training=False) + 1) / 2)

    def function(batch):
        start = time.perf_counter()
        y = compiled(batch).numpy()
        if calls is not None:
            calls.append(time.perf_counter() - start)
        return y

    sizes = {"scale": 4, "channels": channels, "receptive_radius": receptive_radius(generator)}
    return Upscaler(function, sizes | card.defaults())


def time_outside(side, filters, blocks):
    """Print how long an image takes, and how much of it its network."""
    from msrgan.io.image import Image
    from msrgan.upscaling import stream, upscale

    calls = []
    model = model_of(3, filters, blocks, calls)
    image = Image(Scene((3, side, side), np.uint16), "CYX")
    upscale(model, image.pixels[0, :300, :300].astype(np.uint16))  # compiles
    for options in ({}, {"clip": True}, {"clip": True, "consistent": True}):
        calls.clear()
        start = time.perf_counter()
        for band in stream.bands(model, image, **options):
            band.pixels.tobytes()
        total = time.perf_counter() - start
        print(f"{options}: {total:.1f} s, network {sum(calls):.1f} s, beside {100 * (total / sum(calls) - 1):.1f} %")


def memory(side):
    """Print the largest memory of a process that enlarges a plane."""
    from msrgan.io.image import Image
    from msrgan.upscaling import stream

    model = model_of(1, 4, 1)
    for band in stream.bands(model, Image(Scene((side, side), np.uint8), "YX")):
        band.pixels.tobytes()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


def main():
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("time", "memory"))
    parser.add_argument("--side", type=int, nargs="+", help="pixels")
    parser.add_argument("--filters", type=int, default=64)
    parser.add_argument("--blocks", type=int, default=16)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.what == "time":
        time_outside((arguments.side or [2048])[0], arguments.filters, arguments.blocks)
    elif arguments.inside:
        memory(arguments.side[0])
    else:
        for side in arguments.side or (4096, 8192):
            # In a process of its own, which is not as large as the one before was.
            command = [sys.executable, __file__, "memory", "--inside", "--side", str(side)]
            peak = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
            print(f"{side} x {side}: {peak} MB")


if __name__ == "__main__":
    main()
