"""PNG, JPEG and .npy files, read back by Pillow, OpenCV and NumPy."""

import tracemalloc

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

from msrgan.io import encode, integrity, npy
from msrgan.io.image import Band, Image, PixelSize, Promised

PROVENANCE = {"software": "msrgan 9.9", "model": "srgan µ", "place": "Łódź 北", "note": "a\nb"}


def noise(shape, dtype="uint8"):
    return np.random.default_rng(len(shape)).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def save(path, image, format, height=None):
    encode.write(path, image, image.bands(height), format=format)
    return path


@pytest.mark.parametrize("dtype", ["uint8", "uint16", ">u2"])
@pytest.mark.parametrize("axes, shape", [("YX", (1, 1)), ("YX", (3, 7)), ("YXS", (257, 511, 3)), ("TYX", (1, 9, 4))])
def test_png_is_lossless(tmp_path, axes, shape, dtype):
    pixels = noise(shape, np.dtype(dtype).name).astype(dtype)
    path = save(tmp_path / "a.png", Image(pixels, axes), "png", height=5)
    read = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert read.dtype == np.dtype(dtype).name
    np.testing.assert_array_equal(read[..., ::-1] if axes.endswith("S") else read, pixels.reshape(read.shape))
    integrity.check(path.read_bytes())
    if np.dtype(dtype).itemsize == 1:
        with Pillow.open(path) as image:
            np.testing.assert_array_equal(np.asarray(image), pixels.reshape(read.shape))


def test_png_is_about_as_small_as_that_of_opencv(tmp_path):
    rows, columns = np.mgrid[:300, :300] / 30
    pixels = (2000 + 1500 * np.sin(rows) * np.cos(columns)).astype(np.uint16)
    ours = save(tmp_path / "a.png", Image(pixels, "YX"), "png").stat().st_size
    assert ours < 1.1 * len(cv2.imencode(".png", pixels)[1])


def test_png_carries_provenance_and_pixel_size(tmp_path):
    image = Image(noise((4, 5)), "YX", PixelSize(0.25, 0.1), extra={"provenance": PROVENANCE})
    with Pillow.open(save(tmp_path / "a.png", image, "png")) as file:
        file.load()
        assert file.text == PROVENANCE
        # Dots an inch, of 10 and 4 million pixels a metre.
        assert file.info["dpi"] == pytest.approx((10e6 * 0.0254, 4e6 * 0.0254), rel=1e-12)


@pytest.mark.parametrize(
    "y, x, kept",
    [(0.0325, 0.0325, True), (None, 0.1, False), (None, None, False), (7.3e3, 7.3e3, False), (1e-4, 1e-4, False)],
)
def test_png_tells_pixel_sizes_that_whole_numbers_can_tell(tmp_path, y, x, kept):
    with Pillow.open(save(tmp_path / "a.png", Image(noise((4, 5)), "YX", PixelSize(y, x)), "png")) as file:
        assert ("dpi" in file.info) is kept
        assert list(file.text) == ["Software"]


@pytest.mark.parametrize("axes, shape", [("YX", (61, 47)), ("YXS", (61, 47, 3)), ("YX", (1, 1))])
def test_jpeg(tmp_path, axes, shape):
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    pixels = np.clip(np.stack([2 * rows, 3 * columns, rows + columns], -1), 0, 255).astype(np.uint8)
    pixels = pixels if axes.endswith("S") else pixels[..., 0]
    image = Image(pixels, axes, extra={"provenance": PROVENANCE})
    path = save(tmp_path / "a.jpg", image, "jpeg", height=10)
    integrity.check(path.read_bytes())
    with Pillow.open(path) as file:
        assert file.format == "JPEG"
        assert file.info["comment"].decode() == "\n".join(f"{key}: {value}" for key, value in PROVENANCE.items())
        assert np.abs(np.asarray(file).astype(int) - pixels).mean() < 2
    with Pillow.open(save(tmp_path / "b.jpg", Image(pixels, axes), "jpeg")) as file:
        assert "comment" not in file.info


