import re
import subprocess
import sys

import pytest
import tensorflow as tf
from conftest import error_lines

import msrgan
from msrgan.apps import cli


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
        assert error_lines(capsys) == [line]
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
        f"argument {flag}: must be a whole number from [012] to {2**31 - 1}. Received: {value}$",
        error_lines(capsys)[-1],
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
    assert error_lines(capsys) == [f"msrgan: error: {flag} and `no_option` do not fit"]


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
