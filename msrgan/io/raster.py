"""Pictures: PNG, JPEG, BMP, WebP and GIF; and what training takes from them and from TIFFs.

There an image is a numpy array (H, W, C), C >= 1, of dtype uint8, uint16 or float32, colours in the order RGB.
"""

from __future__ import annotations

import hashlib
import io
import os
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import tifffile
from PIL import GifImagePlugin

from msrgan.io import axes as _axes
from msrgan.io import headers, integrity, provenance, tiff
from msrgan.io.atomic import atomic
from msrgan.io.image import Image
from msrgan.io.source import Source, UnreadableImageError, check_level, check_size, reason

_DTYPES = {
    ".png": ("uint8", "uint16"),
    **dict.fromkeys((".jpg", ".jpeg", ".bmp"), ("uint8",)),
    **dict.fromkeys((".tif", ".tiff"), ("uint8", "uint16", "float32")),
}
SUFFIXES = (*_DTYPES, ".webp")
_BLOCK = 1 << 20


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
    return replace(_picture(_bytes(path), path, max_pixels), source=path)


def read_pixels(path: str | os.PathLike, *, axes: str | None = None) -> np.ndarray:
    """Read the pixels of an image file, (H, W, C), uint8, uint16 or float32; see `open_image`."""
    return open_image(path, axes=axes).pixels


def open_image(path: str | os.PathLike, *, axes: str | None = None) -> Source:
    """Read an image file (PNG, JPEG, BMP, WebP, GIF, TIFF) for training: (H, W, C) in one of three dtypes.

    Alpha is dropped, three equal colour planes become one channel, palettes are applied, 1-bit images become
    0 and 255, and wider integers become uint16 where their values allow it. The planes of a TIFF are channels when
    the file or `axes` say so; planes of Z or T are a stack.

    Args:
        path: the file.
        axes: what the dimensions of a TIFF of several planes are, in place of what it says itself: letters of C, Y, X,
            Z and T in the order in which they are stored, as "CYX". Other files need none.

    Returns:
        The image, whether it is RGB, and its pixel size.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: `axes` are none of an image.
        UnreadableImageError: the file is no image, is damaged or truncated, is a stack, does not say what its planes
            are, does not fit into memory, or has pixels that are NaN, infinite or wider than 16 bits.
    """
    path = Path(path)
    return _decode(_bytes(path), path, axes)


def decode(data: bytes, name: str | os.PathLike, *, axes: str | None = None) -> np.ndarray:
    """Decode the bytes of an image file like `read_pixels`; `name` stands in the error messages."""
    return _decode(data, name, axes).pixels


def _bytes(path: Path) -> bytes:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such image file")
    return path.read_bytes()


def _decode(data: bytes, name: str | os.PathLike, axes: str | None) -> Source:
    axes = None if axes is None else _axes.check(axes)
    is_tiff = data[:4] in tiff.MAGIC
    with tiff.decode(data, name, axes=axes) if is_tiff else _picture(data, name, None) as image:
        if set(image.stack) - {"C"} or (image.stack and image.is_rgb):
            raise UnreadableImageError(
                f"{name}: cannot be read as an image (an image has the axes Y, X and channels, this stack has "
                f"{image.axes} {tuple(image.pixels.shape)}. Save its planes as single files)"
            )
        try:
            pixels = image.pixels[(slice(None),) * len(image.axes)]
            pixels = _tidy(np.moveaxis(pixels, 0, -1) if image.stack else np.atleast_3d(pixels))
        except UnreadableImageError:
            raise
        except ValueError as error:
            raise UnreadableImageError(f"{name}: {error}") from None
        except MemoryError:
            shape = tuple(image.pixels.shape)
            raise UnreadableImageError(f"{name}: its {shape} pixels do not fit into memory") from None
    if image.is_rgb and _is_grey(pixels):
        return Source(np.ascontiguousarray(pixels[..., :1]), is_rgb=False, pixel_size=image.pixel_size.x)
    return Source(pixels, image.is_rgb, image.pixel_size.x)


def write_pixels(
    path: str | os.PathLike, image: np.ndarray, *, pixel_size: float | None = None, rgb: bool = True
) -> None:
    """Write an image, whole or not at all, in the format of the suffix and the dtype of the array.

    Args:
        path: the file; folders are made as needed.
        image: (H, W, C) or (H, W), uint8, uint16 or float32. JPEG and BMP hold uint8, PNG uint8 and uint16,
            each with 1 or 3 channels; TIFF holds everything.
        pixel_size: side of a pixel in micrometres, recorded in a TIFF.
        rgb: three channels are colours. Where they are not, a TIFF has one plane a channel; the other formats know
            nothing but colours.

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
            _encode_tiff(temporary, image, pixel_size=pixel_size, rgb=rgb)
        else:
            temporary.write_bytes(_encode_opencv(path, image))


def _encode_tiff(path: Path, image: np.ndarray, *, pixel_size: float | None, rgb: bool) -> None:
    """Write an image (H, W, C): RGB if it is so and has three channels, else one plane a channel, as ImageJ does."""
    if rgb and image.shape[2] == 3:
        size = {} if pixel_size is None else {"resolution": (1e4 / pixel_size,) * 2, "resolutionunit": 3}
        tifffile.imwrite(path, image, photometric="rgb", metadata=None, software=provenance.software(), **size)
    else:
        # ImageJ's dialect keeps channels apart from other planes, and micrometres as micrometres.
        size = {} if pixel_size is None else {"resolution": (1 / pixel_size,) * 2}
        metadata = {"axes": "CYX"} | ({} if pixel_size is None else {"unit": "um"})
        planes = np.moveaxis(image, -1, 0)
        tifffile.imwrite(path, planes, imagej=True, photometric="minisblack", metadata=metadata, **size)


def _encode_opencv(path: Path, image: np.ndarray) -> memoryview:
    suffix = path.suffix.lower()
    options = [cv2.IMWRITE_JPEG_QUALITY, 95] if suffix in (".jpg", ".jpeg") else []
    try:
        done, encoded = cv2.imencode(suffix, image[..., ::-1] if image.shape[2] == 3 else image, options)
    except cv2.error:  # a JPEG has 65500 pixels a side at most
        done = False
    if not done:
        raise ValueError(f"{path}: this format holds no image of shape {image.shape}. Use .tif")
    return encoded.data


def _picture(data: bytes, name: object, max_pixels: int | None) -> Image:
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
