"""The network of an exported model as Keras knows it: what a SavedModel does not tell.

    network.json     layers and how they are joined, batch norm and branches folded; no code
    variables/       of the SavedModel: the weights, in the order of the network

So a model can be written in the format of Keras, and trained on.
"""

from pathlib import Path

import keras
import tensorflow as tf

import msrgan.networks  # noqa: F401  registers the layers of a generator

FILE = "network.json"
VARIABLES = "variables_of_network"  # what `savedmodel.export` calls the list of them


def write(network: keras.Model, folder: Path) -> None:
    """Write the layers of a network into the folder of its SavedModel."""
    (folder / FILE).write_text(network.to_json() + "\n")


def read(folder: Path) -> keras.Model:
    """Build the network of an exported model, [-1, 1] to [-1, 1], with its weights.

    Raises:
        FileNotFoundError: the model has no network.json; version 0.2 and earlier wrote none.
        ValueError: the file is damaged, or the weights are those of another network.
    """
    file = folder / FILE
    if not file.is_file():
        raise FileNotFoundError(f"{folder}: there is no {FILE}. Export the model again")
    try:
        network = keras.models.model_from_json(file.read_text())
        weights = tf.train.load_checkpoint(str(folder / "variables" / "variables"))
        for k, weight in enumerate(network.variables):
            weight.assign(weights.get_tensor(f"{VARIABLES}/{k}/.ATTRIBUTES/VARIABLE_VALUE"))
    except Exception as error:  # Keras raises anything of a file that is not its own
        raise ValueError(f"{file} cannot be read as a network ({type(error).__name__}). Export it again") from error
    return network
