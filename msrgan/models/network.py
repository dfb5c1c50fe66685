"""The network of an exported model as Keras knows it: what a SavedModel does not tell.

    network.json     layers and how they are joined, batch norm and branches folded; no code
    variables/       of the SavedModel: the weights, in the order of the network

So a model can be written in the format of Keras, and trained on.
"""

import json
from pathlib import Path

import keras
import tensorflow as tf

import msrgan.networks  # noqa: F401  registers the layers of a generator
from msrgan.messages import few

FILE = "network.json"
VARIABLES = "variables_of_network"  # what `savedmodel.export` calls the list of them
# What folded generators of this library, and of plain Keras layers, consist of; none of it runs code of the file.
# fmt: off
LAYERS = frozenset({
    "Activation", "Add", "BatchNormalization", "Bicubic", "Concatenate", "Conv2D", "Conv2DTranspose", "DepthToSpace",
    "Dropout", "Identity", "InputLayer", "LeakyReLU", "Multiply", "NearestConv2D", "PhaseConv2D", "PReLU", "ReLU",
    "Rescaling", "UpSampling2D",
})
# fmt: on


def write(network: keras.Model, folder: Path) -> None:
    """Write the layers of a network into the folder of its SavedModel."""
    (folder / FILE).write_text(network.to_json() + "\n")


def read(folder: Path) -> keras.Model:
    """Build the network of an exported model, [-1, 1] to [-1, 1], with its weights.

    Args:
        folder: of the model, checked as `savedmodel.read_card` does.

    Raises:
        FileNotFoundError: the model has no network.json; version 0.2 and earlier wrote none.
        ValueError: the file is damaged, has other layers than `LAYERS`, or the weights are those of another network.
    """
    file = folder / FILE
    if not file.is_file():
        raise FileNotFoundError(f"{folder}: there is no {FILE}. Export the model again, or name its run folder")
    try:
        text = file.read_text()
        strange = sorted({layer["class_name"] for layer in json.loads(text)["config"]["layers"]} - LAYERS)
        network = None if strange else keras.models.model_from_json(text)
    except Exception as error:  # Keras raises anything of a file that is not its own
        raise ValueError(f"{file} cannot be read as a network ({type(error).__name__}). Export it again") from error
    if network is None:
        raise ValueError(f"{file} has layers that exports of this library have not: {few(strange)}")
    weights = tf.train.load_checkpoint(str(folder / "variables" / "variables"))
    names = [f"{VARIABLES}/{k}/.ATTRIBUTES/VARIABLE_VALUE" for k in range(len(network.variables))]
    kept = weights.get_variable_to_shape_map()
    here = {name: list(variable.shape) for name, variable in zip(names, network.variables, strict=True)}
    if here != {name: shape for name, shape in kept.items() if name.startswith(f"{VARIABLES}/")}:
        raise ValueError(f"{file} is another network than the SavedModel beside it. Export the model again")
    for name, variable in zip(names, network.variables, strict=True):
        variable.assign(weights.get_tensor(name))
    return network
