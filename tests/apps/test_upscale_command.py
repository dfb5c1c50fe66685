import csv
import os
import shutil
import signal
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
from msrgan.io import capacity
from msrgan.io.image import PixelSize
from msrgan.upscaling import stream


@pytest.fixture
def folder(tmp_path):
    """A folder of good files of several kinds."""
    rng = np.random.default_rng(0)
    io.write_pixels(tmp_path / "in" / "a.png", rng.integers(0, 255, (24, 20, 3), dtype=np.uint8))
    plane = msrgan.Image(rng.integers(0, 4095, (20, 24), dtype=np.uint16), "YX", pixel_size=PixelSize(0.5, 0.5))
    msrgan.write(tmp_path / "in" / "plate" / "b.TIF", plane)
    io.write_pixels(tmp_path / "in" / "plate" / "c.jpg", rng.integers(0, 255, (24, 24), dtype=np.uint8))
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
        source = io.read_pixels(folder / path.relative_to(tmp_path / "out"))
        enlarged = io.read_pixels(path)
        assert enlarged.dtype == source.dtype
        assert enlarged.shape == (4 * source.shape[0], 4 * source.shape[1], source.shape[2])
    np.testing.assert_array_equal(
        io.read_pixels(tmp_path / "out" / "a.png"), msrgan.upscale("bicubic", io.read_pixels(folder / "a.png"))
    )
    with msrgan.read(tmp_path / "out" / "plate" / "b.TIF") as image:
        assert image.pixel_size.x == pytest.approx(0.125)


def test_the_output_is_a_file_or_a_folder(folder, tmp_path):
    for out, written in (("new.tif", "new.tif"), ("new", "new/a.png"), ("new", "new/a.png")):
        arguments = ["upscale", str(folder / "a.png"), "-o", str(tmp_path / out), "--model", "nearest", "--overwrite"]
        assert cli.main(arguments) == 0
        np.testing.assert_array_equal(
            io.read_pixels(tmp_path / written), io.read_pixels(folder / "a.png").repeat(4, 0).repeat(4, 1)
        )


def test_interpolation_has_a_scale(folder, tmp_path):
    arguments = ["upscale", str(folder / "a.png"), "-o", str(tmp_path), "--model", "bicubic", "--scale", "2"]
    assert cli.main(arguments) == 0
    assert io.read_pixels(tmp_path / "a.png").shape[0] == 2 * io.read_pixels(folder / "a.png").shape[0]


def test_a_bad_file_does_not_stop_the_others(folder, tmp_path, capsys):
    (folder / "bad.png").write_bytes((folder / "a.png").read_bytes()[:300])
    Image.fromarray(np.full((8, 8), np.nan, np.float32)).save(folder / "nan.tif")
    out = tmp_path / "out"
    assert cli.main(["upscale", str(folder), "-o", str(out), "--model", "bicubic"]) == 1
    shown = capsys.readouterr()
    first, second = shown.err.splitlines()
    assert "bad.png: cannot be read as an image (damaged or truncated)" in first
    assert "nan.tif" in second
    assert "NaN" in second
    assert shown.out.splitlines()[-1] == f"3 done, 0 skipped, 2 failed (see {out}/failures.csv)"
    assert len(io.list_images(out)) == 3
    with open(out / "failures.csv", newline="") as file:
        table = list(csv.reader(file))
    assert table[0] == ["file", "reason"]
    assert [row[0] for row in table[1:]] == [str(folder / "bad.png"), str(folder / "nan.tif")]
    assert table[1][1] in first


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

    monkeypatch.setattr(io.formats, "write", full)
    assert cli.main(["upscale", str(folder), "-o", str(tmp_path / "out"), "--model", "nearest"]) == 1
    assert error_lines(capsys)[0] == f"msrgan: error: {folder}/a.png: x.png: No space left on device"


