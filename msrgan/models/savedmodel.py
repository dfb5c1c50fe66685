"""From a trained generator to upscaled images: export, load, upscale."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import tensorflow as tf

from msrgan import images, tiling
from msrgan.files import atomic_folder, contents
from msrgan.networks import fold_batch_norm, receptive_radius

METADATA = "msrgan.json"
NORMALIZATIONS = ("percentile", "range")
_INTERPOLATIONS = {"nearest": ("nearest", 1), "bicubic": ("bicubic", 2), "lanczos": ("lanczos3", 3)}


class Upscaler:
    """A model ready for use: float32 (B, H, W, C) in, (B, scale H, scale W, C) out, in normalised units.

    The normalised units are those of `value_range`: 0 and 1 are the two ends of the range of an image, values
    beyond are allowed and nothing is clipped.

    Attributes:
        scale: enlargement factor.
        channels: channels of the model; None where it takes any number.
        radius: how many input pixels around its own an output pixel depends on, at most.
        metadata: dict with these three and "normalization", "percentiles", "degradation" (text for
            `degradation.make`, or "acquired"), "training_hashes", "version" and what the training run added.
    """

    def __init__(self, function: Callable, metadata: dict):
        self._function = function
        self.metadata = metadata
        self.scale: int = metadata["scale"]
        self.channels: int | None = metadata["channels"]
        self.radius: int = metadata["receptive_radius"]

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """Enlarges a batch in normalised units."""
        return self._function(tf.convert_to_tensor(batch, tf.float32)).numpy()


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
    if path.exists() and not (path / METADATA).is_file() and not (path.is_dir() and not any(path.iterdir())):
        raise ValueError(f"{path} exists and is not an exported model. Choose another folder or remove it")
    network = fold_batch_norm(generator, dtype="float32")
    channels = generator.input_shape[-1]
    probe = network(tf.random.stateless_uniform((1, 8, 8, channels), (0, 0), -1, 1)).numpy()
    if not np.isfinite(probe).all():
        raise FloatingPointError("The generator gives NaN or infinite pixels. Train it at a lower learning rate")
    sizes = {"scale": probe.shape[1] // 8, "channels": channels, "receptive_radius": receptive_radius(generator)}
    described = sizes | _defaults() | (metadata or {})
    _check(described, path)

    module = tf.Module()
    module.variables_of_network = [variable.value for variable in network.variables]

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, channels), tf.float32, name="image")])
    def serve(image):
        return {"upscaled": (network(image * 2 - 1, training=False) + 1) / 2}

    with atomic_folder(path) as folder:
        tf.saved_model.save(module, str(folder), signatures={"serving_default": serve})
        (folder / METADATA).write_text(json.dumps(described, indent=1) + "\n")


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
    if str(path) in _INTERPOLATIONS:
        return interpolation(str(path), 4 if scale is None else scale)
    path = Path(path)
    path = path / "model" if (path / "model").is_dir() else path
    if not (path / "saved_model.pb").is_file():
        raise FileNotFoundError(
            f"{path}: there is no exported model. Found: {contents(path)}. Name the folder of a finished run of "
            f"train_srgan.py, or {', '.join(_INTERPOLATIONS)}"
        )
    try:
        metadata = json.loads((path / METADATA).read_text())
    except FileNotFoundError:
        raise ValueError(f"{path} is a SavedModel without {METADATA}. Export it with msrgan.export") from None
    except ValueError as error:
        raise ValueError(f"{path / METADATA} cannot be read ({error}). Export the model again") from None
    _check(metadata, path)
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


def upscale(
    model: Upscaler | str | os.PathLike, image: np.ndarray, *, tile: int = 256, overlap: int | None = None
) -> np.ndarray:
    """Enlarges an image of any size, tile by tile.

    Intensities are normalised by the range of the whole image (`value_range`), and the result is brought back
    to the units and the dtype of the image: integers are rounded and clipped, floats are neither.

    A grey image is repeated for a model of three channels and the mean of the three results is returned; a
    model of one channel is applied to each channel of an image.

    Args:
        model: from `load`, or what `load` takes.
        image: (H, W, C) or (H, W), uint8, uint16 or float.
        tile: side, in input pixels, of the square that each call of the model contributes. The call itself
            sees up to tile + 2 overlap pixels a side: larger is faster and takes more memory.
        overlap: context on each side of a tile, at least the receptive radius of the model, which is the
            default: so tiles leave no trace in the result.

    Returns:
        (scale H, scale W, C) or (scale H, scale W), dtype of `image`.

    Raises:
        ValueError: the image does not fit the model or has NaN pixels, the overlap is too small, or the model gives
            NaN or infinite pixels.
    """
    model = model if isinstance(model, Upscaler) else load(model)
    image = np.asarray(image)
    pixels = image[..., None] if image.ndim == 2 else image
    if pixels.ndim != 3 or not pixels.size or not (pixels.dtype in (np.uint8, np.uint16) or pixels.dtype.kind == "f"):
        raise ValueError(
            f"Images are (H, W) or (H, W, C), uint8, uint16 or float. Received: {image.shape} {image.dtype}"
        )
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise ValueError("An image must have finite pixels. Received: NaN or infinite ones. Replace them first")
    if model.channels not in (None, 1):
        images.to_channels(pixels, model.channels)  # tells what is wrong before any work
    overlap = model.radius if overlap is None else overlap
    if overlap < model.radius:
        raise ValueError(f"overlap must be {model.radius} or more, the reach of the model. Received: {overlap}")
    if tile < 1:
        raise ValueError(f"tile must be 1 or more. Received: tile={tile}")

    low, high = value_range(pixels, model.metadata)
    height, width, channels = pixels.shape
    out = np.empty((height * model.scale, width * model.scale, channels), pixels.dtype)
    for tile_ in tiling.tiles(height, width, tile=tile, overlap=overlap):
        x = images.normalize(pixels[tile_.window], low, high)
        y = _enlarge(model, x)[tile_.inner(model.scale)]
        if not np.isfinite(y).all():
            raise ValueError(
                "The model gives NaN or infinite pixels. Its training diverged, or the intensities of the image, from "
                f"{pixels.min():g} to {pixels.max():g}, are extreme"
            )
        out[tile_.outer(model.scale)] = images.denormalize(y, low, high, pixels.dtype)
    return out[..., 0] if image.ndim == 2 else out


def value_range(image: np.ndarray, metadata: dict) -> tuple[np.ndarray, np.ndarray]:
    """Returns the values of each channel of an image (H, W, C) that a model sees as 0 and as 1."""
    if metadata["normalization"] == "range":
        return images.dtype_range(image)
    return images.percentiles(image, metadata["percentiles"])


def _enlarge(model: Upscaler, x: np.ndarray) -> np.ndarray:
    """Applies a model to one normalised image (H, W, C) by the channel rules of `upscale`."""
    channels = x.shape[-1]
    if model.channels == 1 and channels > 1:
        return np.moveaxis(model(np.moveaxis(x, -1, 0)[..., None])[..., 0], 0, -1)
    if model.channels == 3 and channels == 1:
        return model(np.repeat(x, 3, axis=-1)[None])[0].mean(axis=-1, keepdims=True)
    return model(x[None])[0]


def interpolation(name: str, scale: int, offset: float = 0.0) -> Upscaler:
    """Make a null model.

    Args:
        name: "nearest", "bicubic" (Keys, a = -0.5) or "lanczos" (3 lobes).
        scale: enlargement.
        offset: how far the samples of the LR pixels lie below and right of the centres of the blocks of scale x scale
            pixels that they become, in HR pixels (see `degradation.Degradation.offset`).
    """
    method, radius = _INTERPOLATIONS[name]

    def nearest(batch, axis):
        positions = (tf.range(scale * batch.shape[axis], dtype=tf.float32) + 0.5 - offset) / scale
        chosen = tf.clip_by_value(tf.cast(tf.floor(positions), tf.int32), 0, batch.shape[axis] - 1)
        return tf.gather(batch, chosen, axis=axis)

    def function(batch):
        size = tf.shape(batch)[1:3] * scale
        if not offset:
            return tf.image.resize(batch, size, method)
        if name == "nearest":
            return nearest(nearest(batch, 1), 2)
        # Beyond the outermost samples the image is continued by them; the operation itself would give 0 there.
        continued = tf.pad(batch, [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC")
        grid = {"size": size, "scale": [float(scale)] * 2, "translation": [float(offset - scale)] * 2}
        kernel = "keyscubic" if name == "bicubic" else method
        return tf.raw_ops.ScaleAndTranslate(images=continued, **grid, kernel_type=kernel, antialias=False)

    sizes = {"scale": scale, "channels": None, "receptive_radius": radius}
    return Upscaler(function, sizes | _defaults() | {"interpolation": name})


def _defaults() -> dict:
    normalization = {"normalization": "percentile", "percentiles": list(images.PERCENTILES)}
    return normalization | {"degradation": "bicubic", "training_hashes": [], "version": version("msrgan")}


def _check(metadata: dict, path: Path) -> None:
    wanted = {"scale": int, "channels": int, "receptive_radius": int, "percentiles": list, "degradation": str}
    for key, kind in (wanted | {"training_hashes": list}).items():
        if not isinstance(metadata.get(key), kind):
            raise ValueError(f"{path}: metadata need {key}, {kind.__name__}. Received: {metadata.get(key)!r}")
    if metadata.get("normalization") not in NORMALIZATIONS:
        raise ValueError(
            f"{path}: normalization is one of {NORMALIZATIONS}. Received: {metadata.get('normalization')!r}"
        )
