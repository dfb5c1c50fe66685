import contextlib
import hashlib
import subprocess
import sys

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from msrgan import io
from msrgan.io.atomic import atomic, atomic_folder, writable_folder


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def pixels(rng, dtype, channels=3):
    top = {"uint8": 256, "uint16": 65536, "float32": 1}[dtype]
    return (rng.random((20, 31, channels)) * top).astype(dtype)


@pytest.mark.parametrize(
    ("name", "dtype", "channels"),
    [("a.png", "uint8", 1), ("a.png", "uint8", 3), ("a.png", "uint16", 1), ("a.png", "uint16", 3)]
    + [("a.bmp", "uint8", 3)]
    + [("a.tif", dtype, channels) for dtype in ("uint8", "uint16", "float32") for channels in (1, 2, 3, 4, 5)],
)
def test_written_image_is_read_back(tmp_path, rng, name, dtype, channels):
    image = pixels(rng, dtype, channels)
    io.write(tmp_path / "new" / name, image)
    back = io.read(tmp_path / "new" / name)
    assert back.dtype == image.dtype
    np.testing.assert_array_equal(back, image)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bit_files_are_read_by_pillow(tmp_path, rng, suffix):
    image = pixels(rng, "uint16", 1)
    io.write(tmp_path / f"a{suffix}", image)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / f"a{suffix}")), image[..., 0])


def test_colours_are_rgb(tmp_path):
    red = np.zeros((4, 5, 3), np.uint8)
    red[..., 0] = 200
    for name in ("a.png", "a.tif", "a.bmp"):
        io.write(tmp_path / name, red)
        assert Image.open(tmp_path / name).getpixel((0, 0)) == (200, 0, 0)
    Image.fromarray(red).save(tmp_path / "b.png")
    assert io.read(tmp_path / "b.png")[0, 0].tolist() == [200, 0, 0]


def test_jpeg_stays_close(tmp_path):
    ramp = np.tile(np.arange(64, dtype=np.uint8)[None, :, None] * 4, (48, 1, 1))
    io.write(tmp_path / "a.jpg", ramp)
    back = io.read(tmp_path / "a.jpg")
    assert back.shape == ramp.shape
    assert np.abs(back.astype(int) - ramp).max() <= 4


@pytest.mark.parametrize(
    ("name", "dtype", "channels"),
    [("a.jpg", "uint16", 1), ("a.bmp", "uint16", 1), ("a.png", "float32", 1), ("a.png", "uint8", 2)]
    + [("a.png", "uint8", 4), ("a.gif", "uint8", 1), ("a.tif", "float64", 1)],
)
def test_a_format_that_cannot_hold_the_image_is_an_error(tmp_path, name, dtype, channels):
    with pytest.raises(ValueError, match=name):
        io.write(tmp_path / name, np.zeros((8, 8, channels), dtype))
    assert not list(tmp_path.iterdir())


def test_alpha_and_equal_planes_are_dropped(tmp_path, rng):
    colour, grey = pixels(rng, "uint8"), pixels(rng, "uint8", 1)
    alpha = np.full_like(grey, 7)
    Image.fromarray(np.dstack([colour, alpha])).save(tmp_path / "rgba.png")
    Image.fromarray(np.dstack([colour, alpha])).save(tmp_path / "rgba.tif")
    Image.fromarray(np.dstack([grey, alpha])).save(tmp_path / "la.png")
    Image.fromarray(np.dstack([grey] * 3)).save(tmp_path / "equal.png")
    for name in ("rgba.png", "rgba.tif"):
        np.testing.assert_array_equal(io.read(tmp_path / name), colour)
    for name in ("la.png", "equal.png"):
        np.testing.assert_array_equal(io.read(tmp_path / name), grey)


def test_palettes_are_applied_and_bits_become_black_and_white(tmp_path):
    indexed = Image.new("P", (6, 5))
    indexed.putpalette([255, 0, 0, 10, 20, 30])
    indexed.putpixel((2, 1), 1)
    bits = Image.new("1", (9, 5), 1)
    bits.putpixel((2, 1), 0)
    for suffix in ("png", "tif"):
        indexed.save(tmp_path / f"p.{suffix}")
        colour = io.read(tmp_path / f"p.{suffix}")
        assert colour[0, 0].tolist() == [255, 0, 0]
        assert colour[1, 2].tolist() == [10, 20, 30]
        bits.save(tmp_path / f"b.{suffix}")
        black = io.read(tmp_path / f"b.{suffix}")
        assert (black.dtype, black.shape, black[0, 0, 0], black[1, 2, 0]) == (np.uint8, (5, 9, 1), 255, 0)


