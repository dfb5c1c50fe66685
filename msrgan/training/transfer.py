"""Weights on their way from one network to another: the best ones of a run, or the first ones."""

import os
from itertools import zip_longest
from pathlib import Path

import keras
import numpy as np

from msrgan import zoo
from msrgan.io.atomic import atomic
from msrgan.models import network as exported
from msrgan.models import savedmodel
from msrgan.networks import fold_batch_norm, unfold
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


def start_from(run: str | os.PathLike, *generators: keras.Model) -> None:
    """Give generators the weights of another, as ESRGAN starts from a generator trained on pixels.

    Args:
        run: a run folder, its generator.keras, an exported model, or the name of one that ships.
        generators: to be filled, of the same architecture.

    Raises:
        FileNotFoundError: there is none of these.
        ValueError: it cannot be read, or its weights have other shapes.
    """
    first, *others = generators
    if file := _file_of(run):
        saved = _loaded(file)
        _check(saved, first, run)
        first.set_weights(saved.get_weights())
    else:
        try:
            folder = savedmodel.locate(run)
        except FileNotFoundError as error:
            raise FileNotFoundError(f"`init` names a generator. {error}") from None
        savedmodel.read_card(folder)
        saved = exported.read(folder)
        _check(saved, fold_batch_norm(first, dtype="float32"), run)
        unfold(first, saved)
    for generator in others:
        generator.set_weights(first.get_weights())


def _file_of(run):
    """Return the generator.keras that a run folder, its model, or the file itself stands for; None if there is none."""
    if zoo.is_name(run):
        return None
    path = Path(run)
    files = (path, path / "generator.keras", path.parent / "generator.keras" if path.name == "model" else path)
    return next((file for file in files if file.is_file()), None)


def _loaded(file):
    try:
        return keras.saving.load_model(file, compile=False)
    except Exception as error:  # Keras raises anything of a file that is not its own
        raise ValueError(f"{file} cannot be read as a generator ({type(error).__name__}).") from error


def _check(saved, generator, run):
    pairs = zip_longest(_outline(saved), _outline(generator))
    differing = [f"{there} there, {here} here" for there, here in pairs if there != here]
    if differing:
        raise ValueError(
            f"{run} is another network, with {differing[0]}. Use its `variant`, `scale`, `filters`, `blocks`, "
            "`upsample` and `image_skip`, a `degradation` of its grid, and images of its channels."
        )


def _outline(network):
    """List what two networks must share: the weights, and enlargements, which have none."""
    enlargements = [f"{x.name} x{x.scale}, {x.grid}" for x in network.layers if isinstance(x, Bicubic)]
    return enlargements + [f"{weight.name} {tuple(weight.shape)}" for weight in network.weights]
