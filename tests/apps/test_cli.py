import os
import re
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import msrgan
from msrgan import io
from msrgan.apps import cli


@pytest.fixture
def folder(tmp_path):
    """A folder of good files of several kinds, and a damaged one."""
    rng = np.random.default_rng(0)
    io.write(tmp_path / "in" / "a.png", rng.integers(0, 255, (24, 20, 3), dtype=np.uint8))
    io.write(tmp_path / "in" / "plate" / "b.TIF", rng.integers(0, 4095, (20, 24), dtype=np.uint16), pixel_size=0.5)
    io.write(tmp_path / "in" / "plate" / "c.jpg", rng.integers(0, 255, (24, 24), dtype=np.uint8))
    return tmp_path / "in"


def lines(capsys):
    return capsys.readouterr().err.strip().splitlines()


def test_a_folder_is_mirrored(folder, tmp_path):
    assert cli.main(["upscale", str(folder), "-o", str(tmp_path / "out"), "--model", "bicubic"]) == 0
    found = io.list_images(tmp_path / "out")
    assert [str(path.relative_to(tmp_path / "out")) for path in found] == [
        "a.png",
        "plate/b.TIF",
        "plate/c.jpg",
    ]
    for path in found:
        source = io.read(folder / path.relative_to(tmp_path / "out"))
        enlarged = io.read(path)
        assert enlarged.dtype == source.dtype
        assert enlarged.shape == (4 * source.shape[0], 4 * source.shape[1], source.shape[2])
    np.testing.assert_array_equal(
        io.read(tmp_path / "out" / "a.png"), msrgan.upscale("bicubic", io.read(folder / "a.png"))
    )
    assert io.read_pixel_size(tmp_path / "out" / "plate" / "b.TIF") == pytest.approx(0.125)


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
    first, second, last = lines(capsys)
    assert "bad.png: cannot be read as an image (damaged, truncated, or" in first
    assert "nan.tif: pixels must be finite. Received: 64 NaN" in second
    assert last == "msrgan: error: 2 of 5 files could not be upscaled"
    assert len(io.list_images(out)) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["IN/none.png", "-o", "OUT"], "none.png: no such file or folder"),
        (["IN", "-o", "OUT", "--model", "IN/none"], "none: there is no exported model. Found: nothing"),
        (["IN", "-o", "OUT", "--model", "IN"], "there is no exported model. Found: a folder of a.png, plate"),
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
    (line,) = lines(capsys)
    assert line.startswith("msrgan: error: ")
    assert message in line
    assert not (tmp_path / "out").exists()
    assert (folder / "a.png").read_bytes() == before


def test_an_empty_folder_is_an_error(tmp_path, capsys):
    assert cli.main(["upscale", str(tmp_path), "-o", str(tmp_path.parent / "x"), "--model", "bicubic"]) == 2
    assert "holds no images" in lines(capsys)[0]


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
    assert lines(capsys) == [f"msrgan: error: {tmp_path / 'file'}: File exists"]