def test_exif_rotation_is_ignored(tmp_path):
    exif = Image.Exif()
    exif[0x112] = 6
    Image.new("L", (40, 20)).save(tmp_path / "a.jpg", exif=exif)
    assert io.read(tmp_path / "a.jpg").shape == (20, 40, 1)


@pytest.mark.parametrize("dtype", ["int16", "int32", "uint32", "int64"])
def test_wide_integers_become_uint16_where_they_fit(tmp_path, dtype):
    tifffile.imwrite(tmp_path / "a.tif", np.array([[0, 4095]], dtype))
    image = io.read(tmp_path / "a.tif")
    assert (image.dtype, image.ravel().tolist()) == (np.uint16, [0, 4095])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array([[1, -3]], np.int16), "do not fit 16 bits"),
        (np.array([[1, 70000]], np.uint32), "do not fit 16 bits"),
        (np.array([[1, np.nan]], np.float32), "must be finite. Received: 1 NaN"),
        (np.array([[np.inf, np.nan]], np.float64), "must be finite. Received: 2 NaN"),
    ],
)
def test_pixels_that_cannot_be_used_are_an_error(tmp_path, values, message):
    tifffile.imwrite(tmp_path / "a.tif", values)
    with pytest.raises(io.UnreadableImageError, match=rf"a\.tif.*{message}"):
        io.read(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("shape", "options", "channels"),
    [
        ((3, 16, 17), {"metadata": {"axes": "CYX"}}, 3),
        ((6, 16, 17), {"metadata": {"axes": "CYX"}}, 6),
        ((6, 16, 17), {"imagej": True, "metadata": {"axes": "CYX"}}, 6),
        ((4, 16, 17), {}, 4),
        ((1, 16, 17), {"metadata": {"axes": "ZYX"}}, 1),
        ((7, 16, 17), {}, None),
        ((3, 16, 17), {"metadata": {"axes": "ZYX"}}, None),
        ((2, 3, 16, 17), {"imagej": True, "metadata": {"axes": "TCYX"}}, None),
    ],
)
def test_planes_are_channels_or_a_stack(tmp_path, rng, shape, options, channels):
    planes = rng.integers(0, 65536, shape, dtype=np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", planes, photometric="minisblack", **options)
    if channels is None:
        with pytest.raises(ValueError, match="this stack has"):
            io.read(tmp_path / "a.tif")
    else:
        np.testing.assert_array_equal(io.read(tmp_path / "a.tif"), np.moveaxis(planes, 0, -1))


def test_compressed_tiff_is_read_without_imagecodecs(tmp_path, rng):
    colour = pixels(rng, "uint8")
    Image.fromarray(colour).save(tmp_path / "lzw.tif", compression="tiff_lzw")
    tifffile.imwrite(tmp_path / "deflate.tif", colour, compression="deflate", predictor=True)
    script = (
        "import sys; sys.modules['imagecodecs'] = None\n"
        "from msrgan import io\n"
        "for path in sys.argv[1:]: print(io.content_hash(io.read(path)))"
    )
    paths = [str(tmp_path / "lzw.tif"), str(tmp_path / "deflate.tif")]
    done = subprocess.run([sys.executable, "-c", script, *paths], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [io.content_hash(colour)] * 2


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.bmp", "a.tif"])
@pytest.mark.parametrize("damage", ["truncated", "empty", "text"])
def test_unreadable_files_are_named(tmp_path, rng, name, damage):
    io.write(tmp_path / name, pixels(rng, "uint8"))
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes({"truncated": whole[: len(whole) * 2 // 3], "empty": b"", "text": b"hello"}[damage])
    with pytest.raises(io.UnreadableImageError, match=rf"{name}: cannot be read as an image \(\w+"):
        io.read(tmp_path / name)


def test_a_truncated_jpeg_is_no_image(tmp_path):
    io.write(tmp_path / "a.jpg", np.tile(np.arange(128, dtype=np.uint8), (128, 1)))
    (tmp_path / "a.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:-20])
    with pytest.raises(io.UnreadableImageError, match="truncated JPEG"):
        io.read(tmp_path / "a.jpg")


def test_a_missing_file_is_not_found(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing.png"):
        io.read(tmp_path / "nothing.png")


def test_list_images_skips_masks_beside_images(tmp_path):
    kept = ["b.TIF", "set/images/1.png", "set/images/2.Jpeg", "labels/is a class.png"]
    left_out = ["set/labels/1.png", "set/masks/deep/1.png", "notes.txt", ".hidden.png", ".cache/1.png"]
    for name in kept + left_out:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert io.list_images(tmp_path) == sorted(tmp_path / name for name in kept)


def test_list_images_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        io.list_images(tmp_path / "missing")
    with pytest.raises(ValueError, match="holds no images"):
        io.list_images(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="a file"):
        io.list_images(tmp_path / "file")


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_pixel_size_round_trip(tmp_path, channels):
    io.write(tmp_path / "a.tif", np.zeros((8, 8, channels), np.uint16), pixel_size=0.1625)
    assert io.read_pixel_size(tmp_path / "a.tif") == pytest.approx(0.1625, rel=1e-5)
    io.write(tmp_path / "b.tif", np.zeros((8, 8, channels), np.uint16))
    assert io.read_pixel_size(tmp_path / "b.tif") is None


def test_pixel_size_of_other_software(tmp_path):
    plane = np.zeros((8, 8), np.uint16)
    ome = {"axes": "YX", "PhysicalSizeX": 65.0, "PhysicalSizeXUnit": "nm"}
    tifffile.imwrite(tmp_path / "a.ome.tif", plane, metadata=ome)
    assert io.read_pixel_size(tmp_path / "a.ome.tif") == pytest.approx(0.065)
    tifffile.imwrite(tmp_path / "b.tif", plane, resolution=(25400 / 2, 25400 / 2), resolutionunit="INCH")
    assert io.read_pixel_size(tmp_path / "b.tif") == pytest.approx(2)
    Image.fromarray(plane).save(tmp_path / "c.png")
    assert io.read_pixel_size(tmp_path / "c.png") is None


def test_content_hash_is_of_dtype_shape_and_pixels():
    image = np.arange(12, dtype=np.uint8).reshape(2, 3, 2)
    assert io.content_hash(image) == hashlib.sha256(b"uint8(2, 3, 2)" + bytes(range(12))).hexdigest()
    others = [image.reshape(3, 2, 2), image.astype(np.uint16), image + np.uint8(1)]
    assert len({io.content_hash(x) for x in [image, *others]}) == 4
    assert io.content_hash(image[:, ::-1]) == io.content_hash(image[:, ::-1].copy())


def test_atomic_leaves_the_old_file_after_an_error(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_text() == "old"
    with atomic(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"


def test_atomic_folder_replaces_or_leaves(tmp_path):
    folder = tmp_path / "model"
    for text in ("old", "new"):
        with atomic_folder(folder) as temporary:
            (temporary / text).write_text(text)
    assert [p.name for p in folder.iterdir()] == ["new"]
    with pytest.raises(RuntimeError), atomic_folder(folder) as temporary:
        raise RuntimeError
    assert [p.name for p in folder.iterdir()] == ["new"]
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_a_folder_into_which_nothing_was_written_is_gone(tmp_path):
    deep = tmp_path / "there" / "a" / "b"
    (tmp_path / "there").mkdir()
    for fails in (False, True):
        with contextlib.suppress(RuntimeError), writable_folder(deep):
            assert deep.is_dir()
            if fails:
                raise RuntimeError
        assert [path.name for path in tmp_path.iterdir()] == ["there"]
        assert not list((tmp_path / "there").iterdir())
    with pytest.raises(RuntimeError), writable_folder(deep) as folder:
        (folder / "half.txt").touch()
        raise RuntimeError
    assert (deep / "half.txt").exists()
    with pytest.raises(OSError, match="half.txt"), writable_folder(deep / "half.txt" / "c"):
        pass


def test_opencv_reads_what_is_written(tmp_path, rng):
    image = pixels(rng, "uint16")
    io.write(tmp_path / "a.tif", image)
    back = cv2.imread(str(tmp_path / "a.tif"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(back[..., ::-1], image)
