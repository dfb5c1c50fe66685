import csv
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


def lines(capsys):
    return capsys.readouterr().err.strip().splitlines()


def test_evaluate(tmp_path, capsys):
    rng = np.random.default_rng(0)
    for i in range(3):
        io.write(tmp_path / "data" / f"{i}.png", rng.integers(0, 255, (40, 48), dtype=np.uint8))
    arguments = [
        "evaluate",
        "--model",
        "bicubic",
        "--data",
        str(tmp_path / "data"),
        "--out",
        str(tmp_path / "out"),
    ]
    assert cli.main(arguments) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    assert "3 images, degradation bicubic" in shown.out
    assert cli.main([*arguments, "--limit", "2", "--degradation", "area", "--scale", "2"]) == 0
    with open(tmp_path / "out" / "scores.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == 2
    assert "2 images, degradation area" in capsys.readouterr().out


def test_evaluate_goes_on_without_an_unreadable_image(tmp_path, capsys):
    for i in range(3):
        io.write(tmp_path / "data" / f"{i}.tif", np.random.default_rng(i).random((20, 20, 1), np.float32))
    Image.fromarray(np.full((20, 20), np.nan, np.float32)).save(tmp_path / "data" / "nan.tif")
    arguments = ["--model", "bicubic", "--data", str(tmp_path / "data"), "--out", str(tmp_path / "out")]
    assert cli.main(["evaluate", *arguments]) == 0
    shown = capsys.readouterr()
    assert "3 images, degradation bicubic" in shown.out
    assert "nan.tif: pixels must be finite" in shown.err


def test_evaluate_names_training_images_and_bad_ones(tmp_path, capsys, monkeypatch):
    io.write(tmp_path / "data" / "seen.png", np.eye(40, dtype=np.uint8))
    io.write(tmp_path / "data" / "small.png", np.eye(9, dtype=np.uint8))
    model = msrgan.load("bicubic")
    model.metadata["training_hashes"] = [io.content_hash(io.read(tmp_path / "data" / "seen.png"))]
    monkeypatch.setattr("msrgan.models.load", lambda *_, **__: model)
    arguments = ["evaluate", "--model", "x", "--data", str(tmp_path / "data"), "--out", str(tmp_path / "out")]
    assert cli.main(arguments) == 0
    skipped, count, seen = lines(capsys)
    assert skipped.startswith("msrgan: warning: skipped small.png: An image must have 16 pixels")
    assert count == "msrgan: warning: 1 images were skipped"
    assert seen == "msrgan: warning: 1 images were in the model's training set: seen.png"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--data", "missing"], "missing"),
        (["--data", "DATA", "--degradation", "fog"], "degradation is one of"),
        (["--data", "DATA", "--degradation", "acquired"], "--degradation asks for acquired pairs, and a.png has no LR"),
        (["--data", "DATA", "--scale", "16"], "No image could be scored. a.png"),
        (["--data", "DATA", "--out", "DATA/a.png"], "a.png"),
    ],
)
def test_evaluate_errors(tmp_path, capsys, options, message):
    io.write(tmp_path / "data" / "a.png", np.eye(40, dtype=np.uint8))
    options = [option.replace("DATA", str(tmp_path / "data")) for option in options]
    out = [] if "--out" in options else ["--out", str(tmp_path / "out")]
    assert cli.main(["evaluate", "--model", "bicubic", *options, *out]) == 2
    (line,) = lines(capsys)
    assert message in line
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


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
