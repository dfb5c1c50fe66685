import os
import subprocess
import sys

import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow

import msrgan
from msrgan import io
from msrgan.io import UnreadableImageError, formats, outputs
from msrgan.io.image import Channel, Image, PixelSize


def image(axes, shape, dtype=np.uint8, **known):
    return Image(np.arange(np.prod(shape)).reshape(shape).astype(dtype), axes, **known)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.png", "png"), ("a.jpg", "jpeg"), ("a.bmp", "bmp"), ("a.webp", "webp"), ("a.gif", "gif"), ("a.tif", "tiff")],
)
def test_the_content_decides_what_reads_a_file_not_its_suffix(tmp_path, name, kind):
    pixels = np.full((12, 16), 200, np.uint8)
    Pillow.fromarray(pixels).save(tmp_path / name)
    os.rename(tmp_path / name, tmp_path / "lies.czi")
    with msrgan.read(tmp_path / "lies.czi") as read:
        assert read.format == kind
        np.testing.assert_allclose(np.atleast_3d(read.read())[..., 0], pixels, atol=3)


def test_what_is_nothing_or_no_image_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such image file"):
        msrgan.read(tmp_path / "none.tif")
    with pytest.raises(UnreadableImageError, match="a folder that is no OME-Zarr"):
        msrgan.read(tmp_path)
    (tmp_path / "text.tif").write_text("hello")
    with pytest.raises(UnreadableImageError, match="text.tif: cannot be read"):
        msrgan.read(tmp_path / "text.tif")
    os.mkfifo(tmp_path / "pipe.tif")  # would be waited for
    with pytest.raises(FileNotFoundError):
        msrgan.read(tmp_path / "pipe.tif")


@pytest.mark.parametrize(("suffix", "module", "extra"), [("a.zarr", "zarr", "zarr"), ("a.czi", "bioio_czi", "bio")])
def test_packages_that_are_not_installed_are_named(tmp_path, suffix, module, extra):
    if suffix == "a.zarr":
        (tmp_path / suffix).mkdir()
        (tmp_path / suffix / ".zgroup").write_text('{"zarr_format": 2}')
        attributes = '{"multiscales": [{"axes": [], "datasets": [{"path": "0"}], "version": "0.4"}]}'
        (tmp_path / suffix / ".zattrs").write_text(attributes)
    else:
        (tmp_path / suffix).write_bytes(b"ZISRAWFILE" + bytes(600))
    script = f"import sys; sys.modules[{module!r}] = None; import msrgan; msrgan.read({str(tmp_path / suffix)!r})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert f"pip install 'msrgan[{extra}]'" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("path", "axes", "shape", "known", "expected"),
    [
        ("a.tif", "YX", (8, 9), {"format": "tiff"}, "tiff"),
        ("a.TIF", "YXS", (8, 9, 3), {"format": "png"}, "tiff"),
        ("a.tif", "ZYX", (2, 8, 9), {"format": "tiff"}, "ome-tiff"),
        ("a.tif", "YX", (8, 9), {"format": "tiff", "channels": (Channel("DAPI"),)}, "ome-tiff"),
        ("a.tif", "YX", (8, 9), {"format": "ome-tiff"}, "ome-tiff"),
        ("a.tif", "ZCYX", (2, 2, 8, 9), {"format": "imagej"}, "imagej"),
        ("a.tif", "CZYX", (2, 2, 8, 9), {"format": "imagej"}, "ome-tiff"),  # ImageJ has no such order
        ("a.ome.tif", "ZCYX", (2, 2, 8, 9), {"format": "imagej"}, "ome-tiff"),
        ("a.tif", "ZCYX", (2, 2, 8, 9), {"format": "czi"}, "ome-tiff"),
        ("a.ome.zarr", "YX", (8, 9), {"format": "ome-zarr-0.5"}, "ome-zarr-0.5"),
        ("a.zarr", "YX", (8, 9), {"format": "tiff"}, "ome-zarr-0.4"),
        ("a.jpeg", "YX", (8, 9), {"format": "png"}, "jpeg"),
        ("a.npy", "YX", (8, 9), {"format": "npy"}, "npy"),
    ],
)
def test_the_format_follows_the_suffix_then_the_input(path, axes, shape, known, expected):
    from pathlib import Path

    assert outputs.written_format(Path(path), image(axes, shape, **known)) == expected


def test_a_hyperstack_that_imagej_cannot_hold_becomes_ome_tiff(tmp_path):
    for dtype, expected in ((np.uint16, "imagej"), (np.float32, "imagej"), (np.int16, "ome-tiff")):
        assert outputs.written_format(tmp_path / "a.tif", image("ZYX", (2, 3, 4), dtype, format="imagej")) == expected


def test_a_hyperstack_that_is_to_be_compressed_becomes_ome_tiff(tmp_path):
    stack = image("ZYX", (2, 30, 40), format="imagej")
    msrgan.write(tmp_path / "a.tif", stack, compression="zlib")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.is_ome and file.pages[0].compression.name == "ADOBE_DEFLATE"
    with pytest.raises(ValueError, match="An ImageJ file is not compressed"):
        outputs.enlarged(stack, tmp_path / "b.tif", 2, {}, "imagej", compression="zlib")


