import hashlib

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from msrgan import io


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def pixels(rng, dtype, channels=3):
    top = {"uint8": 256, "uint16": 65536, "float32": 1}[dtype]
    return (rng.random((20, 31, channels)) * top).astype(dtype)


@pytest.mark.parametrize(
    ("name", "dtype", "channels"),
    [("a.png", "uint8", 1), ("a.png", "uint8", 3), ("a.png", "uint16", 1), ("a.png", "uint16", 3)]
    + [("a.tif", dtype, channels) for dtype in ("uint8", "uint16", "float32") for channels in (1, 2, 3, 4, 5)],
)
def test_written_image_is_read_back(tmp_path, rng, name, dtype, channels):
    image = pixels(rng, dtype, channels)
    io.write_pixels(tmp_path / "new" / name, image)
    back = io.read_pixels(tmp_path / "new" / name)
    assert back.dtype == image.dtype
    np.testing.assert_array_equal(back, image)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_bmp_of_another_program_is_read(tmp_path, rng, channels):
    image = pixels(rng, "uint8", channels)
    Image.fromarray(image.squeeze()).save(tmp_path / "a.bmp")
    np.testing.assert_array_equal(io.read_pixels(tmp_path / "a.bmp"), image)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bit_files_are_read_by_pillow(tmp_path, rng, suffix):
    image = pixels(rng, "uint16", 1)
    io.write_pixels(tmp_path / f"a{suffix}", image)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / f"a{suffix}")), image[..., 0])


def test_colours_are_rgb(tmp_path):
    red = np.zeros((4, 5, 3), np.uint8)
    red[..., 0] = 200
    for name in ("a.png", "a.tif"):
        io.write_pixels(tmp_path / name, red)
        assert Image.open(tmp_path / name).getpixel((0, 0)) == (200, 0, 0)
    for name in ("b.png", "b.bmp"):
        Image.fromarray(red).save(tmp_path / name)
        assert io.read_pixels(tmp_path / name)[0, 0].tolist() == [200, 0, 0]
    io.write_pixels(tmp_path / "a.jpg", red)
    np.testing.assert_allclose(Image.open(tmp_path / "a.jpg").getpixel((2, 2)), (200, 0, 0), atol=3)


def test_jpeg_stays_close(tmp_path):
    ramp = np.tile(np.arange(64, dtype=np.uint8)[None, :, None] * 4, (48, 1, 1))
    io.write_pixels(tmp_path / "a.jpg", ramp)
    back = io.read_pixels(tmp_path / "a.jpg")
    assert back.shape == ramp.shape
    assert np.abs(back.astype(int) - ramp).max() <= 4


@pytest.mark.parametrize(
    ("name", "dtype", "channels"),
    [("a.jpg", "uint16", 1), ("a.bmp", "uint16", 1), ("a.png", "float32", 1), ("a.png", "uint8", 2)]
    + [("a.png", "uint8", 4), ("a.gif", "uint8", 1), ("a.tif", "int64", 1)],
)
def test_a_format_that_cannot_hold_the_image_is_an_error(tmp_path, name, dtype, channels):
    with pytest.raises(ValueError, match=rf"{name}: \w+ .* Received: "):
        io.write_pixels(tmp_path / name, np.zeros((8, 8, channels), dtype))
    assert not list(tmp_path.iterdir())


def test_alpha_and_equal_planes_are_dropped(tmp_path, rng):
    colour, grey = pixels(rng, "uint8"), pixels(rng, "uint8", 1)
    alpha = np.full_like(grey, 7)
    Image.fromarray(np.dstack([colour, alpha])).save(tmp_path / "rgba.png")
    Image.fromarray(np.dstack([colour, alpha])).save(tmp_path / "rgba.tif")
    Image.fromarray(np.dstack([grey, alpha])).save(tmp_path / "la.png")
    Image.fromarray(np.dstack([grey] * 3)).save(tmp_path / "equal.png")
    for name in ("rgba.png", "rgba.tif"):
        np.testing.assert_array_equal(io.read_pixels(tmp_path / name), colour)
    for name in ("la.png", "equal.png"):
        np.testing.assert_array_equal(io.read_pixels(tmp_path / name), grey)


