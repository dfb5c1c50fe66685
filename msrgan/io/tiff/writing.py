"""TIFF files from bands of pixels: OME-TIFF, ImageJ hyperstacks, and plain images."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from fractions import Fraction
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import tifffile

from msrgan.io import provenance
from msrgan.io.atomic import atomic
from msrgan.io.image import Band, Image
from msrgan.io.regroup import regroup
from msrgan.io.tiff import codecs, imagej, ome, pyramid

FORMATS = ("ome-tiff", "imagej", "tiff")
TILE = 256
_STRIP_BYTES = 1 << 18
_MICROMETRES_PER_CM = 10**4
_PLAIN_DTYPES = (*ome.TYPES, "float16")


class _Layout(NamedTuple):
    """How a plane is stored.

    Attributes:
        tile: its sides, or None for strips.
        strip: rows of a strip, or None for tiles.
        rows: taken at a time.
        levels: of the pyramid, below the full size.
    """

    tile: tuple[int, int] | None
    strip: int | None
    rows: int
    levels: int = 0


def write(
    path: str | PathLike,
    image: Image,
    bands: Iterable[Band],
    *,
    format: str,
    compression: str | None = None,
    pyramid: bool = False,
) -> None:
    """Write a TIFF, whole or not at all; memory holds some rows at a time.

    - "ome-tiff": planes in the order of `image.axes`, in tiles, or in strips where a plane is small.
    - "imagej": an uncompressed hyperstack, whose axes are in the order TZC.
    - "tiff": one plane, grey or RGB, in strips.

    Args:
        path: the file; folders are made as needed.
        image: what the file says; its pixels are not read.
        bands: the pixels, plane by plane in the order of `image.indices()`, from top to bottom, of full width.
        format: one of `FORMATS`.
        compression: None, or one of `codecs.COMPRESSIONS`, without loss.
        pyramid: an OME-TIFF gets smaller levels, each the mean of 2x2 pixels, as SubIFDs.

    Raises:
        ValueError: the format cannot hold the image, or the bands are not those of the image.
        OSError: the file cannot be written.
    """
    check(image, format, compression, pyramid=pyramid)
    layout = _layout(image, format, pyramid)
    arguments = _arguments(image, format)
    big = format != "imagej" and is_big(image, layout, compression, len(arguments["description"] or b""))
    form = {"bigtiff": big, "byteorder": "<", "ome": False, "imagej": format == "imagej", "shaped": False}
    # The file is closed here, not by tifffile, which keeps silent when the last bytes find no room.
    with (
        atomic(path) as temporary,
        open(temporary, "r+b") as file,
        tifffile.TiffWriter(file, **form) as writer,
    ):
        _write_levels(writer, file, temporary, image, bands, layout, compression, arguments)


def check(image: Image, format: str, compression: str | None = None, *, pyramid: bool = False) -> None:
    """Check that a format holds an image; see `write`.

    Raises:
        ValueError: it does not, or there is no such format or compression.
    """
    if format not in FORMATS:
        raise ValueError(f"`format` of a TIFF is one of {' '.join(FORMATS)}. Received: {format!r}")
    if compression not in (None, *codecs.COMPRESSIONS):
        raise ValueError(f"`compression` is None or one of {' '.join(codecs.COMPRESSIONS)}. Received: {compression!r}")
    if not image.nbytes:
        raise ValueError(f"An image has pixels. Received: {image.axes} {tuple(image.pixels.shape)}")
    for axis, size in image.pixel_size._asdict().items():
        if size is not None and not 0 < size < math.inf:
            raise ValueError(f"A pixel size is positive, or None. Received: {size} for {axis.upper()}")
    if pyramid and format != "ome-tiff":
        raise ValueError(f"`pyramid` is of OME-TIFF and OME-Zarr. Received: {format!r}")
    if format == "imagej":
        imagej.check(image)
        if compression:
            raise ValueError(f"An ImageJ file is not compressed. Received: {compression!r}. Write OME-TIFF")
        return
    dtypes = tuple(ome.TYPES) if format == "ome-tiff" else _PLAIN_DTYPES
    if image.dtype.name not in dtypes:
        raise ValueError(
            f"The format {format} holds {' '.join(dtypes)}. Received: {image.dtype}. "
            "Choose the `format` ome-zarr-0.4 (OME-Zarr)"
        )
    if format == "tiff" and len(image.indices()) > 1:
        raise ValueError(
            f"A plain TIFF holds one plane. Received: {image.axes} {tuple(image.pixels.shape)}. Write OME-TIFF"
        )


def _layout(image: Image, format: str, pyramid_too: bool) -> _Layout:
    height, width = image.sizes["Y"], image.sizes["X"]
    rows = max(1, min(height, _STRIP_BYTES // (image.nbytes // (len(image.indices()) * height))))
    if format == "imagej":  # reads no other strips than whole planes
        return _Layout(None, height, rows)
    if format == "tiff" or max(height, width) <= TILE:
        return _Layout(None, rows, rows)
    if pyramid_too:
        return _Layout((TILE, TILE), None, TILE, pyramid.level_count(height, width, TILE))
    tile = tuple(min(TILE, -(-side // 16) * 16) for side in (height, width))
    return _Layout(tile, None, tile[0])


def is_big(image: Image, layout: _Layout, compression: str | None, description: int) -> bool:
    """Tell whether a file may pass the 4 GiB of 32-bit offsets.

    Args:
        image: of the pixels.
        layout: of its planes.
        compression: see `write`. LZW makes of a byte 12 bits at worst.
        description: its length in bytes.
    """
    height, width = image.sizes["Y"], image.sizes["X"]
    rows, columns = layout.tile or (layout.rows, width)
    segments = math.ceil(height / rows) * math.ceil(width / columns)
    pixel = image.nbytes // (len(image.indices()) * height * width)
    plane = segments * (rows * columns * pixel * (1.5 if compression else 1) + 64) + 1024
    # The levels of a pyramid add a third, and part of a tile each.
    plane = plane * 4 / 3 + layout.levels * 4 * (rows * columns * pixel * 1.5 + 1024) if layout.levels else plane
    return plane * len(image.indices()) + description + 4096 > 1 << 32


def _arguments(image: Image, format: str) -> dict[str, Any]:
    """Return the arguments of tifffile's `write` for the first page of a plane: all but its pixels."""
    arguments = {
        "shape": tuple(image.pixels.shape),
        "photometric": "rgb" if image.is_rgb else "minisblack",
        "software": provenance.software(),
        "metadata": None,
        "description": None,
        **_resolution(image, 1 if format == "imagej" else _MICROMETRES_PER_CM),
    }
    match format:
        case "imagej":
            arguments |= {"shape": imagej.shape(image), "metadata": imagej.metadata(image)}
            arguments |= {"truncate": imagej.passes_4_gb(image)}
        case "ome-tiff":
            arguments |= {"description": ome.build(image)}
        case "tiff":
            texts = filter(None, (image.extra.get("description"), provenance.text(image)))
            # The standard says ASCII, everybody reads UTF-8.
            arguments |= {"description": "\n\n".join(texts).replace("\0", "").encode() or None}
    return arguments


