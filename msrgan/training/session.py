"""A run of either stage, from its settings to what it leaves."""

import argparse

import keras

from msrgan.training.strategy import strategy


def set_up(options: argparse.Namespace):
    """Choose the strategy, seed and dtype policy of the process.

    Returns:
        The `tf.distribute.Strategy`.

    Raises:
        ValueError: the batch cannot be divided among the replicas.
    """
    chosen = strategy()
    replicas = chosen.num_replicas_in_sync
    if options.batch_size % replicas:
        raise ValueError(f"`batch_size` must be a multiple of the {replicas} replicas. Received: {options.batch_size}.")
    keras.utils.set_random_seed(options.seed)
    keras.config.set_dtype_policy(options.precision)
    return chosen