def test_palettes_are_applied_and_bits_become_black_and_white(tmp_path):
    indexed = Image.new("P", (6, 5))
    indexed.putpalette([255, 0, 0, 10, 20, 30])
    indexed.putpixel((2, 1), 1)
    bits = Image.new("1", (9, 5), 1)
    bits.putpixel((2, 1), 0)
    for suffix in ("png", "tif"):
        indexed.save(tmp_path / f"p.{suffix}")
        colour = io.read_pixels(tmp_path / f"p.{suffix}")
        assert colour[0, 0].tolist() == [255, 0, 0]
        assert colour[1, 2].tolist() == [10, 20, 30]
        bits.save(tmp_path / f"b.{suffix}")
        black = io.read_pixels(tmp_path / f"b.{suffix}")
        assert (black.dtype, black.shape, black[0, 0, 0], black[1, 2, 0]) == (np.uint8, (5, 9, 1), 255, 0)


def test_exif_rotation_is_ignored(tmp_path):
    exif = Image.Exif()
    exif[0x112] = 6
    Image.new("L", (40, 20)).save(tmp_path / "a.jpg", exif=exif)
    assert io.read_pixels(tmp_path / "a.jpg").shape == (20, 40, 1)


@pytest.mark.parametrize("dtype", ["int16", "int32", "uint32", "int64"])
def test_wide_integers_become_uint16_where_they_fit(tmp_path, dtype):
    tifffile.imwrite(tmp_path / "a.tif", np.array([[0, 4095]], dtype))
    image = io.read_pixels(tmp_path / "a.tif")
    assert (image.dtype, image.ravel().tolist()) == (np.uint16, [0, 4095])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array([[1, -3]], np.int16), "do not fit 16 bits"),
        (np.array([[1, 70000]], np.uint32), "do not fit 16 bits"),
        (np.array([[1, 65536]], np.int32), "from 1 to 65536 do not fit 16 bits"),
        (np.array([[1, np.nan]], np.float32), "must be finite. Received: 1 NaN"),
        (np.array([[np.inf, np.nan]], np.float64), "must be finite. Received: 2 NaN"),
    ],
)
def test_pixels_that_cannot_be_used_are_an_error(tmp_path, values, message):
    tifffile.imwrite(tmp_path / "a.tif", values)
    with pytest.raises(io.UnreadableImageError, match=rf"a\.tif.*{message}"):
        io.read_pixels(tmp_path / "a.tif")


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.bmp", "a.tif"])
@pytest.mark.parametrize("damage", ["truncated", "empty", "text"])
def test_unreadable_files_are_named(tmp_path, rng, name, damage):
    Image.fromarray(pixels(rng, "uint8")).save(tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes({"truncated": whole[: len(whole) * 2 // 3], "empty": b"", "text": b"hello"}[damage])
    with pytest.raises(io.UnreadableImageError, match=rf"{name}: cannot be read as an image \(\w+"):
        io.read_pixels(tmp_path / name)


def test_a_missing_file_is_not_found(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing.png"):
        io.read_pixels(tmp_path / "nothing.png")


def test_content_hash_is_of_dtype_shape_and_pixels():
    image = np.arange(12, dtype=np.uint8).reshape(2, 3, 2)
    assert io.content_hash(image) == hashlib.sha256(b"uint8(2, 3, 2)" + bytes(range(12))).hexdigest()
    others = [image.reshape(3, 2, 2), image.astype(np.uint16), image + np.uint8(1)]
    assert len({io.content_hash(x) for x in [image, *others]}) == 4
    assert io.content_hash(image[:, ::-1]) == io.content_hash(image[:, ::-1].copy())


def test_opencv_reads_what_is_written(tmp_path, rng):
    image = pixels(rng, "uint16")
    io.write_pixels(tmp_path / "a.tif", image)
    back = cv2.imread(str(tmp_path / "a.tif"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(back[..., ::-1], image)
