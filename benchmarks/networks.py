"""Generators of the variants at equal processor time: gain over bicubic interpolation, and time of 128x128 -> 512x512.

    python benchmarks/networks.py --data FOLDER [--seconds 60] span:filters=32 srgan:filters=16,batch_norm=off ...

Each is trained on the pixel loss with one thread: MSE, patches of 96 pixels, batches of 4, Adam whose rate falls from
5e-4 to 0 along a cosine over the seconds of processor time. It is scored on validation images, as in training. The
times of enlarging are processor times with one thread too, of the exported model; the models take turns.
"""

import argparse
import math
import tempfile
import time
from functools import partial
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from timing import take_turns

import msrgan
from msrgan import datasets
from msrgan.data.pairs import sr_pairs
from msrgan.data.survey import survey
from msrgan.degradation import make
from msrgan.evaluation.validation import Validation
from msrgan.intensity import PERCENTILE
from msrgan.losses import Objective
from msrgan.options_text import parse, resolve
from msrgan.training.step import SRGAN
from msrgan.training.variants import VARIANTS

RATE, WARM_UP, PATCH, BATCH, SCALE = 5e-4, 20, 96, 4, 4


def generator_of(text, channels):
    """Build the generator that `variant:size=value,...` names."""
    name, given = parse(text)
    sizes = VARIANTS[name].sizes
    named = resolve(given, {key: value for key, value in sizes.items() if value is not None}, of=name)
    return VARIANTS[name].generator(channels=channels, scale=SCALE, grid="centre", **sizes | named)


def train(generator, batches, seconds):
    """Train a generator for some processor time; return the model and the number of steps."""
    model = SRGAN(generator)
    optimizer = keras.optimizers.Adam(RATE)
    model.compile(Objective(), optimizer)

    @tf.function
    def step(lr, hr):
        model.pretrain_step((lr, hr))
        model.update_average()

    batches = iter(batches)
    step(*next(batches))  # traces, and does not count
    start, steps = time.process_time(), 1
    while (share := (time.process_time() - start) / seconds) < 1:
        optimizer.learning_rate.assign(RATE * min(1, steps / WARM_UP) * (1 + math.cos(math.pi * share)) / 2)
        step(*next(batches))
        steps += 1
    return model, steps


def gains(arguments):
    """Print steps and scores of each network, one after another."""
    sets = [survey(datasets.load(str(arguments.data), part), cache_bytes=2**30) for part in ("train", "validation")]
    training, held_out = sets
    bicubic = make("bicubic")
    common = {"degradation": bicubic, "scale": SCALE, "channels": training.channels, "normalization": PERCENTILE}
    validation = Validation(held_out.images, **common)
    for text in arguments.networks:
        keras.utils.set_random_seed(0)
        batches = sr_pairs(training.images, patch_size=PATCH, batch_size=BATCH, seed=0, **common)
        model, steps = train(generator_of(text, training.channels), batches, arguments.seconds)
        scores = validation(model.upscale)
        gain = scores["val_psnr"] - scores["val_psnr_bicubic"]
        print(f"{text}: {steps} steps, {gain:+.2f} dB, SSIM {scores['val_ssim']:.3f}", flush=True)


def times(arguments):
    """Print the processor time of enlarging by each exported network."""
    image = np.random.default_rng(0).random((1, 128, 128, 3)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        contestants = {}
        for number, text in enumerate(arguments.networks):
            path = Path(folder) / str(number)
            msrgan.export(generator_of(text, 3), path)
            contestants[text] = partial(msrgan.load(path), image)
        results = take_turns(contestants, arguments.repetitions, clock=time.process_time)
    for text, (median, fastest) in results.items():
        print(f"{text}: median {1000 * median:.0f} ms, fastest {1000 * fastest:.0f} ms")


def main():
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="+", metavar="VARIANT[:SIZE=VALUE,...]")
    parser.add_argument("--data", type=Path, help="folder of images; without it, times alone")
    parser.add_argument("--seconds", type=float, default=60, help="processor time of each training (%(default)s)")
    parser.add_argument("--repetitions", type=int, default=10, help="of enlarging, in turns (%(default)s)")
    arguments = parser.parse_args()
    # What runs in threads of its own costs more processor time than the same work in one.
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    if arguments.data:
        gains(arguments)
    times(arguments)


if __name__ == "__main__":
    main()
