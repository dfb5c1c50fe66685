"""Whether the bytes of a picture file are whole: decoders fill what is missing with grey, without a word."""

import re
import struct
import zlib

PNG, JPEG, BMP, WEBP, GIF = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM", b"RIFF", b"GIF8"
MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])", re.DOTALL)  # not a stuffed byte, not a restart


def check(data: bytes) -> None:
    """Check a PNG, JPEG, BMP, WebP or GIF file from its first byte to the last of its first image.

    Raises:
        ValueError: it is another kind of file, ends early, or one of its checksums is wrong.
    """
    checks = ((PNG, _check_png), (JPEG, _check_jpeg), (BMP, _check_bmp), (WEBP, _check_webp), (GIF, _check_gif))
    for magic, check_format in checks:
        if data.startswith(magic):
            try:
                return check_format(data)
            except (struct.error, IndexError):
                raise ValueError("damaged or truncated") from None
    raise ValueError("damaged, truncated, or not a PNG, JPEG, BMP, WebP, GIF or TIFF file" if data else "empty file")


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
    while match := MARKER.search(data, position):
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
            end = MARKER.search(data, position)
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


def _check_webp(data: bytes) -> None:
    """Compare the length in the header with that of the file, and follow the chunks to the end."""
    size, kind = struct.unpack_from("<I4s", data, 4)
    position, end = 12, 8 + size
    if kind != b"WEBP" or end > len(data):
        raise ValueError("damaged or truncated WebP")
    chunks = set()
    while position + 8 <= end:
        chunk, length = struct.unpack_from("<4sI", data, position)
        chunks.add(chunk)
        position += 8 + length + length % 2
    if position > end + 1 or not chunks & {b"VP8 ", b"VP8L", b"ANMF"}:
        raise ValueError("damaged or truncated WebP")


def _check_gif(data: bytes) -> None:
    """Follow the blocks to the end of the first image."""
    flags = data[10]
    position = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    while data[position] == 0x21:  # an extension
        position = _end_of_blocks(data, position + 2)
    if data[position] != 0x2C:
        raise ValueError("damaged or truncated GIF")
    flags = data[position + 9]
    position += 11 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    _end_of_blocks(data, position)


def _end_of_blocks(data: bytes, position: int) -> int:
    """Return the place after a row of blocks, each with its length before it; the last one is empty."""
    while length := data[position]:
        position += 1 + length
    return position + 1
