import io as memory
import struct
import zlib

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from msrgan import io

NOISE = np.random.default_rng(5).integers(0, 256, (40, 37, 3), dtype=np.uint8)
PICTURE = cv2.GaussianBlur(NOISE, (5, 5), 1.5)
KINDS = {
    "png": ("PNG", "RGB", {}),
    "png grey": ("PNG", "L", {}),
    "png palette": ("PNG", "P", {}),
    "png bits": ("PNG", "1", {}),
    "jpeg": ("JPEG", "RGB", {}),
    "jpeg grey": ("JPEG", "L", {}),
    "jpeg progressive": ("JPEG", "RGB", {"progressive": True}),
    "jpeg restarts": ("JPEG", "RGB", {"restart_marker_rows": 1}),
    "bmp": ("BMP", "RGB", {}),
    "bmp grey": ("BMP", "L", {}),
    "bmp palette": ("BMP", "P", {}),
    "bmp bits": ("BMP", "1", {}),
}
TIFFS = [(codec, kind) for codec in (None, "lzw", "packbits", "deflate", "jpeg") for kind in ("rgb", "planes")]
TIFFS += [(codec, "rgb") for codec in ("jpeg2000", "jpegxl", "zstd", "webp", "lerc")]


def of(kind):
    """The bytes of the picture in a format of Pillow."""
    form, mode, options = KINDS[kind]
    file = memory.BytesIO()
    Image.fromarray(PICTURE).convert(mode).save(file, form, **options)
    return file.getvalue()


def tiff_of(codec, kind):
    file = memory.BytesIO()
    if kind == "rgb":
        tifffile.imwrite(file, PICTURE, photometric="rgb", compression=codec, rowsperstrip=16)
    else:
        planes = np.moveaxis(PICTURE, -1, 0)
        tifffile.imwrite(file, planes, photometric="minisblack", compression=codec, metadata={"axes": "CYX"})
    return file.getvalue()


def run_length_bmp(rows, ends=True):
    """A BMP of 8 bits in run lengths: each row is one run of its number."""
    runs = b"".join(bytes([10, row, 0, 0]) for row in range(rows))[:-2] + (b"\0\1" if ends else b"")
    palette = b"".join(bytes([i, i, i, 0]) for i in range(256))
    offset = 54 + len(palette)
    head = struct.pack("<2sIHHI", b"BM", offset + len(runs), 0, 0, offset)
    head += struct.pack("<IiiHHIIiiII", 40, 10, rows, 1, 8, 1, len(runs), 0, 0, 256, 0)
    return head + palette + runs


