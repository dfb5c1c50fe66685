"""What is converted: an exported model, and the Keras network that it was made of where a run has left it."""

import os
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np

import msrgan.networks  # noqa: F401  registers the layers of a saved generator
from msrgan.models.formats.textbook import textbook
from msrgan.models.savedmodel import load
from msrgan.models.upscaler import Upscaler

GENERATOR = "generator.keras"
TOLERANCE = 1e-4  # of the range [0, 1]


class Source:
    """An exported model, checked.

    Args:
        path: a run folder, or its model, or any exported model.
        added: what its card says besides.
        image: low-resolution (H, W, C), to show the model at work.
        trust: whether to load operations that `models.export` never writes, and which could harm your files.

    Attributes:
        folder: of the SavedModel.
        model: the same, ready for use.
        card: what the card says, with what was added.

    Raises:
        FileNotFoundError: there is no exported model.
        ValueError: it is damaged, or has operations that are not trusted.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        *,
        added: dict[str, Any] | None = None,
        image: np.ndarray | None = None,
        trust: bool = False,
    ):
        path = Path(path)
        self.model: Upscaler = load(path, trust=trust)
        self.folder = path / "model" if (path / "model").is_dir() else path
        self.card: dict[str, Any] = self.model.metadata | (added or {})
        self.image = image

    @property
    def about(self) -> dict[str, Any]:
        """The card without the hashes of the training images: what is carried by a file for others."""
        return {name: value for name, value in self.card.items() if name != "training_hashes"}

    @cached_property
    def network(self) -> keras.Model:
        """The network in Keras' own layers, equal to the SavedModel.

        Raises:
            ValueError: there is none beside the model, it cannot be read or written in Keras' own layers, or it is
                another than the SavedModel.
        """
        file = self.folder.parent / GENERATOR
        if self.folder.name != "model" or not file.is_file():
            raise ValueError(
                f"{self.folder} is a SavedModel without its Keras network. Name a run folder with model and "
                f"{GENERATOR} in it, or another `format`: savedmodel, onnx, openvino, litert or ncnn"
            )
        try:
            generator = keras.saving.load_model(file, compile=False)
        except Exception as error:  # Keras raises anything of a file that is not its own
            raise ValueError(f"{file} cannot be read as a generator ({type(error).__name__})") from error
        network = textbook(generator)
        image = np.random.default_rng(0).random((1, 16, 16, self.model.channels), np.float32)
        enlarged, expected = np.asarray(network(image)), self.model(image)
        if enlarged.shape != expected.shape or not np.allclose(enlarged, expected, rtol=0, atol=TOLERANCE):
            raise ValueError(f"{file} and {self.folder} are two different networks. Export the model of one run")
        return network
