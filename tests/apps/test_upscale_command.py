import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
import tifffile
from conftest import error_lines
from PIL import Image

import msrgan
from msrgan import io
from msrgan.apps import cli


@pytest.fixture
def folder(tmp_path):
    """A folder of good files of several kinds."""
    rng = np.random.default_rng(0)
    io.write(tmp_path / "in" / "a.png", rng.integers(0, 255, (24, 20, 3), dtype=np.uint8))
    io.write(tmp_path / "in" / "plate" / "b.TIF", rng.integers(0, 4095, (20, 24), dtype=np.uint16), pixel_size=0.5)
    io.write(tmp_path / "in" / "plate" / "c.jpg", rng.integers(0, 255, (24, 24), dtype=np.uint8))
    return tmp_path / "in"


def test_a_folder_is_mirrored(folder, tmp_path):
    assert cli.main(["upscale", str(folder), "-o", str(tmp_path / "out"), "--model", "bicubic"]) == 0
    images = io.list_images(tmp_path / "out")
    assert [str(path.relative_to(tmp_path / "out")) for path in images] == [
        "a.png",
        "plate/b.TIF",
        "plate/c.jpg",
    ]
    for path in images:
        source = io.read(folder / path.relative_to(tmp_path / "out"))
        enlarged = io.read(path)
        assert enlarged.dtype == source.dtype
        assert enlarged.shape == (4 * source.shape[0], 4 * source.shape[1], source.shape[2])
    np.testing.assert_array_equal(
        io.read(tmp_path / "out" / "a.png"), msrgan.upscale("bicubic", io.read(folder / "a.png"))
    )
    assert io.open_image(tmp_path / "out" / "plate" / "b.TIF").pixel_size == pytest.approx(0.125)


def test_the_output_is_a_file_or_a_folder(folder, tmp_path):
    for out, written in (("new.tif", "new.tif"), ("new", "new/a.png"), ("new", "new/a.png")):
        arguments = ["upscale", str(folder / "a.png"), "-o", str(tmp_path / out), "--model", "nearest"]
        assert cli.main(arguments) == 0
        np.testing.assert_array_equal(io.read(tmp_path / written), io.read(folder / "a.png").repeat(4, 0).repeat(4, 1))


def test_interpolation_has_a_scale(folder, tmp_path):
    arguments = ["upscale", str(folder / "a.png"), "-o", str(tmp_path), "--model", "bicubic", "--scale", "2"]
    assert cli.main(arguments) == 0
    assert io.read(tmp_path / "a.png").shape[0] == 2 * io.read(folder / "a.png").shape[0]


def test_a_bad_file_does_not_stop_the_others(folder, tmp_path, capsys):
    (folder / "bad.png").write_bytes((folder / "a.png").read_bytes()[:300])
    Image.fromarray(np.full((8, 8), np.nan, np.float32)).save(folder / "nan.tif")
    out = tmp_path / "out"
    assert cli.main(["upscale", str(folder), "-o", str(out), "--model", "bicubic"]) == 1
    first, second, last = error_lines(capsys)
    assert "bad.png: cannot be read as an image (damaged or truncated)" in first
    assert "nan.tif: pixels must be finite. Received: 64 NaN" in second
    assert last == "msrgan: error: 2 of 5 files could not be upscaled"
    assert len(io.list_images(out)) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["IN/none.png", "-o", "OUT"], "none.png: no such file or folder"),
        (["IN", "-o", "OUT", "--model", "IN/none"], "none: there is no exported model. Received: nothing"),
        (["IN", "-o", "OUT", "--model", "IN"], "there is no exported model. Received: a folder of a.png, plate"),
        (["IN", "-o", "IN/out"], "must lie outside the input folder"),
        (["IN", "-o", "IN"], "must lie outside the input folder"),
        (["IN", "-o", "IN/a.png"], "must lie outside the input folder"),
        (["IN/a.png", "-o", "IN"], "must not replace the input"),
        (["IN/a.png", "-o", "IN/a.png"], "must not replace the input"),
        (["IN", "-o", "OUT", "--overlap", "1"], "error: overlap must be 2 or more"),
    ],
)
def test_upscale_errors(folder, tmp_path, capsys, arguments, message):
    before = (folder / "a.png").read_bytes()
    model = [] if "--model" in arguments else ["--model", "bicubic"]
    arguments = [a.replace("IN", str(folder)).replace("OUT", str(tmp_path / "out")) for a in arguments]
    assert cli.main(["upscale", *arguments, *model]) == 2
    (line,) = error_lines(capsys)
    assert line.startswith("msrgan: error: ")
    assert message in line
    assert not (tmp_path / "out").exists()
    assert (folder / "a.png").read_bytes() == before


def test_an_empty_folder_is_an_error(tmp_path, capsys):
    assert cli.main(["upscale", str(tmp_path), "-o", str(tmp_path.parent / "x"), "--model", "bicubic"]) == 2
    assert "holds no images" in error_lines(capsys)[0]


def test_an_output_that_cannot_be_written_is_an_error(folder, tmp_path, capsys):
    (tmp_path / "file").touch()
    arguments = [
        "upscale",
        str(folder / "a.png"),
        "-o",
        str(tmp_path / "file" / "x.png"),
        "--model",
        "nearest",
    ]
    assert cli.main(arguments) == 2
    assert error_lines(capsys) == [f"msrgan: error: {tmp_path / 'file'}: File exists"]


def test_a_full_disk_is_an_error_of_each_file(folder, tmp_path, capsys, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device", "x.png")

    monkeypatch.setattr(io, "write", full)
    assert cli.main(["upscale", str(folder), "-o", str(tmp_path / "out"), "--model", "nearest"]) == 1
    assert error_lines(capsys)[0] == "msrgan: error: x.png: No space left on device"


def test_a_tile_may_be_small(folder, tmp_path):
    arguments = ["upscale", str(folder / "a.png"), "-o", str(tmp_path / "x.png"), "--model", "bicubic"]
    assert cli.main([*arguments, "--tile", "7"]) == 0


def upscale(source, out, *options):
    return cli.main(["upscale", str(source), "-o", str(out), "--model", "nearest", "--scale", "2", *options])


def test_three_planes_stay_planes_and_the_file_is_read_once(tmp_path, monkeypatch):
    planes = np.random.default_rng(0).integers(0, 4095, (3, 9, 8), dtype=np.uint16)
    ome = {"axes": "CYX", "PhysicalSizeX": 0.2, "PhysicalSizeXUnit": "µm"}
    tifffile.imwrite(tmp_path / "a.tif", planes, ome=True, photometric="minisblack", metadata=ome)
    decodes, decode = [], io.raster.tiff.decode
    monkeypatch.setattr(io.raster.tiff, "decode", lambda *a, **k: decodes.append(1) or decode(*a, **k))
    assert upscale(tmp_path / "a.tif", tmp_path / "b.tif") == 0
    assert len(decodes) == 1
    image = io.open_image(tmp_path / "b.tif")
    assert (image.is_rgb, image.pixel_size) == (False, pytest.approx(0.1))
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        np.testing.assert_array_equal(file.asarray(), planes.repeat(2, 1).repeat(2, 2))


def test_pages_without_axes_are_refused_or_told(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    pages = np.random.default_rng(0).integers(0, 255, (3, 9, 8), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "in" / "a.tif", pages, photometric="minisblack", metadata=None)
    Image.fromarray(pages[0]).save(tmp_path / "in" / "b.png")
    assert upscale(tmp_path / "in", tmp_path / "out") == 1
    first, last = error_lines(capsys)
    assert first == (
        "msrgan: error: an image has the axes Y, X and channels. Received: 3 pages without axes in "
        f"{tmp_path}/in/a.tif. Say what they are: --axes CYX for channels, ZYX for a stack"
    )
    assert last == "msrgan: error: 1 of 2 files could not be upscaled"
    assert upscale(tmp_path / "in", tmp_path / "out", "--axes", "cyx") == 0
    np.testing.assert_array_equal(
        io.read(tmp_path / "out" / "a.tif"), np.moveaxis(pages, 0, -1).repeat(2, 0).repeat(2, 1)
    )
    assert upscale(tmp_path / "in" / "a.tif", tmp_path / "z.tif", "--axes", "ZYX") == 1
    assert "this stack has ZYX" in error_lines(capsys)[0]


@pytest.mark.parametrize("axes", ["C", "CYXX", "rgb"])
def test_axes_that_are_none_are_an_error(folder, tmp_path, capsys, axes):
    with pytest.raises(SystemExit, match="2"):
        upscale(folder, tmp_path / "out", "--axes", axes)
    assert (
        f"argument --axes: are Y, X and further letters of C, Z and T, each once, as CYX. Received: '{axes}'"
        in " ".join(error_lines(capsys))
    )


def test_files_that_are_no_images_are_told(folder, tmp_path, capsys):
    for name in ("1.csv", "2.csv", "plate/3.txt", ".4.csv"):
        (folder / name).touch()
    (folder / "labels").mkdir()
    io.write(folder / "labels" / "a.png", np.eye(20, dtype=np.uint8))
    assert upscale(folder, tmp_path / "out") == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines()[0] == "passed over 3 files that are no images: 2 .csv, 1 .txt"
    assert len(io.list_images(tmp_path / "out")) == 3
    assert not (tmp_path / "out" / "labels").exists()
    assert shown.err == ""


def test_links_to_nothing_and_strange_names_are_failures_of_these_files(folder, tmp_path, capsys):
    (folder / "link.png").symlink_to(folder / "gone.png")
    with open(os.fsencode(folder) + b"/\xff.png", "wb") as file:
        file.write((folder / "a.png").read_bytes())
    assert upscale(folder, tmp_path / "out") == 1
    *failures, last = error_lines(capsys)
    assert sorted(failures) == [
        f"msrgan: error: {folder}/\\udcff.png: its name is not UTF-8. Rename it",
        f"msrgan: error: {folder}/link.png: a link to nothing",
    ]
    assert last == "msrgan: error: 2 of 5 files could not be upscaled"
    assert len(io.list_images(tmp_path / "out")) == 3


def test_a_named_file_may_have_a_strange_name(folder, tmp_path, capsys):
    strange = os.fsdecode(os.fsencode(folder) + b"/\xff.png")
    with open(strange, "wb") as file:
        file.write((folder / "a.png").read_bytes())
    assert upscale(strange, tmp_path / "b.png") == 0
    assert capsys.readouterr().out == f"{folder}/\\udcff.png -> {tmp_path}/b.png (40x48)\n"


@pytest.mark.parametrize("error", [MemoryError(), tf.errors.ResourceExhaustedError(None, None, "OOM when allocating")])
def test_a_file_that_does_not_fit_into_memory_does_not_stop_the_others(folder, tmp_path, capsys, monkeypatch, error):
    from msrgan import upscaling

    upscale_ = upscaling.upscale

    def full(model, image, **options):
        if image.shape == (20, 24, 1):
            raise error
        return upscale_(model, image, **options)

    monkeypatch.setattr(upscaling, "upscale", full)
    assert upscale(folder, tmp_path / "out") == 1
    first, last = error_lines(capsys)
    assert first.startswith(f"msrgan: error: {folder}/plate/b.TIF: does not fit into memory")
    assert last == "msrgan: error: 1 of 3 files could not be upscaled"
    assert len(io.list_images(tmp_path / "out")) == 2


def test_the_installed_command_is_quiet(folder, tmp_path):
    script = "import sys; from msrgan.apps.cli import main; sys.exit(main(sys.argv[1:]))"
    (folder / "bad.bmp").write_bytes(b"BM half a file")
    arguments = ["upscale", str(folder), "-o", str(tmp_path / "out"), "--model", "nearest"]
    env = {key: value for key, value in os.environ.items() if key != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, env=env)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 2
    assert "bad.bmp" in done.stderr.splitlines()[0]
    assert len(done.stdout.splitlines()) == 3
