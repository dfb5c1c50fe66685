"""Exported models: write a generator as a SavedModel, load it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import tensorflow as tf

from msrgan.io.atomic import atomic_folder
from msrgan.io.listing import contents
from msrgan.models import card
from msrgan.models.interpolation import KERNELS, interpolation
from msrgan.models.upscaler import Upscaler
from msrgan.networks import fold_batch_norm, receptive_radius


def export(generator, path: str | os.PathLike, *, metadata: dict | None = None) -> None:
    """Writes a generator as a SavedModel, batch norm folded, in place of an older one, whole or not at all.

    Its signature `serving_default` takes `image`, float32 (batch, H, W, C) in [0, 1]-normalised units, and
    returns {"upscaled": (batch, scale H, scale W, C)}; nothing is clipped
    inside. It needs neither this library nor Keras to run.

    Args:
        generator: keras.Model from (B, H, W, C) to (B, sH, sW, C), both in [-1, 1].
        path: folder to write. The metadata lie in it as msrgan.json.
        metadata: completes or replaces the defaults: percentiles, bicubic degradation, no training hashes.

    Raises:
        ValueError: `path` is something else than a model, or the metadata are not valid.
        FloatingPointError: the generator gives NaN or infinite pixels.
    """
    path = Path(path)
    if path.exists() and not (path / card.METADATA).is_file() and not (path.is_dir() and not any(path.iterdir())):
        raise ValueError(f"{path} exists and is not an exported model. Choose another folder or remove it")
    network = fold_batch_norm(generator, dtype="float32")
    channels = generator.input_shape[-1]
    probe = network(tf.random.stateless_uniform((1, 8, 8, channels), (0, 0), -1, 1)).numpy()
    if not np.isfinite(probe).all():
        raise FloatingPointError("The generator gives NaN or infinite pixels. Train it at a lower learning rate")
    sizes = {"scale": probe.shape[1] // 8, "channels": channels, "receptive_radius": receptive_radius(generator)}
    described = sizes | card.defaults() | (metadata or {})
    card.check(described, path)

    module = tf.Module()
    module.variables_of_network = [variable.value for variable in network.variables]

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, channels), tf.float32, name="image")])
    def serve(image):
        return {"upscaled": (network(image * 2 - 1, training=False) + 1) / 2}

    with atomic_folder(path) as folder:
        tf.saved_model.save(module, str(folder), signatures={"serving_default": serve})
        (folder / card.METADATA).write_text(json.dumps(described, indent=1) + "\n")


def load(path: str | os.PathLike, *, scale: int | None = None) -> Upscaler:
    """Loads an exported model, or a null model to compare with.

    Args:
        path: a folder that `export` wrote, or a run folder with such a `model` in it; or "nearest", "bicubic"
            (Keys, a = -0.5) or "lanczos" (3 lobes) for plain interpolation.
        scale: enlargement of a null model, 4 unless given. A trained model has its own.

    Raises:
        FileNotFoundError: there is no exported model.
        ValueError: the model is damaged, or has another scale than asked for.
    """
    if str(path) in KERNELS:
        return interpolation(str(path), 4 if scale is None else scale)
    path = Path(path)
    path = path / "model" if (path / "model").is_dir() else path
    if not (path / "saved_model.pb").is_file():
        raise FileNotFoundError(
            f"{path}: there is no exported model. Found: {contents(path)}. Name the folder of a finished run of "
            f"train_srgan.py, or {', '.join(KERNELS)}"
        )
    try:
        metadata = json.loads((path / card.METADATA).read_text())
    except FileNotFoundError:
        raise ValueError(f"{path} is a SavedModel without {card.METADATA}. Export it with msrgan.export") from None
    except ValueError as error:
        raise ValueError(f"{path / card.METADATA} cannot be read ({error}). Export the model again") from None
    card.check(metadata, path)
    if scale not in (None, metadata["scale"]):
        raise ValueError(f"{path} enlarges {metadata['scale']} times. Received: scale={scale}")
    try:
        model = tf.saved_model.load(str(path))
        model.signatures["serving_default"]
    except (tf.errors.OpError, OSError, KeyError, ValueError) as error:
        raise ValueError(f"{path} is a damaged model ({type(error).__name__}). Export it again") from error

    def function(batch):
        # Reached through `model`: a signature alone keeps weak references to its variables.
        return model.signatures["serving_default"](image=batch)["upscaled"]

    return Upscaler(function, metadata)