@pytest.mark.parametrize("kind", KINDS)
def test_a_truncated_file_is_an_error_or_has_its_pixels(kind):
    data = of(kind)
    whole = io.decode(data, "a.png")
    reference = np.atleast_3d(
        np.asarray(Image.open(memory.BytesIO(data)).convert("L" if whole.shape[2] == 1 else "RGB"))
    )
    assert np.abs(whole.astype(int) - reference).max() <= (3 if "jpeg" in kind else 0)
    for length in [len(data) * k // 10 for k in range(10)] + [len(data) - 1]:
        with pytest.raises(io.UnreadableImageError, match=r"a\.png: cannot be read as an image \(\w+"):
            io.decode(data[:length], "a.png")


def test_what_follows_an_image_does_not_matter():
    for kind in ("png", "jpeg", "bmp"):
        np.testing.assert_array_equal(io.decode(of(kind) + b"tail", "a"), io.decode(of(kind), "a"))


def test_a_jpeg_whose_scan_is_cut_before_its_end_is_an_error():
    data = bytearray(of("jpeg"))
    frame = data.index(b"\xff\xc0")
    assert struct.unpack_from(">HH", data, frame + 5) == (40, 37)
    struct.pack_into(">HH", data, frame + 5, 4000, 3700)  # 231,500 blocks in some 1,000 bytes
    with pytest.raises(io.UnreadableImageError, match="truncated JPEG"):
        io.decode(bytes(data), "a.jpg")
    scan = data.index(b"\xff\xda")
    with pytest.raises(io.UnreadableImageError, match="truncated JPEG"):
        io.decode(bytes(data[: scan + 14] + b"\xff\xd9"), "a.jpg")


def test_a_thumbnail_does_not_end_a_jpeg():
    thumbnail = of("jpeg grey")
    data = of("jpeg")
    app = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    np.testing.assert_array_equal(io.decode(data[:2] + app + data[2:], "a"), io.decode(data, "a"))
    with pytest.raises(io.UnreadableImageError, match="truncated JPEG"):
        io.decode(data[:2] + app + data[2 : len(data) * 2 // 3], "a")


@pytest.mark.parametrize("chunk", [b"IHDR", b"IDAT", b"IEND"])
def test_a_png_whose_checksum_is_wrong_is_an_error(chunk):
    data = bytearray(of("png"))
    place = data.index(chunk)
    (length,) = struct.unpack_from(">I", data, place - 4)
    assert zlib.crc32(data[place : place + 4 + length]) == struct.unpack_from(">I", data, place + 4 + length)[0]
    data[place + 4 + length] ^= 1
    with pytest.raises(io.UnreadableImageError, match=f"wrong checksum of {chunk.decode()}"):
        io.decode(bytes(data), "a.png")


def test_a_run_length_bmp_ends_with_its_mark():
    expected = np.repeat(np.arange(6, dtype=np.uint8)[::-1, None, None], 10, axis=1)
    np.testing.assert_array_equal(io.decode(run_length_bmp(6), "a.bmp"), expected)
    for data in (run_length_bmp(6, ends=False), run_length_bmp(6)[:-8]):
        with pytest.raises(io.UnreadableImageError, match="damaged or truncated BMP"):
            io.decode(data, "a.bmp")


def test_other_formats_are_told_by_their_first_bytes():
    file = memory.BytesIO()
    Image.fromarray(PICTURE).save(file, "PPM")
    for data, message in ((file.getvalue(), "not a PNG, JPEG, BMP, WebP, GIF or TIFF file"), (b"", "empty file")):
        with pytest.raises(io.UnreadableImageError, match=message):
            io.decode(data, "a.png")


def flips(data, rng, count):
    """Copies of a file with one to three bytes changed, in its head as often as elsewhere."""
    for _ in range(count):
        changed = bytearray(data)
        for _ in range(rng.integers(1, 4)):
            end = min(len(data), 300) if rng.random() < 0.5 else len(data)
            changed[rng.integers(0, end)] ^= rng.integers(1, 256)
        yield bytes(changed)


@pytest.mark.parametrize("kind", [*KINDS, *TIFFS], ids=str)
def test_changed_bytes_are_an_error_or_an_image(kind):
    data = of(kind) if isinstance(kind, str) else tiff_of(*kind)
    whole = io.decode(data, "a")
    rng = np.random.default_rng(len(data))
    for changed in flips(data, rng, 15):
        try:
            image = io.decode(changed, "a")
        except io.UnreadableImageError:
            continue
        assert image.ndim == 3
        assert image.dtype in (np.uint8, np.uint16, np.float32)
        if "png" in kind:  # all that the pixels need has a checksum
            np.testing.assert_array_equal(image, whole)


def test_changed_pixels_of_a_deflated_tiff_are_never_read():
    data = tiff_of("deflate", "rgb")
    with tifffile.TiffFile(memory.BytesIO(data)) as file:
        start, length = file.pages[0].dataoffsets[0], file.pages[0].databytecounts[0]
    for place in np.random.default_rng(0).integers(start, start + length, 60):
        changed = bytearray(data)
        changed[place] ^= 0x10
        with pytest.raises(io.UnreadableImageError):
            io.decode(bytes(changed), "a")
