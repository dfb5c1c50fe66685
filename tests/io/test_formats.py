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