@pytest.mark.parametrize(
    ("path", "axes", "shape", "dtype", "message"),
    [
        ("a.tif", "ZYX", (2, 3, 4), "float16", "float64. Received: float16. Choose the `format` ome-zarr-0.4"),
        ("a.png", "YX", (3, 4), "float32", "PNG holds pixels of uint8 or uint16. Received: float32"),
        ("a.jpg", "ZYX", (2, 3, 4), "uint8", "JPEG holds one plane"),
    ],
)
def test_what_no_file_holds_is_refused_before_it_is_computed(path, axes, shape, dtype, message):
    from pathlib import Path

    with pytest.raises(ValueError, match=message):
        outputs.enlarged(image(axes, shape, dtype), Path(path), 2, {})


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("a.TIF", {}, "a.TIF"),
        ("a.b.ome.tiff", {"suffix": "_x4"}, "a.b_x4.ome.tiff"),
        ("a.bmp", {}, "a.png"),
        ("a.WEBP", {"suffix": "_x4"}, "a_x4.png"),
        ("a.czi", {}, "a.ome.tif"),
        ("a.lsm", {}, "a.ome.tif"),
        ("a.ome.zarr", {"suffix": "_x4"}, "a_x4.ome.zarr"),
        ("a.npy", {}, "a.npy"),
        ("a.jpeg", {"format": "jpeg"}, "a.jpeg"),
        ("a.png", {"format": "ome-tiff"}, "a.ome.tif"),
        ("a.ome.tif", {"format": "tiff"}, "a.tif"),
        ("a.tif", {"format": "imagej"}, "a.tif"),
        ("noname", {}, "noname.ome.tif"),
    ],
)
def test_names_of_outputs(name, options, expected):
    assert outputs.written_name(name, **options) == expected


def test_formats_and_names_that_do_not_fit_are_refused(tmp_path):
    grey = image("YX", (8, 9))
    for path, options, message in (
        ("a.czi", {}, "Images are written as"),
        ("a.png", {"format": "tiff"}, "`format` tiff end with .tif"),
        ("a.png", {"format": "czi"}, "`format` is one of png"),
        ("a.png", {"compression": "zlib"}, "`compression` is of TIFF and OME-Zarr"),
    ):
        with pytest.raises(ValueError, match=message):
            msrgan.write(tmp_path / path, grey, **options)
    with pytest.raises(ValueError, match="PNG holds one plane"):
        msrgan.write(tmp_path / "a.png", image("ZYX", (2, 8, 9)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif", "a.ome.zarr", "a.png", "a.npy"])
def test_what_is_written_is_read_again(tmp_path, name):
    source = image("YX", (8, 9), np.uint16, pixel_size=PixelSize(0.5, 0.5))
    msrgan.write(tmp_path / name, source)
    with msrgan.read(tmp_path / name) as back:
        np.testing.assert_array_equal(back.read((0,) * len(back.stack)), source.pixels)
        assert back.dtype == np.uint16
        if name not in ("a.png", "a.npy"):
            assert back.pixel_size[:2] == pytest.approx((0.5, 0.5))


def test_large_pixels_are_those_of_the_file_where_it_is_ours(tmp_path):
    """20 and 25 um a pixel: 1270 and 1016 dots per inch."""
    msrgan.write(tmp_path / "a.tif", image("YXS", (8, 9, 3), pixel_size=PixelSize(20.0, 25.0)))
    tifffile.imwrite(tmp_path / "b.tif", np.zeros((8, 9), np.uint8), resolution=(1016, 1270), resolutionunit="inch")
    with msrgan.read(tmp_path / "a.tif") as ours, msrgan.read(tmp_path / "b.tif") as other:
        assert ours.format == "tiff" and ours.pixel_size == pytest.approx((20.0, 25.0, None))
        assert other.pixel_size == (None, None, None)


def test_pyramids_and_compression_are_passed_on(tmp_path):
    source = image("YX", (600, 400), np.uint16)
    msrgan.write(tmp_path / "a.tif", source, format="ome-tiff", pyramid=True, compression="zlib")
    with msrgan.read(tmp_path / "a.tif", level=1) as level:
        assert level.levels[:2] == ((600, 400), (300, 200))
        assert level.sizes == {"Y": 300, "X": 200}
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.pages[0].compression.name == "ADOBE_DEFLATE"


def test_a_raster_that_would_not_fit_into_memory_is_refused_by_default(tmp_path, monkeypatch):
    Pillow.fromarray(np.zeros((12, 16), np.uint8)).save(tmp_path / "a.png")
    monkeypatch.setattr(formats.capacity, "free_memory", lambda: 4 * 100)
    with pytest.raises(UnreadableImageError, match="at most `max_pixels` pixels, 100. Received: 12 x 16"):
        msrgan.read(tmp_path / "a.png")


def test_a_scene_is_one_of_a_file_that_can_hold_several(tmp_path, monkeypatch):
    io.write_pixels(tmp_path / "a.png", np.zeros((4, 5), np.uint8))
    with pytest.raises(ValueError, match="`scene` is one of a CZI, ND2 or LIF file. Received: 1 for .*a.png"):
        formats.read(tmp_path / "a.png", scene="1")
    (tmp_path / "a.lif").write_bytes(b"p\0\0\0")
    monkeypatch.setattr("msrgan.io.vendor.read", lambda path, **named: named)
    assert formats.read(tmp_path / "a.lif", scene="1")["scene"] == "1"


@pytest.mark.parametrize(
    "name", ["a.png", "a.jpg", "a.npy", "a.tif", "a.ome.tif", "h.tif", "a.ome.zarr", "lzw.ome.tif", "none.zarr"]
)
def test_a_disk_that_takes_no_more_is_an_error_and_leaves_nothing(tmp_path, name):
    """The most that a file may have stands for a full disk."""
    import resource

    if "zarr" in name:
        pytest.importorskip("zarr", reason="the extra zarr is not installed")
    pixels = np.random.default_rng(0).integers(0, 256, (300, 400), dtype=np.uint8)
    compression = name.partition(".")[0] if name[0] in "ln" else None
    format = "imagej" if name == "h.tif" else None
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            msrgan.write(tmp_path / name, formats.Image(pixels, "YX"), format=format, compression=compression)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []
