"""Exported models: write a generator as a SavedModel, load it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf.fingerprint_pb2 import FingerprintDef

from msrgan.io.atomic import atomic_folder
from msrgan.io.listing import contents
from msrgan.messages import few, warn
from msrgan.models import card, safety
from msrgan.models.interpolation import KERNELS, interpolation
from msrgan.models.probe import probe
from msrgan.models.upscaler import Upscaler
from msrgan.networks import fold_batch_norm, receptive_radius


def export(generator: keras.Model, path: str | os.PathLike, *, metadata: dict[str, Any] | None = None) -> None:
    """Write a generator as a SavedModel, batch norm folded, in place of an older one, whole or not at all.

    Its signature `serving_default` takes `image`, float32 (batch, H, W, C) in [0, 1]-normalised units, and
    returns {"upscaled": (batch, scale H, scale W, C)}; nothing is clipped inside. It needs neither this library nor
    Keras to run.

    Args:
        generator: keras.Model from (B, H, W, C) to (B, sH, sW, C), both in [-1, 1].
        path: folder to write. The metadata lie in it as msrgan.json.
        metadata: completes or replaces the defaults: percentiles, bicubic degradation, no training hashes. Of hashes
            the first `card.HASH_DIGITS` digits are kept.

    Raises:
        ValueError: `path` is something else than a model, or the metadata are not valid.
        FloatingPointError: the generator gives NaN or infinite pixels.
        OSError: the model cannot be written.

    Example:
        >>> import msrgan
        >>> from msrgan.networks import srresnet
        >>> msrgan.export(srresnet(channels=1, filters=4, blocks=1), "runs/untrained")
        >>> msrgan.load("runs/untrained").scale
        4
    """
    path = Path(path)
    check_target(path)
    network = fold_batch_norm(generator, dtype="float32")
    channels = generator.input_shape[-1]
    pixels = network(tf.random.stateless_uniform((1, 8, 8, channels), (0, 0), -1, 1)).numpy()
    if not np.isfinite(pixels).all():
        raise FloatingPointError("The generator gives NaN or infinite pixels. Train it at a lower learning rate")
    sizes = {"scale": pixels.shape[1] // 8, "channels": channels, "receptive_radius": receptive_radius(generator)}
    described = sizes | card.defaults() | (metadata or {})
    card.check(described, path / card.METADATA)
    described["training_hashes"] = [digits[: card.HASH_DIGITS] for digits in described["training_hashes"]]

    module = tf.Module()
    module.variables_of_network = [variable.value for variable in network.variables]

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, channels), tf.float32, name="image")])
    def serve(image):
        return {"upscaled": (network(image * 2 - 1, training=False) + 1) / 2}

    with atomic_folder(path) as folder:
        try:
            tf.saved_model.save(module, str(folder), signatures={"serving_default": serve})
        except tf.errors.OpError as error:  # a full disk, for instance
            raise OSError(f"{path}: the model cannot be written ({error.message.split('; ')[-1]})") from error
        described["fingerprint"] = card.fingerprint(folder)
        (folder / card.METADATA).write_text(json.dumps(described, indent=1) + "\n")
        strange = safety.strange_parts(folder)
    if strange:
        warn(f"{path} has operations that are loaded only by load(..., trust=True): {few(strange)}")


def check_target(path: Path) -> None:
    """Raise ValueError where `export` would not write: there is something that is no exported model."""
    if path.exists() and not (path / card.METADATA).is_file() and not (path.is_dir() and not any(path.iterdir())):
        raise ValueError(f"{path} exists and is not an exported model. Choose another folder or remove it")


def load(path: str | os.PathLike, *, scale: int | None = None, trust: bool = False) -> Upscaler:
    """Load an exported model, or a null model to compare with.

    A SavedModel is a program. Of a trained model the operations are checked before it is loaded (`models.safety`), and
    its card is compared with what the network does (`models.probe`).

    Args:
        path: a folder that `export` wrote, or a run folder with such a `model` in it; or "nearest", "bicubic"
            (Keys, a = -0.5) or "lanczos" (3 lobes) for plain interpolation.
        scale: enlargement of a null model, 4 unless given. A trained model has its own.
        trust: whether to load operations that `export` never writes, and which could harm your files.

    Raises:
        FileNotFoundError: there is no exported model.
        ValueError: the model is damaged or not the one that was exported, has operations that are not trusted, or has
            another scale than `scale`.

    Example:
        >>> import msrgan
        >>> model = msrgan.load("bicubic")
        >>> model.scale, model.radius
        (4, 2)
    """
    if str(path) in KERNELS:
        return interpolation(str(path), 4 if scale is None else scale)
    path = Path(path)
    path = path / "model" if (path / "model").is_dir() else path
    if not (path / "saved_model.pb").is_file():
        raise FileNotFoundError(
            f"{path}: there is no exported model. Received: {contents(path)}. Name the folder of a finished run of "
            f"train_srgan.py, or {', '.join(KERNELS)}"
        )
    metadata = card.read(path)
    if scale not in (None, metadata["scale"]):
        raise ValueError(f"{path} enlarges {metadata['scale']} times. Received: scale={scale}")
    if not trust:
        safety.check(path)
    _check_fingerprint(path)
    fingerprint = card.fingerprint(path)
    if metadata.setdefault("fingerprint", fingerprint) != fingerprint:
        raise ValueError(
            f"{path} is a damaged model (its files are not those of the fingerprint in {card.METADATA}). "
            "Export it again, or copy its whole folder"
        )
    model = Upscaler(_signature(path, metadata["channels"]), metadata)
    probe(model, path)
    return model


def _check_fingerprint(path):
    """Refuse a damaged fingerprint.pb, of which TensorFlow would print a traceback, and go on."""
    file = path / "fingerprint.pb"
    try:
        FingerprintDef.FromString(file.read_bytes() if file.is_file() else b"")
    except DecodeError as error:
        raise ValueError(f"{path} is a damaged model (fingerprint.pb cannot be read). Export it again") from error


def _signature(path, channels):
    """Load a SavedModel; return its signature as a function of a batch."""
    try:
        model = tf.saved_model.load(str(path))
        signature = model.signatures["serving_default"]
        inputs, outputs = signature.structured_input_signature[1], signature.structured_outputs
    except MemoryError:
        raise
    except Exception as error:  # of any kind: TensorFlow checks little of what it reads
        raise ValueError(f"{path} is a damaged model ({type(error).__name__}). Export it again") from error
    image = tf.TensorSpec((None, None, None, channels), tf.float32)
    if set(inputs) != {"image"} or not inputs["image"].is_compatible_with(image) or "upscaled" not in outputs:
        raise ValueError(
            f"{path}: a model of {channels} channels makes upscaled of image, float32 {image.shape}. "
            f"Received: {', '.join(outputs)} of {', '.join(map(str, inputs.values()))}. Export the model again"
        )

    def function(batch):
        # Reached through `model`: a signature alone keeps weak references to its variables.
        return model.signatures["serving_default"](image=batch)["upscaled"]

    return function
