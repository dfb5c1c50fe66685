"""Reading pictures: PNG, JPEG, BMP, WebP and GIF."""

from __future__ import annotations

import io
import os
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from PIL import GifImagePlugin

from msrgan.io import axes as _axes
from msrgan.io import headers, integrity
from msrgan.io.image import Image
from msrgan.io.source import UnreadableImageError, check_level, check_size, reason


def read(path: str | os.PathLike, *, axes: str | None = None, level: int = 0, max_pixels: int | None = None) -> Image:
    """Read a PNG, JPEG, BMP or WebP file, or the first image of a GIF, as stored: no rotation, no rescaling.

    Alpha is dropped, palettes are applied, bits become 0 and 255. The header says whether an image is grey or RGB.

    Args:
        path: the file.
        axes: not needed; checked all the same.
        level: 0, these files have no pyramid.
        max_pixels: the most pixels that its header may claim.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: `axes` are none of an image, or there is no such `level`.
        UnreadableImageError: the file is no such image, damaged, truncated or too large.
    """
    path = Path(path)
    if axes is not None:
        _axes.check(axes)
    check_level(level, 1, path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such image file")
    return replace(decode(path.read_bytes(), path, max_pixels=max_pixels), source=path)


def decode(data: bytes, name: object, *, max_pixels: int | None = None) -> Image:
    """Read a picture from its bytes like `read`; `name` stands in the error messages."""
    try:
        integrity.check(data)
        head = headers.parse(data)
        check_size((head.height, head.width), max_pixels, name)
        pixels = _decode_gif(data) if head.format == "gif" else _decode_opencv(data)
        if pixels.ndim == 3 and head.is_grey:
            pixels = np.ascontiguousarray(pixels[..., 0])
        if pixels.size == 0:
            raise ValueError("holds no pixels")
    except UnreadableImageError:
        raise
    except Exception as error:  # the decoders raise anything from struct.error to IndexError on damaged files
        raise UnreadableImageError(f"{name}: cannot be read as an image ({reason(error)})") from error
    return Image(pixels, "YXS" if pixels.ndim == 3 else "YX", format=head.format, levels=(pixels.shape[:2],))


def _decode_opencv(data: bytes) -> np.ndarray:
    """Return (H, W) or (H, W, 3)."""
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise MemoryError if error.code == cv2.Error.StsNoMem else ValueError("damaged or truncated") from error
    if image is None:
        raise ValueError("damaged or truncated")
    return np.ascontiguousarray(image[..., 2::-1]) if image.ndim == 3 else image


def _decode_gif(data: bytes) -> np.ndarray:
    """Return the first image, (H, W) where its palette is of greys, else (H, W, 3)."""
    with GifImagePlugin.GifImageFile(io.BytesIO(data)) as image:
        image.load()
        is_grey = image.mode == "L" or headers.is_grey(bytes(image.getpalette("RGB") or ()))
        return np.asarray(image.convert("L" if is_grey else "RGB"))
