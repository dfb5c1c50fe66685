"""Exported models: write a generator as a SavedModel, load it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf.fingerprint_pb2 import FingerprintDef

from msrgan import zoo
from msrgan.io.atomic import atomic_folder
from msrgan.io.listing import contents
from msrgan.messages import few, warn, warn_once
from msrgan.models import card, engines, safety
from msrgan.models import network as network_file
from msrgan.models.engines import choice
from msrgan.models.interpolation import KERNELS, interpolation
from msrgan.models.probe import probe
from msrgan.models.upscaler import Upscaler
from msrgan.networks import fold_batch_norm, receptive_radius


def export(generator: keras.Model, path: str | os.PathLike, *, metadata: dict[str, Any] | None = None) -> None:
    """Write a generator as a SavedModel, batch norm folded, in place of an older one, whole or not at all.

    Its signature `serving_default` takes `image`, float32 (batch, H, W, C) in [0, 1]-normalised units, and
    returns {"upscaled": (batch, scale H, scale W, C)}; nothing is clipped inside. It needs neither this library nor
    Keras to run. Beside it lie the layers of the network (`models.network`).

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
    setattr(module, network_file.VARIABLES, [variable.value for variable in network.variables])

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, channels), tf.float32, name="image")])
    def serve(image):
        return {"upscaled": (network(image * 2 - 1, training=False) + 1) / 2}

    with atomic_folder(path) as folder:
        try:
            tf.saved_model.save(module, str(folder), signatures={"serving_default": serve})
        except tf.errors.OpError as error:  # a full disk, for instance
            raise OSError(f"{path}: the model cannot be written ({error.message.split('; ')[-1]})") from error
        network_file.write(network, folder)
        described["fingerprint"] = card.fingerprint(folder)
        (folder / card.METADATA).write_text(json.dumps(described, indent=1) + "\n")
        strange = safety.strange_parts(folder)
    if strange:
        warn(f"{path} has operations that are loaded only by load(..., trust=True): {few(strange)}")


def check_target(path: Path) -> None:
    """Raise ValueError where `export` would not write: there is something that is no exported model."""
    if path.exists() and not (path / card.METADATA).is_file() and not (path.is_dir() and not any(path.iterdir())):
        raise ValueError(f"{path} exists and is not an exported model. Choose another folder or remove it")


def load(
    path: str | os.PathLike,
    *,
    scale: int | None = None,
    trust: bool = False,
    engine: str = "tensorflow",
    precision: str = "float32",
) -> Upscaler:
    """Load an exported model, or a null model to compare with.

    A SavedModel is a program. Of a trained model the operations are checked before it is loaded (`models.safety`), and
    its card is compared with what the network does (`models.probe`). For an engine other than TensorFlow it is then
    converted, once (`engines.cache`), and what the engine gives is compared with what TensorFlow does.

    Args:
        path: a folder that `export` wrote, or a run folder with such a `model` in it; a text that names a model that
            ships (`msrgan.zoo`), as "fluorescence"; or "nearest", "bicubic" (Keys, a = -0.5) or "lanczos" (3 lobes) for
            plain interpolation.
        scale: enlargement of a null model, 4 unless given. A trained model has its own.
        trust: whether to load operations that `export` never writes, and which could harm your files.
        engine: what computes a trained model: "tensorflow", "openvino", "onnxruntime", "ncnn", or "auto" for the
            fastest of those that are installed.
        precision: in which it does: "float32", or "bfloat16", which is faster where the processor has it.

    Raises:
        FileNotFoundError: there is no exported model.
        ValueError: the model is damaged or not the one that was exported, has operations that are not trusted, or has
            another scale than `scale`; the engine is not installed, has not this precision, or does not agree with
            TensorFlow.
        OSError: a conversion cannot be written.

    Example:
        >>> import msrgan
        >>> model = msrgan.load("bicubic")
        >>> model.scale, model.radius
        (4, 2)
    """
    choice.check(engine, precision)
    if str(path) in KERNELS:
        if (engine, precision) != ("tensorflow", "float32"):
            raise ValueError(f"`engine` and `precision` are for trained models. Received: {engine} for {path}")
        return interpolation(str(path), 4 if scale is None else scale)
    name, path = path, locate(path, also=KERNELS)
    metadata = read_card(path, trust=trust)
    if scale not in (None, metadata["scale"]):
        raise ValueError(f"{name} enlarges {metadata['scale']} times. Received: scale={scale}")
    reference = engines.make("tensorflow", path, metadata)
    probe(Upscaler(reference, metadata), path)
    return Upscaler(choice.choose(engine, reference, path, metadata, precision), metadata)


def locate(path: str | os.PathLike, *, also: Iterable[str] = ()) -> Path:
    """Return the folder of the SavedModel that a name of a model that ships, a run folder or a folder stands for.

    Args:
        path: a text that names a model that ships means that one, even where there is a folder of that name.
        also: what else the caller takes, for the message.

    Raises:
        FileNotFoundError: there is no exported model.
        ValueError: the name is that of the features that ship.
    """
    if path == zoo.VGG:
        raise ValueError(f"{path} does not enlarge. It is for the content loss: train_srgan.py --vgg builtin")
    name = path
    if zoo.is_name(path):
        if any((Path(path) / file).exists() for file in ("model", "saved_model.pb", "generator.keras")):
            warn_once(f"{path} is taken for the model that ships. ./{path} names the folder")
        path = zoo.folder(path)
    path = Path(path)
    path = path / "model" if (path / "model").is_dir() else path
    if not (path / "saved_model.pb").is_file():
        raise FileNotFoundError(
            f"{name}: there is no exported model. Received: {contents(path)}. Name the folder of a finished run of "
            f"train_srgan.py, or {', '.join([*zoo.UPSCALERS, *also])}"
        )
    return path


def read_card(path: Path, *, trust: bool = False) -> dict[str, Any]:
    """Read the card in the folder of a model, and check its operations and its fingerprint.

    Raises:
        ValueError: the model is damaged, not the one that was exported, or has operations that are not trusted.
    """
    metadata = card.read(path)
    if not trust:
        safety.check(path)
    _check_fingerprint(path)
    fingerprint = card.fingerprint(path)
    if metadata.setdefault("fingerprint", fingerprint) != fingerprint:
        raise ValueError(
            f"{path} is a damaged model (its files are not those of the fingerprint in {card.METADATA}). "
            "Export it again, or copy its whole folder"
        )
    return metadata


def _check_fingerprint(path):
    """Refuse a damaged fingerprint.pb, of which TensorFlow would print a traceback, and go on."""
    file = path / "fingerprint.pb"
    try:
        FingerprintDef.FromString(file.read_bytes() if file.is_file() else b"")
    except DecodeError as error:
        raise ValueError(f"{path} is a damaged model (fingerprint.pb cannot be read). Export it again") from error
