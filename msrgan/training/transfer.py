"""Weights on their way from one network to another: the best ones of a run, or the first ones."""

from itertools import zip_longest
from pathlib import Path

import keras
import numpy as np

import msrgan.networks  # noqa: F401  registers the layers of a saved generator
from msrgan.io.atomic import atomic
from msrgan.networks.phases import Bicubic


def save_weights(network: keras.Model, file: Path) -> None:
    """Write the weights of a functional network by their names, whole or not at all.

    NumPy's format: that of HDF5 ends the process where the disk is full.
    """
    with atomic(file) as path, open(path, "wb") as stream:
        np.savez(stream, **{weight.path: keras.ops.convert_to_numpy(weight) for weight in network.weights})


def load_weights(network: keras.Model, file: Path) -> None:
    """Take the weights that `save_weights` wrote; KeyError if the network has others."""
    with np.load(file, allow_pickle=False) as saved:
        for weight in network.weights:
            weight.assign(saved[weight.path])


def start_from(run: Path, *generators: keras.Model) -> None:
    """Give generators the weights of another run's, as ESRGAN starts from a generator trained on pixels.

    Args:
        run: a run folder, or its generator.keras.
        generators: to be filled, of the same architecture.

    Raises:
        FileNotFoundError: there is no generator.keras.
        ValueError: it cannot be read, or its weights have other shapes.
    """
    file = run / "generator.keras" if run.is_dir() else run
    if not file.is_file():
        raise FileNotFoundError(f"{file}: no such generator. Name the folder of a finished run as `init`.")
    try:
        saved = keras.saving.load_model(file, compile=False)
    except Exception as error:  # Keras raises anything of a file that is not its own
        raise ValueError(f"{file} cannot be read as a generator ({type(error).__name__}).") from error
    pairs = zip_longest(_outline(saved), _outline(generators[0]))
    differing = [f"{there} there, {here} here" for there, here in pairs if there != here]
    if differing:
        raise ValueError(
            f"{file} is another network, with {differing[0]}. Use its `variant`, `scale`, `filters`, `blocks`, "
            "`upsample` and `image_skip`, and images of its channels."
        )
    for generator in generators:
        generator.set_weights(saved.get_weights())


def _outline(network):
    """List what two networks must share: the weights, and enlargements, which have none."""
    enlargements = [f"{x.name} x{x.scale}" for x in network.layers if isinstance(x, Bicubic)]
    return enlargements + [f"{weight.name} {tuple(weight.shape)}" for weight in network.weights]