def _resolution(image: Image, unit: int) -> dict[str, Any]:
    """Return pixels per unit of so many micrometres, as fractions of 32-bit numbers."""
    if image.pixel_size.x is None or image.pixel_size.y is None:
        return {}
    # The decimal number that is meant, not its binary neighbour: 0.1625 is 13/80.
    sizes = [Fraction(repr(float(size))) / unit for size in (image.pixel_size.x, image.pixel_size.y)]
    most = 2**32 - 1
    inverse = [1 / (1 / size).limit_denominator(most) if size > 1 else size.limit_denominator(most) for size in sizes]
    if not all(inverse):
        return {}
    return {
        "resolution": tuple((size.denominator, size.numerator) for size in inverse),
        "resolutionunit": "none" if unit == 1 else "centimeter",
    }


def _write_levels(
    writer: tifffile.TiffWriter,
    file: BinaryIO,
    path: Path,
    image: Image,
    bands: Iterable[Band],
    layout: _Layout,
    compression: str | None,
    arguments: dict[str, Any],
) -> None:
    common = {"tile": layout.tile, "rowsperstrip": layout.strip, **codecs.tags(compression, image.dtype)}
    encode = codecs.encoder(compression, image.dtype)
    for level in range(layout.levels + 1):
        if level:
            file.flush()
            image, bands = pyramid.halved(image, pyramid.stored(path, image, level - 1))
            arguments = {key: arguments[key] for key in ("photometric", "metadata")}
            arguments |= {"shape": image.pixels.shape, "subfiletype": 1, "software": False}
        elif layout.levels:
            arguments |= {"subifds": layout.levels}
        segments = _segments(image, bands, layout)
        data = codecs.encoded(segments, encode) if compression else map(encode, segments)
        writer.write(data, dtype=image.dtype.newbyteorder("<"), **common, **arguments)
        # tifffile takes as many segments as it needs; that there are no more bands is seen behind the last one.
        next(data, None)


def _segments(image: Image, bands: Iterable[Band], layout: _Layout) -> Iterator[np.ndarray]:
    """Yield the strips or tiles of all planes, from left to right and top to bottom; tiles are filled up with zeros."""
    for band in regroup(image, bands, layout.rows):
        if layout.tile is None:
            yield band.pixels
            continue
        height, width = layout.tile
        for left in range(0, band.pixels.shape[1], width):
            part = band.pixels[:, left : left + width]
            tile = np.zeros((height, width, *part.shape[2:]), part.dtype)
            tile[: len(part), : part.shape[1]] = part
            yield tile
