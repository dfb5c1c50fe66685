"""PNG, JPEG and .npy files from bands of pixels."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from os import PathLike
from pathlib import Path

import cv2
import numpy as np

from msrgan.io import provenance
from msrgan.io.atomic import atomic
from msrgan.io.image import BAND_BYTES, Band, Image
from msrgan.io.regroup import regroup

_DTYPES = {"png": ("uint8", "uint16"), "jpeg": ("uint8",)}
FORMATS = (*_DTYPES, "npy")
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _RGB = 0, 2
_UP = 2
# A side of 31 bits is the standard's limit.
_PNG_SIDE, _JPEG_SIDE = 2**31 - 1, 65500
_JPEG_QUALITY = 95
_COMMENT_BYTES = 65533


def write(path: str | PathLike, image: Image, bands: Iterable[Band], *, format: str) -> None:
    """Write one plane as PNG or JPEG, or an array as .npy, whole or not at all.

    PNG and .npy are written as the bands come; a JPEG's plane is held in memory. PNG carries the pixel size (pHYs) and
    the provenance (tEXt), JPEG the provenance (comment), .npy neither.

    Args:
        path: the file; folders are made as needed.
        image: what the file says; its pixels are not read.
        bands: the pixels, plane by plane in the order of `image.indices()`, from top to bottom, of full width.
        format: one of `FORMATS`.

    Raises:
        ValueError: the format cannot hold the image, or the bands are not those of the image.
        OSError: the file cannot be written.
    """
    check(image, format)
    with atomic(path) as temporary:
        if format == "npy":
            return _write_npy(temporary, image, bands)
        with open(temporary, "wb") as file:
            for part in (_png if format == "png" else _jpeg)(image, bands):
                file.write(part)


def check(image: Image, format: str) -> None:
    """Check that a format holds an image.

    Raises:
        ValueError: it does not.
    """
    if format not in FORMATS:
        raise ValueError(f"`format` is one of {' '.join(FORMATS)}. Received: {format!r}")
    if not image.nbytes:
        raise ValueError(f"An image has pixels. Received: {image.axes} {tuple(image.pixels.shape)}")
    if format == "npy":
        return
    name = format.upper()
    if image.dtype.name not in _DTYPES[format]:
        raise ValueError(
            f"{name} holds pixels of {' or '.join(_DTYPES[format])}. Received: {image.dtype}. Write TIFF or .npy"
        )
    if len(image.indices()) > 1:
        raise ValueError(f"{name} holds one plane. Received: {image.axes} {tuple(image.pixels.shape)}. Write OME-TIFF")
    side, most = max(image.sizes["Y"], image.sizes["X"]), _PNG_SIDE if format == "png" else _JPEG_SIDE
    if side > most:
        raise ValueError(f"{name} has at most {most} pixels a side. Received: {side}. Write OME-TIFF")


def _png(image: Image, bands: Iterable[Band]) -> Iterator[bytes]:
    """Yield the parts of a PNG file (ISO/IEC 15948)."""
    sizes, colour = image.sizes, _RGB if image.is_rgb else _GREY
    yield _SIGNATURE
    header = struct.pack(">IIBBBBB", sizes["X"], sizes["Y"], 8 * image.dtype.itemsize, colour, 0, 0, 0)
    yield _chunk(b"IHDR", header)
    yield _density(image)
    for key, value in (provenance.items(image) or {"Software": provenance.software()}).items():
        yield _text(key, value)
    packer = zlib.compressobj(level=4)
    above = None
    for band in regroup(image, bands, _band_height(image)):
        rows = np.ascontiguousarray(band.pixels, image.dtype.newbyteorder(">")).view(np.uint8)
        rows = rows.reshape(len(band.pixels), -1)
        above = np.zeros_like(rows[:1]) if above is None else above
        # Each row as its type of filter and the differences to the row above it.
        filtered = np.full((len(rows), 1 + rows.shape[1]), _UP, np.uint8)
        filtered[:, 1:] = rows - np.concatenate([above, rows[:-1]])
        above = rows[-1:]
        packed = packer.compress(filtered)
        if packed:
            yield _chunk(b"IDAT", packed)
    yield _chunk(b"IDAT", packer.flush())
    yield _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))


def _density(image: Image) -> bytes:
    """Return the chunk of pixels a metre, nothing where it cannot tell the pixel size to a millionth."""
    sizes = (image.pixel_size.x, image.pixel_size.y)
    if not all(sizes):
        return b""
    densities = [1e6 / size for size in sizes]
    if any(density >= 2**31 or abs(round(density) - density) > 1e-6 * density for density in densities):
        return b""
    return _chunk(b"pHYs", struct.pack(">IIB", *map(round, densities), 1))


def _text(key: str, value: str) -> bytes:
    """Return a chunk with a text: tEXt where Latin-1 holds it, else iTXt."""
    keyword = key.encode("latin-1", "replace").replace(b"\0", b"")[:79]
    value = value.replace("\0", "")
    try:
        return _chunk(b"tEXt", keyword + b"\0" + value.encode("latin-1"))
    except UnicodeEncodeError:
        return _chunk(b"iTXt", keyword + b"\0\0\0\0\0" + value.encode())


def _jpeg(image: Image, bands: Iterable[Band]) -> Iterator[bytes]:
    """Yield the parts of a JPEG file (ITU-T T.81)."""
    (band,) = regroup(image, bands, image.sizes["Y"])
    pixels = band.pixels[..., ::-1] if image.is_rgb else band.pixels
    done, encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if not done:
        raise ValueError(f"No JPEG can be made of {pixels.shape}. Write OME-TIFF")
    data = encoded.tobytes()
    # Behind the start of the image and its first segment, that of JFIF.
    start = 4 + int.from_bytes(data[4:6], "big")
    yield data[:start]
    comment = provenance.text(image).encode()[:_COMMENT_BYTES]
    if comment:
        yield b"\xff\xfe" + struct.pack(">H", 2 + len(comment)) + comment
    yield data[start:]


def _write_npy(path: Path, image: Image, bands: Iterable[Band]) -> None:
    """Write an array whose axes have the order of the .npy file that the image came from, if it came from one."""
    sizes = image.sizes
    axes = image.extra.get("axes", image.axes)
    if not set(sizes) <= set(axes):
        axes = image.axes
    array = np.lib.format.open_memmap(
        path, "w+", image.dtype.newbyteorder("<"), tuple(sizes.get(axis, 1) for axis in axes)
    )
    # A full disk is an error here; later, in a page of the array, it would end the process. (macOS has no such call.)
    if hasattr(os, "posix_fallocate"):
        with open(path, "r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    alone = [axis for axis in axes if axis not in sizes]
    planes = array.transpose([axes.index(axis) for axis in (*alone, *image.axes)])[(0,) * len(alone)]
    for band in regroup(image, bands, _band_height(image)):
        planes[(*band.index, slice(band.top, band.top + len(band.pixels)))] = band.pixels
    array.flush()


def _band_height(image: Image) -> int:
    row = image.nbytes // (len(image.indices()) * image.sizes["Y"])
    return max(1, BAND_BYTES // row)
