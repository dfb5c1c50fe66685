"""What the header of a picture file claims: its size, and whether it is grey."""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np

from msrgan.io import integrity


class Header(NamedTuple):
    """Claims of a header.

    Attributes:
        format: a name of `formats.FORMATS`.
        height: rows.
        width: columns.
        is_grey: whether it says that the picture is grey, colours or not; else the decoder tells.
    """

    format: str
    height: int
    width: int
    is_grey: bool = False


def parse(data: bytes) -> Header:
    """Parse the header of a file that has passed `integrity.check`.

    Raises:
        ValueError: the header is damaged.
    """
    formats = {
        integrity.PNG: _png,
        integrity.JPEG: _jpeg,
        integrity.BMP: _bmp,
        integrity.WEBP: _webp,
        integrity.GIF: _gif,
    }
    try:
        return next(read(data) for magic, read in formats.items() if data.startswith(magic))
    except (struct.error, IndexError, StopIteration):
        raise ValueError("damaged or truncated") from None


def _png(data: bytes) -> Header:
    width, height, _, colour = struct.unpack_from(">IIBB", data, 16)
    grey = colour in (0, 4)
    if colour == 3:
        place = data.index(b"PLTE")
        (length,) = struct.unpack_from(">I", data, place - 4)
        grey = is_grey(data[place + 4 : place + 4 + length])
    return Header("png", height, width, grey)


def is_grey(table: bytes) -> bool:
    """Tell whether a palette, red, green and blue of each colour in turn, is of greys only."""
    colours = np.frombuffer(table, np.uint8, len(table) // 3 * 3).reshape(-1, 3)
    return bool((colours == colours[:, :1]).all())


def _jpeg(data: bytes) -> Header:
    position = 2
    while match := integrity.MARKER.search(data, position):
        marker, position = match[1][0], match.end()
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width, components = struct.unpack_from(">HHB", data, position + 3)
            return Header("jpeg", height, width, components == 1)
        if marker not in (0x01, 0xD8):
            position += struct.unpack_from(">H", data, position)[0]
    raise ValueError("damaged or truncated")


def _bmp(data: bytes) -> Header:
    old = struct.unpack_from("<I", data, 14)[0] == 12  # of OS/2
    width, height = struct.unpack_from("<HH" if old else "<ii", data, 18)
    return Header("bmp", abs(height), abs(width))


def _webp(data: bytes) -> Header:
    kind = data[12:16]
    if kind == b"VP8X":
        width, height = (1 + int.from_bytes(data[place : place + 3], "little") for place in (24, 27))
    elif kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    else:
        width, height = (size & 0x3FFF for size in struct.unpack_from("<HH", data, 26))
    return Header("webp", height, width)


def _gif(data: bytes) -> Header:
    width, height = struct.unpack_from("<HH", data, 6)
    return Header("gif", height, width)
