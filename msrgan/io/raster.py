"""Image files: reading and writing.

An image is a numpy array (H, W, C), C >= 1, of dtype uint8, uint16 or float32, colours in the order RGB.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import cv2
import numpy as np

from msrgan.io import tiff
from msrgan.io.atomic import atomic
from msrgan.io.tiff import read_pixel_size as read_pixel_size

_DTYPES = {
    ".png": ("uint8", "uint16"),
    **dict.fromkeys((".jpg", ".jpeg", ".bmp"), ("uint8",)),
    **dict.fromkeys((".tif", ".tiff"), ("uint8", "uint16", "float32")),
}
SUFFIXES = tuple(_DTYPES)


class UnreadableImageError(ValueError):
    """A file that no image comes out of: damaged, truncated, a stack, NaN pixels; a set can be used without it."""


def read(path: str | os.PathLike) -> np.ndarray:
    """Reads an image file (PNG, JPEG, BMP, TIFF) as stored: no rotation, no rescaling of its values.

    Alpha is dropped, three equal colour planes become one channel, palettes are applied, 1-bit images become
    0 and 255, and wider integers become uint16 where their values allow it. The pages or planes of a TIFF are
    channels when the file says so or when there are at most four of them and they are not called Z or T.

    Args:
        path: the file.

    Returns:
        The image, (H, W, C), uint8, uint16 or float32.

    Raises:
        FileNotFoundError: there is no such file.
        UnreadableImageError: the file is no image, is truncated, is a stack, or has pixels that are NaN, infinite or
            wider than 16 bits.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such image file")
    return decode(path.read_bytes(), path)


def decode(data: bytes, name: str | os.PathLike) -> np.ndarray:
    """Decodes the bytes of an image file like `read`; `name` stands in the error messages."""
    try:
        image = tiff.decode(data, fallback=_decode_opencv) if data[:4] in tiff.MAGIC else _decode_opencv(data)
    except Exception as error:  # the decoders raise anything from struct.error to IndexError on damaged files
        raise UnreadableImageError(f"{name}: cannot be read as an image ({_reason(error)})") from error
    try:
        return _tidy(image)
    except ValueError as error:
        raise UnreadableImageError(f"{name}: {error}") from None


def write(path: str | os.PathLike, image: np.ndarray, *, pixel_size: float | None = None) -> None:
    """Writes an image, whole or not at all, in the format of the suffix and the dtype of the array.

    Args:
        path: the file; folders are made as needed.
        image: (H, W, C) or (H, W), uint8, uint16 or float32. JPEG and BMP hold uint8, PNG uint8 and uint16,
            each with 1 or 3 channels; TIFF holds everything.
        pixel_size: side of a pixel in micrometres, recorded in a TIFF.

    Raises:
        ValueError: the format cannot hold the image.
    """
    path, image = Path(path), np.atleast_3d(image)
    suffix = path.suffix.lower()
    if suffix not in _DTYPES:
        raise ValueError(f"Images are written as {' '.join(_DTYPES)}. Received: {path}")
    is_tiff = suffix in (".tif", ".tiff")
    if image.dtype.name not in _DTYPES[suffix] or not (is_tiff or image.shape[2] in (1, 3)):
        raise ValueError(f"{path}: this format holds no {image.dtype} image of shape {image.shape}. Use .tif")
    with atomic(path) as temporary:
        if is_tiff:
            tiff.encode(temporary, image, pixel_size=pixel_size)
        else:
            options = [cv2.IMWRITE_JPEG_QUALITY, 95] if suffix in (".jpg", ".jpeg") else []
            _, encoded = cv2.imencode(suffix, image[..., ::-1] if image.shape[2] == 3 else image, options)
            temporary.write_bytes(encoded.tobytes())


def _decode_opencv(data: bytes) -> np.ndarray:
    # OpenCV 4 fills the missing part of a truncated JPEG with grey and calls that a success.
    if data.startswith(b"\xff\xd8") and data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda"):
        raise ValueError("truncated JPEG")
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if data else None
    if image is None:
        raise ValueError("damaged, truncated, or not a PNG, JPEG, BMP or TIFF file" if data else "empty file")
    image = np.atleast_3d(image)
    return image[..., 2::-1] if image.shape[2] >= 3 else image


def _tidy(image: np.ndarray) -> np.ndarray:
    """Brings decoded pixels to one of the three dtypes, and three equal planes to one."""
    if image.size == 0:
        raise ValueError("holds no pixels")
    if image.dtype == bool:
        image = image.astype(np.uint8) * np.uint8(255)
    elif image.dtype.kind == "f":
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
    if image.shape[2] == 3 and (image[..., :1] == image[..., 1:]).all():
        image = image[..., :1]
    return np.ascontiguousarray(image, image.dtype.newbyteorder("="))


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) if isinstance(error, ValueError) else "damaged or truncated"


def content_hash(image: np.ndarray) -> str:
    """Returns the SHA-256 (hex) of dtype, shape and pixels; the file format plays no part."""
    digest = hashlib.sha256(f"{image.dtype.name}{image.shape}".encode())
    digest.update(np.ascontiguousarray(image))
    return digest.hexdigest()