def test_a_full_disk_is_an_error_of_each_file(folder, tmp_path, capsys, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device", "x.png")

    monkeypatch.setattr(io, "write", full)
    assert cli.main(["upscale", str(folder), "-o", str(tmp_path / "out"), "--model", "nearest"]) == 1
    assert lines(capsys)[0] == "msrgan: error: x.png: No space left on device"


def test_a_tile_may_be_small(folder, tmp_path):
    arguments = ["upscale", str(folder / "a.png"), "-o", str(tmp_path / "x.png"), "--model", "bicubic"]
    assert cli.main([*arguments, "--tile", "7"]) == 0


def test_command_turns_errors_of_the_user_into_one_line(capsys):
    def raising(error):
        def body():
            raise error

        return body

    for error, code, line in [
        (ValueError("two\nlines"), 2, "msrgan: error: two lines"),
        (PermissionError(13, "Permission denied", "/data"), 2, "msrgan: error: /data: Permission denied"),
        (FileNotFoundError("/data: no such folder"), 2, "msrgan: error: /data: no such folder"),
        (FloatingPointError("The loss is NaN"), 1, "msrgan: error: The loss is NaN"),
        (
            tf.errors.InvalidArgumentError(None, None, "ValueError: a.tif: holds NaN\nTraceback ..."),
            2,
            "msrgan: error: a.tif: holds NaN",
        ),
        (
            tf.errors.UnknownError(None, None, "PermissionError: [Errno 13] Permission denied: 'a.tif'\nTraceback ..."),
            2,
            "msrgan: error: [Errno 13] Permission denied: 'a.tif'",
        ),
        (
            tf.errors.DataLossError(None, None, "corrupted record at 12"),
            2,
            "msrgan: error: a prepared copy is damaged. Delete it (`msrgan datasets` tells where) and prepare again",
        ),
    ]:
        assert cli.command(raising(error)) == code
        assert lines(capsys) == [line]
    assert cli.command(raising(KeyboardInterrupt())) == 130
    for error in (KeyError("a bug"), tf.errors.InternalError(None, None, "a bug")):
        with pytest.raises(type(error)):
            cli.command(raising(error))
    assert cli.command(lambda: None) == 0
    assert cli.command(lambda: 1) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["upscale", "a", "-o", "b", "--model", "bicubic", "--tile", "0"],
        ["upscale", "a", "-o", "b", "--model", "bicubic", "--overlap", "-1"],
        ["evaluate", "--data", "a", "--out", "b", "--model", "bicubic", "--scale", "1"],
        ["evaluate", "--data", "a", "--out", "b", "--model", "bicubic", "--limit", "x"],
    ],
)
def test_numbers_out_of_range_are_usage_errors(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == 2
    flag, value = arguments[-2:]
    assert re.search(
        f"argument {flag}: must be a whole number from [012] to {2**31 - 1}. Received: {value}$", lines(capsys)[-1]
    )


@pytest.mark.parametrize(
    ("command", "flag"),
    [
        (["upscale", "a", "-o", "b", "--model", "c"], "--tile"),
        (["evaluate", "--data", "a", "--out", "b", "--model", "c"], "--degradation"),
        (["opinions", "a"], "--seed"),
        (["datasets"], "--manual-dir"),
    ],
)
def test_errors_name_the_options_of_their_command(command, flag, capsys, monkeypatch):
    argument = flag.removeprefix("--").replace("-", "_")

    def wrong(arguments):
        raise ValueError(f"`{argument}` and `no_option` do not fit")

    monkeypatch.setattr(f"msrgan.apps.cli.{command[0]}._{command[0]}", wrong)
    assert cli.main(command) == 2
    assert lines(capsys) == [f"msrgan: error: {flag} and `no_option` do not fit"]


def test_usage_errors_exit_2(capsys):
    for arguments in ([], ["upscale"], ["upscale", "a", "--model", "b"], ["unknown"]):
        with pytest.raises(SystemExit) as exit_:
            cli.main(arguments)
        assert exit_.value.code == 2
    assert "usage: msrgan" in capsys.readouterr().err


def test_version(capsys):
    with pytest.raises(SystemExit) as exit_:
        cli.main(["--version"])
    assert exit_.value.code == 0
    assert capsys.readouterr().out == f"msrgan {msrgan.__version__}\n"


def test_heavy_libraries_wait_until_they_are_used():
    script = (
        "import sys, msrgan, msrgan.apps.cli\n"
        "assert set(msrgan.__all__) <= set(dir(msrgan)) and msrgan.__version__\n"
        "try: msrgan.apps.cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'tensorflow', 'keras', 'numpy', 'cv2', 'skimage', 'matplotlib', 'scipy'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_public_names_are_there():
    for name in ("load", "upscale", "export"):
        assert callable(getattr(msrgan, name))
    with pytest.raises(AttributeError, match="nothing"):
        _ = msrgan.nothing


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
