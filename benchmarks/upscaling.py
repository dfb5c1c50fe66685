"""What enlarging a file costs beside its network: 2048x2048 pixels, three channels of 16 bits, `srgan` 64x16.

Processor time is told, which what else the machine does hardly changes. That of everything beside the network is of
whole files with a network that does nothing, that of the network of some calls, times their number. With --whole both
are done together once.
"""

import argparse
import cProfile
import os
import pstats
import statistics
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

OPTIONS = {"": {}, "--clip": {"clip": True}, "--clip --consistent": {"clip": True, "consistent": True}}


class Idle:
    """A network that gives zeros at once; `shapes` are those of its inputs."""

    def __init__(self):
        self.shapes, self._results = [], {}

    def __call__(self, batch):
        """Return zeros of the size of the result."""
        count, height, width, channels = shape = tuple(batch.shape)
        self.shapes.append(shape)
        if shape not in self._results:
            self._results[shape] = np.zeros((count, 4 * height, 4 * width, channels), np.float32)
        return self._results[shape]


def network_of(channels, filters, blocks):
    """Make an untrained `srgan` generator as it is exported, and return it with its receptive radius."""
    import tensorflow as tf

    from msrgan.networks import fold_batch_norm, receptive_radius, srresnet

    generator = srresnet(channels=channels, filters=filters, blocks=blocks)
    network = fold_batch_norm(generator, dtype="float32")
    compiled = tf.function(lambda x: (network(x * 2 - 1, training=False) + 1) / 2, reduce_retracing=True)
    return (lambda batch: compiled(batch).numpy()), receptive_radius(generator)


def upscaler(function, radius):
    """Make a model of a function of three channels."""
    from msrgan.models import Upscaler, card

    sizes = {"scale": 4, "channels": 3, "receptive_radius": radius}
    return Upscaler(function, sizes | card.defaults())


def write_source(path, side):
    """Write a file of waves."""
    import msrgan

    rows, columns = np.mgrid[:side, :side].astype(np.float32)
    waves = [np.sin(rows / 7) * np.cos(columns / (11 + c)) for c in range(3)]
    msrgan.write(path, msrgan.Image((np.stack(waves) * 2000 + 3000).astype(np.uint16), "CYX"), format="ome-tiff")


def seconds(function):
    """Return the processor time and the time that a function takes."""
    processor, wall = time.process_time(), time.perf_counter()
    function()
    return time.process_time() - processor, time.perf_counter() - wall


def measure(folder, arguments):
    """Print the share of everything beside the network."""
    from msrgan.upscaling.files import Choices, upscale_file

    network, radius = network_of(3, arguments.filters, arguments.blocks)
    source, target = folder / "source.ome.tif", folder / "result.ome.tif"
    write_source(source, arguments.side)

    def enlarge(function, options):
        upscale_file(upscaler(function, radius), source, target, Choices(stream=options))

    for name, options in OPTIONS.items():
        idle = Idle()
        runs = [seconds(lambda idle=idle, options=options: enlarge(idle, options))[0] for _ in range(2)]
        outside = min(runs)
        (shape,) = set(idle.shapes)
        tile = np.random.default_rng(0).random(shape, np.float32)
        network(tile)  # compiles
        call = statistics.median(seconds(lambda tile=tile: network(tile))[0] for _ in range(3))
        calls = len(idle.shapes) // len(runs)
        inside = call * calls
        print(
            f"{name or 'plain'}: {calls} calls of {shape}, {inside:.1f} s; beside them {outside:.2f} s, "
            f"{100 * outside / (inside + outside):.1f} % of the whole",
            flush=True,
        )
        if arguments.profile:
            profile = cProfile.Profile()
            profile.runcall(enlarge, Idle(), options)
            pstats.Stats(profile).sort_stats("tottime").print_stats(15)
        if arguments.whole:
            processor, wall = seconds(lambda options=options: enlarge(network, options))
            print(f"  the whole: {processor:.1f} s of processor time in {wall:.1f} s", flush=True)


def main():
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=2048, help="pixels (default: 2048)")
    parser.add_argument("--filters", type=int, default=64)
    parser.add_argument("--blocks", type=int, default=16)
    parser.add_argument("--whole", action="store_true", help="enlarge it by the network, too: minutes each")
    parser.add_argument("--profile", action="store_true", help="tell where the time beside the network goes")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), arguments)


if __name__ == "__main__":
    main()