def test_a_tile_may_be_small(folder, tmp_path):
    arguments = ["upscale", str(folder / "a.png"), "-o", str(tmp_path / "x.png"), "--model", "bicubic"]
    assert cli.main([*arguments, "--tile", "7"]) == 0


def upscale(source, out, *options):
    return cli.main(["upscale", str(source), "-o", str(out), "--model", "nearest", "--scale", "2", *options])


def test_three_planes_stay_planes(tmp_path):
    planes = np.random.default_rng(0).integers(0, 4095, (3, 9, 8), dtype=np.uint16)
    ome = {"axes": "CYX", "PhysicalSizeX": 0.2, "PhysicalSizeXUnit": "µm"}
    tifffile.imwrite(tmp_path / "a.tif", planes, ome=True, photometric="minisblack", metadata=ome)
    assert upscale(tmp_path / "a.tif", tmp_path / "b.tif") == 0
    with msrgan.read(tmp_path / "b.tif") as image:
        assert (image.is_rgb, image.pixel_size.x) == (False, pytest.approx(0.1))
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        np.testing.assert_array_equal(file.asarray(), planes.repeat(2, 1).repeat(2, 2))


def test_pages_without_axes_are_refused_or_told(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    pages = np.random.default_rng(0).integers(0, 255, (3, 9, 8), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "in" / "a.tif", pages, photometric="minisblack", metadata=None)
    Image.fromarray(pages[0]).save(tmp_path / "in" / "b.png")
    assert upscale(tmp_path / "in", tmp_path / "out") == 1
    (line,) = error_lines(capsys)
    assert line == (
        "msrgan: error: pages are a stack or channels. Received: 3 pages without axes in "
        f"{tmp_path}/in/a.tif. Say what they are: --axes ZYX for a stack, CYX for channels"
    )
    for axes in ("cyx", "ZYX"):
        assert upscale(tmp_path / "in", tmp_path / axes, "--axes", axes) == 0
        with msrgan.read(tmp_path / axes / "a.tif") as image:
            assert (image.axes, image.format) == (axes.upper(), "ome-tiff")
            enlarged = np.stack([image.read((k,)) for k in range(3)])
        np.testing.assert_array_equal(enlarged, pages.repeat(2, 1).repeat(2, 2))


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
    io.write_pixels(folder / "labels" / "a.png", np.eye(20, dtype=np.uint8))
    assert upscale(folder, tmp_path / "out") == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines()[-1] == (
        "3 done, 0 skipped, 0 failed; passed over 3 files that are no images: 2 .csv, 1 .txt"
    )
    assert len(io.list_images(tmp_path / "out")) == 3
    assert not (tmp_path / "out" / "labels").exists()
    assert shown.err == ""


def test_links_to_nothing_and_strange_names_are_failures_of_these_files(folder, tmp_path, capsys):
    (folder / "link.png").symlink_to(folder / "gone.png")
    with open(os.fsencode(folder) + b"/\xff.png", "wb") as file:
        file.write((folder / "a.png").read_bytes())
    assert upscale(folder, tmp_path / "out") == 1
    assert sorted(error_lines(capsys)) == [
        f"msrgan: error: {folder}/\\udcff.png: its name is not UTF-8. Rename it",
        f"msrgan: error: {folder}/link.png: a link to nothing",
    ]
    assert len(io.list_images(tmp_path / "out")) == 3


def test_a_named_file_may_have_a_strange_name(folder, tmp_path, capsys):
    strange = os.fsdecode(os.fsencode(folder) + b"/\xff.png")
    with open(strange, "wb") as file:
        file.write((folder / "a.png").read_bytes())
    assert upscale(strange, tmp_path / "b.png") == 0
    assert capsys.readouterr().out == f"{folder}/\\udcff.png -> {tmp_path}/b.png (40x48)\n"


@pytest.mark.parametrize("error", [MemoryError(), tf.errors.ResourceExhaustedError(None, None, "OOM when allocating")])
def test_a_file_that_does_not_fit_into_memory_does_not_stop_the_others(folder, tmp_path, capsys, monkeypatch, error):
    bands = stream.bands

    def full(model, image, **options):
        if image.sizes == {"Y": 20, "X": 24}:
            raise error
        return bands(model, image, **options)

    monkeypatch.setattr(stream, "bands", full)
    assert upscale(folder, tmp_path / "out") == 1
    (line,) = error_lines(capsys)
    assert line.startswith(f"msrgan: error: {folder}/plate/b.TIF: does not fit into memory")
    assert len(io.list_images(tmp_path / "out")) == 2


def test_the_installed_command_is_quiet(folder, tmp_path):
    script = "import sys; from msrgan.apps.cli import main; sys.exit(main(sys.argv[1:]))"
    (folder / "bad.bmp").write_bytes(b"BM half a file")
    arguments = ["upscale", str(folder), "-o", str(tmp_path / "out"), "--model", "nearest"]
    env = {key: value for key, value in os.environ.items() if key != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, env=env)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "bad.bmp" in line
    assert len(done.stdout.splitlines()) == 4


def stack(folder, name="s.ome.tif"):
    """A stack (Z, C, Y, X) as OME-TIFF; returns its pixels."""
    pixels = np.random.default_rng(1).integers(0, 4095, (2, 3, 10, 9), dtype=np.uint16)
    known = {"axes": "ZCYX", "Channel": {"Name": ["DAPI", "GFP", "Cy5"]}}
    known |= {f"PhysicalSize{axis}": size for axis, size in (("X", 0.2), ("Y", 0.2), ("Z", 0.7))}
    tifffile.imwrite(folder / name, pixels, ome=True, photometric="minisblack", metadata=known)
    return pixels


def test_stacks_keep_what_their_file_knows_and_say_what_made_them(tmp_path):
    pixels = stack(tmp_path)
    assert upscale(tmp_path / "s.ome.tif", tmp_path / "out", "--channels", "Cy5,0", "--suffix", "_x2") == 0
    with msrgan.read(tmp_path / "out" / "s_x2.ome.tif") as image:
        assert (image.axes, image.dtype, image.format) == ("ZCYX", np.uint16, "ome-tiff")
        assert [channel.name for channel in image.channels] == ["Cy5", "DAPI"]
        assert image.pixel_size == pytest.approx((0.1, 0.1, 0.7))
        enlarged = np.stack([image.read(index) for index in image.indices()]).reshape(2, 2, 20, 18)
    np.testing.assert_array_equal(enlarged, pixels[:, [2, 0]].repeat(2, 2).repeat(2, 3))
    with tifffile.TiffFile(tmp_path / "out" / "s_x2.ome.tif") as file:
        said = file.ome_metadata
    assert "computationally generated: not a measurement" in said
    assert "nearest" in said


def test_a_hyperstack_is_made_of_planes_in_another_order(tmp_path):
    pixels = stack(tmp_path).swapaxes(0, 1)  # CZYX
    known = {"axes": "CZYX"}
    tifffile.imwrite(tmp_path / "t.ome.tif", pixels, ome=True, photometric="minisblack", metadata=known)
    assert upscale(tmp_path / "t.ome.tif", tmp_path / "out", "--format", "imagej") == 0
    with tifffile.TiffFile(tmp_path / "out" / "t.tif") as file:
        assert file.is_imagej
        assert file.series[0].axes == "ZCYX"
        np.testing.assert_array_equal(file.asarray(), pixels.swapaxes(0, 1).repeat(2, 2).repeat(2, 3))


@pytest.mark.parametrize(
    ("channels", "message"),
    [("3", "--channels are numbers from 0 to 2 or names"), ("GFP,1", "--channels are each named once")],
)
def test_channels_that_are_not_there_are_failures(tmp_path, capsys, channels, message):
    stack(tmp_path)
    assert upscale(tmp_path / "s.ome.tif", tmp_path / "out", "--channels", channels) == 1
    (line,) = error_lines(capsys)
    assert message in line


def test_existing_outputs_are_refused_skipped_or_replaced(folder, tmp_path, capsys):
    out = tmp_path / "out"
    assert upscale(folder, out) == 0
    (out / "a.png").write_bytes(b"mine")
    capsys.readouterr()
    assert upscale(folder, out) == 1
    shown = capsys.readouterr()
    assert len(shown.err.splitlines()) == 3
    assert f"{out}/a.png exists already. Choose --overwrite or --skip-existing" in shown.err
    assert len((out / "failures.csv").read_text().splitlines()) == 4
    assert upscale(folder, out, "--skip-existing") == 0
    assert capsys.readouterr().out == "0 done, 3 skipped, 0 failed\n"
    assert not (out / "failures.csv").exists()
    assert (out / "a.png").read_bytes() == b"mine"
    assert upscale(folder, out, "--overwrite", "--quiet") == 0
    assert capsys.readouterr() == ("", "")
    np.testing.assert_array_equal(
        io.read_pixels(out / "a.png"), io.read_pixels(folder / "a.png").repeat(2, 0).repeat(2, 1)
    )


def test_shards_partition_the_files(folder, tmp_path, capsys):
    for k in range(4):
        shutil.copy(folder / "a.png", folder / f"{k}.png")
    written = []
    for k in (1, 2, 3):
        assert upscale(folder, tmp_path / f"out{k}", "--shard", f"{k}/3") == 0
        written.append({str(path.relative_to(tmp_path / f"out{k}")) for path in io.list_images(tmp_path / f"out{k}")})
    assert sorted(len(names) for names in written) == [2, 2, 3]
    assert sorted(name for names in written for name in names) == [
        "0.png", "1.png", "2.png", "3.png", "a.png", "plate/b.TIF", "plate/c.jpg",
    ]  # fmt: skip
    for wrong in ("0/3", "4/3", "1", "a/b"):
        with pytest.raises(SystemExit, match="2"):
            upscale(folder, tmp_path / "out", "--shard", wrong)


def test_a_dry_run_writes_nothing_and_tells_what_would_be_written(folder, tmp_path, capsys):
    assert upscale(folder, tmp_path / "out", "--dry-run") == 0
    first, *_, last = capsys.readouterr().out.splitlines()
    assert first == f"{folder}/a.png -> {tmp_path}/out/a.png (YXS 48x40x3 uint8, png, 9.86 kB)"
    assert last == "3 done, 0 skipped, 0 failed"
    assert not (tmp_path / "out").exists()


def test_a_disk_without_room_is_told_before_the_first_tile(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(capacity, "free_disk", lambda path: 5000)
    monkeypatch.setattr(io.formats, "write", lambda *_, **__: pytest.fail("tiles were asked for"))
    assert cli.main(["upscale", str(folder / "a.png"), "-o", str(tmp_path / "out"), "--model", "nearest"]) == 1
    assert error_lines(capsys) == [
        f"msrgan: error: {folder}/a.png: {tmp_path}/out/a.png takes 27.1 kB. Received: a disk with 5 kB left. "
        "Make room, or choose another disk"
    ]


def test_files_that_claim_too_much_are_refused(folder, tmp_path, capsys):
    assert upscale(folder, tmp_path / "out", "--max-pixels", "500") == 1
    (line,) = error_lines(capsys)  # 24x20 = 480 pixels are fewer, 24x24 = 576 are not
    assert f"{folder}/plate/c.jpg: an image has at most --max-pixels pixels, 500. Received: 24 x 24" in line
    assert len(io.list_images(tmp_path / "out")) == 2


def test_ctrl_c_leaves_whole_files_only_and_the_rest_is_done_later(folder, tmp_path, capsys, monkeypatch):
    bands, out = stream.bands, tmp_path / "out"

    def interrupted(model, image, **options):
        for band in bands(model, image, **options):
            if image.source.name == "b.TIF":
                os.kill(os.getpid(), signal.SIGTERM)
            yield band

    monkeypatch.setattr(stream, "bands", interrupted)
    assert upscale(folder, out) == 130
    assert (
        capsys.readouterr().out.splitlines()[-1] == "1 done, 0 skipped, 0 failed, 2 left: --skip-existing does the rest"
    )
    assert [path for path in out.rglob("*") if path.is_file()] == [out / "a.png"]
    monkeypatch.undo()
    assert upscale(folder, out, "--skip-existing") == 0
    assert capsys.readouterr().out.splitlines()[-1] == "2 done, 1 skipped, 0 failed"


def test_options_of_formats_reach_the_writer(folder, tmp_path):
    assert upscale(folder / "plate", tmp_path / "out", "--format", "ome-tiff", "--compression", "zlib") == 0
    with tifffile.TiffFile(tmp_path / "out" / "c.ome.tif") as file:
        assert file.pages[0].compression.name == "ADOBE_DEFLATE"
    assert not (tmp_path / "out" / "c.jpg").exists()


def test_a_compressed_hyperstack_becomes_an_ome_tiff_and_that_is_said(tmp_path, capsys):
    pixels = stack(tmp_path)
    tifffile.imwrite(tmp_path / "a.tif", pixels, imagej=True, metadata={"axes": "ZCYX"})
    assert upscale(tmp_path / "a.tif", tmp_path / "b.tif", "--compression", "zlib") == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"{tmp_path}/b.tif becomes an OME-TIFF: ImageJ's hyperstacks are not compressed"
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        assert file.is_ome and file.pages[0].compression.name == "ADOBE_DEFLATE"
        np.testing.assert_array_equal(file.asarray(), pixels.repeat(2, 2).repeat(2, 3))


def test_a_dtype_that_the_format_has_not_is_told_before_the_work(tmp_path, capsys):
    pixels = np.zeros((3, 8, 8), np.float16)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack", metadata={"axes": "ZYX"})
    for options in (["--dry-run"], []):
        assert upscale(tmp_path / "a.tif", tmp_path / "b.tif", *options) == 1
        (line,) = error_lines(capsys)
        assert "Received: float16. Choose the --format ome-zarr-0.4" in line
    assert not (tmp_path / "b.tif").exists()


INTERRUPTED = """
import signal, sys, time
from msrgan.apps import cli
from msrgan.upscaling import stream

bands = stream.bands
signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs in the background of a shell ignores it

def slow(model, image, **options):
    for band in bands(model, image, **options):
        yield band
        if image.source.name == "b.TIF":
            print("half", flush=True)
            time.sleep(60)

stream.bands = slow
sys.exit(cli.main(sys.argv[1:]))
"""


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_run_is_finished_by_the_next(folder, tmp_path, capsys, number):
    out = tmp_path / "out"
    arguments = ["upscale", str(folder), "-o", str(out), "--model", "nearest", "--scale", "2"]
    run = subprocess.Popen([sys.executable, "-c", INTERRUPTED, *arguments], stdout=subprocess.PIPE, text=True)
    while run.stdout.readline() != "half\n":
        pass
    run.send_signal(number)
    run.communicate()
    killed = number == signal.SIGKILL
    assert run.returncode == (-number if killed else 130)
    left = sorted(path.name for path in out.rglob("*") if path.is_file())
    assert left == [".msrgan-b.TIF", "a.png"] if killed else ["a.png"]
    assert cli.main([*arguments, "--skip-existing"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "2 done, 1 skipped, 0 failed"
    assert sorted(path.name for path in out.rglob("*") if path.is_file()) == ["a.png", "b.TIF", "c.jpg"]
    whole = io.read_pixels(folder / "plate" / "b.TIF").repeat(2, 0).repeat(2, 1)
    np.testing.assert_array_equal(io.read_pixels(out / "plate" / "b.TIF"), whole)