@pytest.mark.parametrize("dtype", ["uint8", ">u2", "int16", "float16", "float64", "uint64"])
def test_npy_holds_any_stack(tmp_path, dtype):
    pixels = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5).astype(dtype)
    read = np.load(save(tmp_path / "a.npy", Image(pixels, "TCYX"), "npy", height=3))
    assert read.dtype.newbyteorder("=") == pixels.dtype.newbyteorder("=")
    np.testing.assert_array_equal(read, pixels)


@pytest.mark.parametrize(
    ("axes", "shape"), [("YXC", (5, 4, 3)), ("CYX", (1, 5, 4)), ("XTYC", (4, 2, 5, 3)), ("YX", (5, 4))]
)
def test_npy_keeps_the_order_of_its_axes(tmp_path, axes, shape):
    pixels = noise(shape, "uint16")
    np.save(tmp_path / "a.npy", pixels)
    with npy.read(tmp_path / "a.npy", axes=axes) as image:
        np.testing.assert_array_equal(np.load(save(tmp_path / "b.npy", image, "npy", height=2)), pixels)


@pytest.mark.parametrize(
    "axes, shape, dtype, format, words",
    [
        ("YX", (2, 2), "uint8", "gif", "`format`.*png jpeg npy.*'gif'"),
        ("YX", (2, 2), "float32", "png", "uint8 or uint16.*float32.*TIFF"),
        ("YX", (2, 2), "uint16", "jpeg", "uint8.*uint16.*TIFF"),
        ("CYX", (2, 2, 2), "uint8", "png", "one plane.*OME-TIFF"),
        ("ZYXS", (2, 2, 2, 3), "uint8", "jpeg", "one plane.*OME-TIFF"),
        ("YX", (1, 65501), "uint8", "jpeg", "65500.*65501.*OME-TIFF"),
        ("YX", (2**31, 1), "uint8", "png", "2147483648.*OME-TIFF"),
        ("YX", (0, 2), "uint8", "npy", "has pixels"),
    ],
)
def test_refusals(tmp_path, axes, shape, dtype, format, words):
    with pytest.raises(ValueError, match=words):
        encode.write(tmp_path / "a", Image(Promised(shape, np.dtype(dtype)), axes), iter(()), format=format)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("format", encode.FORMATS)
def test_interruption_leaves_the_old_file(tmp_path, format):
    image = Image(noise((40, 30)), "YX")

    def bands():
        yield from list(image.bands(10))[:3]
        raise KeyboardInterrupt

    path = tmp_path / "a"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt):
        encode.write(path, image, bands(), format=format)
    with pytest.raises(ValueError, match="one more"):
        encode.write(path, image, [*image.bands(), Band((), 0, image.pixels)], format=format)
    with pytest.raises(ValueError, match="none for row 30"):
        encode.write(path, image, list(image.bands(10))[:3], format=format)
    assert [file.name for file in tmp_path.iterdir()] == ["a"]
    assert path.read_text() == "old"


@pytest.mark.parametrize("format", encode.FORMATS)
def test_full_disk_leaves_nothing(small_disk, format):
    with pytest.raises(OSError, match="No space"):
        save(small_disk / "a", Image(noise((700, 700)), "YX"), format)
    assert not list(small_disk.iterdir())


@pytest.mark.parametrize("format", ["png", "npy"])
def test_memory_holds_some_rows(tmp_path, monkeypatch, format):
    monkeypatch.setattr(encode, "BAND_BYTES", 1 << 18)
    rows = noise((32, 1024), "uint16")
    image = Image(Promised((8192, 1024), np.uint16), "YX")  # 16 MiB
    bands = (Band((), top, rows.copy()) for top in range(0, 8192, 32))
    tracemalloc.start()
    try:
        encode.write(tmp_path / "a", image, bands, format=format)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3 << 20


@pytest.mark.parametrize("axes, shape", [("YX", (10, 7)), ("YXS", (10, 7, 3))])
def test_png_goes_on_below_a_band(tmp_path, monkeypatch, axes, shape):
    monkeypatch.setattr(encode, "BAND_BYTES", 3 * 2 * np.prod(shape[1:]))  # bands of 3, 3, 3 and 1 rows
    pixels = noise(shape, "uint16")
    read = cv2.imread(str(save(tmp_path / "a.png", Image(pixels, axes), "png")), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(read[..., ::-1] if axes.endswith("S") else read, pixels)
