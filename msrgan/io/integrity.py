"""Whether the bytes of a PNG, JPEG or BMP file are whole: decoders fill what is missing with grey, without a word."""

import re
import struct
import zlib

PNG, JPEG, BMP = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM"
_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])", re.DOTALL)  # not a stuffed byte, not a restart


def check(data: bytes) -> None:
    """Check a PNG, JPEG or BMP file from its first byte to its last.

    Raises:
        ValueError: it is another kind of file, ends early, or one of its checksums is wrong.
    """
    for magic, check_format in ((PNG, _check_png), (JPEG, _check_jpeg), (BMP, _check_bmp)):
        if data.startswith(magic):
            try:
                return check_format(data)
            except struct.error:
                raise ValueError("damaged or truncated") from None
    raise ValueError("damaged, truncated, or not a PNG, JPEG, BMP or TIFF file" if data else "empty file")


def _check_png(data: bytes) -> None:
    """Follow the chunks to IEND; those that pixels need (first letter a capital) have the right checksums."""
    view, position, kind = memoryview(data), len(PNG), b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", view, position)
        (checksum,) = struct.unpack_from(">I", view, position + 8 + length)
        if kind[:1].isupper() and zlib.crc32(view[position + 4 : position + 8 + length]) != checksum:
            raise ValueError(f"damaged PNG: wrong checksum of {kind.decode('ascii', 'replace')}")
        position += 12 + length


def _check_jpeg(data: bytes) -> None:
    """Follow the markers to the end of the image; the scans have a bit or more for each block of 8x8 pixels."""
    position, scanned, blocks = 2, 0, 0
    while match := _MARKER.search(data, position):
        marker, position = match[1][0], match.end()
        if marker == 0xD9:  # end of image
            break
        if marker in (0x01, 0xD8):  # no segment follows
            continue
        (length,) = struct.unpack_from(">H", data, position)
        if 0xC0 <= marker <= 0xC3:  # frames of Huffman codes
            height, width = struct.unpack_from(">HH", data, position + 3)
            blocks = -(-height // 8) * -(-width // 8)
        position += length
        if marker == 0xDA:  # scan
            end = _MARKER.search(data, position)
            scanned += (end.start() if end else len(data)) - position
    if not match or not scanned or 8 * scanned < blocks:
        raise ValueError("truncated JPEG")


def _check_bmp(data: bytes) -> None:
    """Compare the pixels that the header promises with the length of the file."""
    offset, header = struct.unpack_from("<II", data, 10)
    if header == 12:  # OS/2
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        compression, size = 0, 0
    else:
        width, height, _, bits, compression, size = struct.unpack_from("<iiHHII", data, 18)
    pixels = abs(width * height)
    if compression in (1, 2):  # run lengths: 4 bytes skip 255x255 pixels or fewer, and two others end the image
        end = offset + size if size else len(data)
        whole = end <= len(data) and data[offset:end].endswith(b"\0\1") and pixels <= 255**2 * len(data)
    else:
        whole = offset + (abs(width) * bits + 31) // 32 * 4 * abs(height) <= len(data)
    if not whole or not pixels:
        raise ValueError("damaged or truncated BMP")
