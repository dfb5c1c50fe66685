"""Enlarge an image that lies in memory, tile by tile."""

import numbers
import os

import numpy as np

from msrgan.intensity import to_channels
from msrgan.models import Upscaler, load
from msrgan.upscaling import tiling


def upscale(
    model: Upscaler | str | os.PathLike, image: np.ndarray, *, tile: int = 256, overlap: int | None = None
) -> np.ndarray:
    """Enlarge an image of any size, tile by tile.

    Intensities are normalised by the limits of the whole image (`intensity.Normalization`), and the result is brought
    back to the units and the dtype of the image: integers are rounded and clipped, floats are neither.

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

    Example:
        >>> import msrgan, numpy as np
        >>> image = np.full((16, 20), 700, np.uint16)
        >>> msrgan.upscale("bicubic", image).shape
        (64, 80)
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
        to_channels(pixels, model.channels)  # tells what is wrong before any work
    overlap = model.radius if overlap is None else overlap
    if not _is_whole_number(overlap) or overlap < model.radius:
        raise ValueError(f"overlap must be {model.radius} or more, the reach of the model. Received: {overlap}")
    if not _is_whole_number(tile) or tile < 1:
        raise ValueError(f"tile must be a whole number of 1 or more. Received: tile={tile}")

    limits = model.normalization.limits(pixels)
    height, width, channels = pixels.shape
    out = np.empty((height * model.scale, width * model.scale, channels), pixels.dtype)
    for tile_ in tiling.tiles(height, width, tile=tile, overlap=overlap):
        x = limits.normalize(pixels[tile_.window])
        y = _enlarge(model, x)[tile_.inner(model.scale)]
        if not np.isfinite(y).all():
            raise ValueError(
                "The model gives NaN or infinite pixels. Its training diverged, or the intensities of the image, from "
                f"{pixels.min():g} to {pixels.max():g}, are extreme"
            )
        out[tile_.outer(model.scale)] = limits.denormalize(y, pixels.dtype)
    return out[..., 0] if image.ndim == 2 else out


def _is_whole_number(value: object) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _enlarge(model: Upscaler, x: np.ndarray) -> np.ndarray:
    """Apply a model to one normalised image (H, W, C) by the channel rules of `upscale`."""
    channels = x.shape[-1]
    if model.channels == 1 and channels > 1:
        return np.moveaxis(model(np.moveaxis(x, -1, 0)[..., None])[..., 0], 0, -1)
    if model.channels == 3 and channels == 1:
        return model(np.repeat(x, 3, axis=-1)[None])[0].mean(axis=-1, keepdims=True)
    return model(x[None])[0]
