"""Keras: one file of Keras' own layers, which `keras.models.load_model` opens without this library."""

from pathlib import Path

from msrgan.models.formats.source import Source


def write(source: Source, target: Path) -> None:
    """Write NAME.keras: `image` (B, H, W, C) to `upscaled` (B, sH, sW, C), [0, 1]-normalised, B, H and W free.

    Raises:
        ValueError: there is no Keras network, or it cannot be written in Keras' own layers.
    """
    source.network.save(target)
