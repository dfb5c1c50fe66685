"""Pixels as training and evaluation take them: an array (H, W, C), C >= 1, of uint8, uint16 or float32, colours RGB."""

from __future__ import annotations

import hashlib
import os

import numpy as np

from msrgan.io import axes as _axes
from msrgan.io import formats, frames, raster, tiff
from msrgan.io.image import Image
from msrgan.io.source import UnreadableImageError

_BLOCK = 1 << 20


def read_pixels(path: str | os.PathLike, *, axes: str | None = None, frame: str = "") -> np.ndarray:
    """Read the pixels of an image file of any format of `formats.read`, or of one frame of a stack.

    Alpha is dropped, three equal colour planes become one channel, palettes are applied, 1-bit images become
    0 and 255, and wider integers become uint16 where their values allow it. Planes are channels when the file or `axes`
    say so; planes of Z or T are a stack.

    Args:
        path: the file.
        axes: what the dimensions of a TIFF of several planes are, in place of what it says itself: letters of C, Y, X,
            Z and T in the order in which they are stored, as "CYX". Most other files need none.
        frame: of a stack, one of `frames.names`, as "T3 Z0"; nothing else of the stack is read.

    Returns:
        The pixels, (H, W, C), uint8, uint16 or float32.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: `axes` are none of an image.
        UnreadableImageError: the file is no image, is damaged or truncated, is a stack and has no such `frame`, does
            not say what its planes are, does not fit into memory, or has pixels that are NaN, infinite or wider than 16
            bits.
    """
    with formats.read(path, axes=axes) as image:
        return pixels_of(image, path, frame)


def decode(data: bytes, name: str | os.PathLike, *, axes: str | None = None) -> np.ndarray:
    """Decode the bytes of a picture or a TIFF like `read_pixels`; `name` stands in the error messages."""
    axes = None if axes is None else _axes.check(axes)
    with tiff.decode(data, name, axes=axes) if data[:4] in tiff.MAGIC else raster.decode(data, name) as image:
        return pixels_of(image, name)


def pixels_of(image: Image, name: str | os.PathLike, frame: str = "") -> np.ndarray:
    """Read an open image, or one frame of it, like `read_pixels`; `name` stands in the error messages."""
    shape = tuple(image.pixels.shape)
    if not frame and len(frames.names(image)) > 1:
        raise UnreadableImageError(
            f"{name}: cannot be read as an image (an image has the axes Y, X and channels, this stack has "
            f"{image.axes} {shape}. Take one of its planes)"
        )
    try:
        pixels = _tidy(frames.read(image, frame))
    except UnreadableImageError:
        raise
    except ValueError as error:
        raise UnreadableImageError(f"{frames.titled(name, frame)}: {error}") from None
    except MemoryError:
        raise UnreadableImageError(f"{name}: its {shape} pixels do not fit into memory") from None
    return np.ascontiguousarray(pixels[..., :1]) if image.is_rgb and _is_grey(pixels) else pixels


def write_pixels(path: str | os.PathLike, image: np.ndarray) -> None:
    """Write an image, whole or not at all, in the format of the suffix and the dtype of the array.

    Args:
        path: the file; folders are made as needed.
        image: (H, W, C) or (H, W), uint8, uint16 or float32. Three channels are red, green and blue; others are planes.

    Raises:
        ValueError: the format cannot hold the image, or is none that is written.
    """
    image = np.atleast_3d(image)
    if image.shape[2] == 3:
        stored = Image(image, "YXS")
    elif image.shape[2] == 1:
        stored = Image(image[..., 0], "YX")
    else:
        stored = Image(np.moveaxis(image, -1, 0), "CYX")
    try:
        formats.write(path, stored)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def tidy_dtype(stored: np.dtype) -> np.dtype:
    """Return which of the three dtypes pixels of another have when they are read."""
    if stored.kind == "f":
        return np.dtype(np.float32)
    return np.dtype(np.uint8 if stored == np.uint8 else np.uint16)


def _tidy(image: np.ndarray) -> np.ndarray:
    """Bring decoded pixels to one of the three dtypes."""
    if image.dtype.kind == "f":
        with np.errstate(over="ignore"):
            image = image.astype(np.float32)
        bad = int(np.count_nonzero(~np.isfinite(image)))
        if bad:
            raise ValueError(f"pixels must be finite. Received: {bad} NaN or infinite ones. Replace them first")
    elif image.dtype.kind in "iu" and image.dtype not in (np.uint8, np.uint16):
        if image.min() < 0 or image.max() > 65535:
            raise ValueError(
                f"{image.dtype} pixels from {image.min()} to {image.max()} do not fit 16 bits. "
                "Save the image as uint16 or float32"
            )
        image = image.astype(np.uint16)
    elif image.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"pixels are integers or floats. Received: {image.dtype}")
    return np.ascontiguousarray(image, image.dtype.newbyteorder("="))


def _is_grey(image: np.ndarray) -> bool:
    """Tell whether three planes are equal, in blocks of rows: a mask of a whole slide would take its memory again."""
    rows = max(1, _BLOCK // image.shape[1])
    blocks = (image[top : top + rows] for top in range(0, len(image), rows))
    return all(bool((block[..., :1] == block[..., 1:]).all()) for block in blocks)


def content_hash(image: np.ndarray) -> str:
    """Return the SHA-256 (hex) of dtype, shape and pixels; the file format plays no part."""
    digest = hashlib.sha256(f"{image.dtype.name}{image.shape}".encode())
    digest.update(np.ascontiguousarray(image))
    return digest.hexdigest()
