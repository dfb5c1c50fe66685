"""What an engine is: a runtime that computes the network of an exported model."""

import abc
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from msrgan.models.engines import cache


class Engine(abc.ABC):
    """The network of an exported model, ready to run; tiles, intensities and files are not its business.

    Attributes:
        name: as `models.load` takes it.
        precisions: in which it can compute; float32 is the first.
        precision: in which it computes.
    """

    name: ClassVar[str]
    precisions: ClassVar[tuple[str, ...]] = ("float32",)

    @abc.abstractmethod
    def __init__(self, path: Path, metadata: dict[str, Any], precision: str = "float32"):
        """Prepare a network: convert it, or read its conversion from the cache, and compile it.

        Args:
            path: folder of an exported model, whose operations and files were checked (`models.savedmodel`).
            metadata: its card, with the fingerprint.
            precision: one of `precisions`.

        Raises:
            ValueError: a package is not installed, or the network cannot be converted.
            OSError: its conversion cannot be written.
        """
        self.precision = precision

    @abc.abstractmethod
    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """Enlarge float32 (B, H, W, C) of any B, H and W to float32 (B, scale H, scale W, C)."""

    def conversion(
        self, path: Path, metadata: dict[str, Any], name: str, write: Callable[[Path, Path], None], *, version: str
    ) -> Path:
        """Return the converted model, from the cache where it is there.

        Args:
            path: folder of the model.
            metadata: its card.
            name: of the file.
            write: (model, file) -> None, a function of `models.formats`.
            version: of the converter.

        Raises:
            ValueError: the network cannot be converted.
            OSError: the conversion cannot be written.
        """
        of = {"engine": self.name, "precision": self.precision, "version": version}
        return cache.conversion(metadata, lambda folder: write(path, folder / name), **of) / name
