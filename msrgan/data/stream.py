"""An endless, reproducible stream of samples: order, position, and the seed of each sample.

Sample k of a run is a pure function of (seed, k): pass k // n over the n images visits them in an order
drawn from (seed, pass), and what is drawn for a sample is drawn from (seed, pass, image). So a run resumed at any
step sees what the uninterrupted run would have seen, and workers can share a batch by position.
"""

import math
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from msrgan.intensity import Normalization

# What training uses of an example. The rest, such as a label map as large as the image, takes no memory.
USED = ("id", "image", "lr", "label")
# Pixels that are measured at once, 8 MB of float64.
AT_ONCE = 2**20


class Part(NamedTuple):
    """Which samples of the endless stream a process takes, and in which memory.

    Attributes:
        start: position in the stream of samples, to resume.
        shard: (number of workers, index of this one): each takes its share of every global batch.
        window: None keeps all decoded images in memory; a number reads them anew on every pass and shuffles within a
            window of so many (see `survey.shuffle_window`).
    """

    start: int = 0
    shard: tuple[int, int] = (1, 0)
    window: int | None = None


WHOLE = Part()


def samples(images: tf.data.Dataset, normalization: Normalization, *, seed: int, part: Part = WHOLE) -> tf.data.Dataset:
    """Measure images and make a process's part of their endless stream.

    Args:
        images: finite dataset of {"id", "image", ...}.
        normalization: of the images.
        seed: of the order.
        part: which samples.

    Returns:
        Dataset of (key, example), see `stream` and `measure`.
    """
    used = images.map(used_of)
    measured = used.map(lambda e: measure(e, normalization), num_parallel_calls=tf.data.AUTOTUNE)
    if part.window is None:
        # Of images that a survey keeps in memory this holds the same buffers, and no second copy.
        measured = measured.cache()
    return stream(measured, seed=seed, start=part.start, window=part.window).shard(*part.shard)


def used_of(example: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Return what training uses of an example."""
    return {name: example[name] for name in USED if name in example}


def stream(examples: tf.data.Dataset, *, seed: int, start: int = 0, window: int | None = None) -> tf.data.Dataset:
    """Repeat a finite dataset for ever, each pass in an order drawn from (seed, pass).

    Args:
        examples: finite dataset; it is counted by one reading if its cardinality is not known.
        seed: of the order.
        start: number of samples to skip.
        window: None shuffles all examples, a number within a window of so many.

    Returns:
        Dataset of (key, example), key int64 (seed, pass, index of the example in `examples`).
    """
    count = int(examples.cardinality())
    if count < 0:
        count = int(examples.reduce(0, lambda n, _: n + 1))
    indexed, window = examples.enumerate(), window or count

    def one_pass(number):
        # In the graph of this function only: tf.data mixes the process-wide seed, if there is one, with ours.
        tf.random.set_seed(None)
        # The seed of a shuffle must be one number: hash (seed, pass) into it.
        order = sample_seed(tf.stack([seed, number, 0]))[0]
        shuffled = indexed.shuffle(window, seed=order, reshuffle_each_iteration=False)
        return shuffled.map(lambda index, example: (tf.stack([seed, number, index]), example))

    seed = tf.constant(seed, tf.int64)
    passes = tf.data.Dataset.range(start // count, np.iinfo(np.int64).max)
    return passes.flat_map(one_pass).skip(start % count)


def measure(example: dict[str, tf.Tensor], normalization: Normalization) -> dict[str, tf.Tensor]:
    """Add what normalisation and the background rule need of the whole image: "low", "high", "std" (C,).

    Of an acquired LR image, "lr_low" and "lr_high".
    """
    low, high, std = _statistics(example["image"], normalization)
    measured = example | {"low": low, "high": high, "std": std}
    if "lr" in example:
        measured["lr_low"], measured["lr_high"], _ = _statistics(example["lr"], normalization)
    return measured


def deviation(channel: np.ndarray) -> float:
    """Compute the standard deviation of a channel (H, W), in float64, some rows at a time.

    `np.std` makes float64 copies of the whole: of a channel of 30,000 x 30,000 bytes, 14 GB.
    """
    rows = max(1, AT_ONCE // channel.shape[1])
    parts = [channel[first : first + rows] for first in range(0, len(channel), rows)]
    mean = sum(part.sum(dtype=np.float64) for part in parts) / channel.size
    return math.sqrt(sum(np.square(part - mean).sum() for part in parts) / channel.size)


def sample_seed(key: tf.Tensor) -> tf.Tensor:
    """Make the stateless seed of a sample, int64 (2,), from its key (seed, pass, index)."""
    one_pass = tf.random.stateless_uniform([], key[:2], minval=None, maxval=None, dtype=tf.int64)
    return tf.stack([one_pass, key[2]])


def _statistics(image, normalization):
    def measured(pixels):
        # Channel by channel: several times faster than along two axes.
        std = np.float32([deviation(channel) for channel in np.moveaxis(pixels, -1, 0)])
        return *normalization.limits(pixels), std

    statistics = tf.numpy_function(measured, [image], [tf.float32] * 3, stateful=False)
    return [tf.ensure_shape(value, [image.shape[-1]]) for value in statistics]
