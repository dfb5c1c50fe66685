"""What is converted: an exported model, and the Keras network that it was made of."""

import os
from functools import cached_property
from typing import Any

import keras
import numpy as np

from msrgan.models import network as network_file
from msrgan.models.formats.textbook import textbook
from msrgan.models.savedmodel import load, locate
from msrgan.models.upscaler import Upscaler

TOLERANCE = 1e-4  # of the range [0, 1]


class Source:
    """An exported model, checked.

    Args:
        path: a run folder, or its model, any exported model, or the name of one that ships.
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
        self.model: Upscaler = load(path, trust=trust)
        self.folder = locate(path)
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
            ValueError: the model has none, it cannot be read or written in Keras' own layers, or it is another than the
                SavedModel.
        """
        file = self.folder / network_file.FILE
        if not file.is_file():
            raise ValueError(
                f"{self.folder} is a SavedModel of version 0.2 or earlier, without its Keras network. Export it again, "
                "or use another `format`: savedmodel, onnx, openvino, litert or ncnn"
            )
        network = textbook(network_file.read(self.folder))
        image = np.random.default_rng(0).random((1, 16, 16, self.model.channels), np.float32)
        enlarged, expected = np.asarray(network(image)), self.model(image)
        if enlarged.shape != expected.shape or not np.allclose(enlarged, expected, rtol=0, atol=TOLERANCE):
            raise ValueError(f"{file} is another network than the SavedModel beside it. Export the model again")
        return network
