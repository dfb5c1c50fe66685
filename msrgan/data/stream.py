"""An endless, reproducible stream of samples: order, position, and the seed of each sample.

Sample k of a run is a pure function of (seed, k): pass k // n over the n images visits them in an order
drawn from (seed, pass), and what is drawn for a sample is drawn from (seed, pass, image). So a run resumed at any
step sees what the uninterrupted run would have seen, and workers can share a batch by position.
"""

import numpy as np
import tensorflow as tf

from msrgan.intensity import Normalization


def stream(examples: tf.data.Dataset, *, seed: int, start: int = 0, window: int | None = None) -> tf.data.Dataset:
    """Repeat a finite dataset for ever, each pass in an order drawn from (seed, pass).

    Args:
        examples: finite dataset; it is counted by one reading if its cardinality is not known.
        seed: of the order.
        start: number of samples to skip.
        window: as for `sr_pairs`.

    Returns:
        Dataset of (key, example), key int64 (seed, pass, index of the example in `examples`).
    """
    count = int(examples.cardinality())
    if count < 0:
        count = int(examples.reduce(0, lambda n, _: n + 1))
    indexed = examples.enumerate()
    if window is None:
        indexed, window = indexed.cache(), count

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


def sample_seed(key: tf.Tensor) -> tf.Tensor:
    """Make the stateless seed of a sample, int64 (2,), from its key (seed, pass, index)."""
    one_pass = tf.random.stateless_uniform([], key[:2], minval=None, maxval=None, dtype=tf.int64)
    return tf.stack([one_pass, key[2]])


def _statistics(image, normalization):
    def measured(pixels):
        # Channel by channel: several times faster than along two axes.
        std = np.float32([channel.std(dtype=np.float64) for channel in np.moveaxis(pixels, -1, 0)])
        return *normalization.limits(pixels), std

    found = tf.numpy_function(measured, [image], [tf.float32] * 3, stateful=False)
    return [tf.ensure_shape(value, [image.shape[-1]]) for value in found]
