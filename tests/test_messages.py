import argparse
import io
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from msrgan import messages


def test_a_command_shows_what_is_said_and_warned(capsys):
    def body():
        messages.say("2 images")
        messages.warn("one is dark")

    assert messages.command(body, name="x") == 0
    assert capsys.readouterr() == ("2 images\n", "x: warning: one is dark\n")


def test_without_a_command_the_library_only_logs(capsys, caplog):
    with caplog.at_level(logging.INFO, logger="msrgan"):
        messages.say("2 images")
        messages.warn("one is dark")
    assert [(r.name, r.levelname, r.getMessage()) for r in caplog.records] == [
        ("msrgan", "INFO", "2 images"),
        ("msrgan", "WARNING", "one is dark"),
    ]
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("error", "code"),
    [(ValueError("a\n b"), 2), (OSError("a b"), 2), (FloatingPointError("a b"), 1)],
)
def test_errors_become_one_line_and_an_exit_code(error, code, capsys):
    def body():
        raise error

    assert messages.command(body) == code
    assert capsys.readouterr() == ("", "msrgan: error: a b\n")


def test_a_bug_passes():
    with pytest.raises(ZeroDivisionError):
        messages.command(lambda: 1 / 0)


def test_arguments_are_shown_as_the_options_of_the_command(capsys):
    parser = argparse.ArgumentParser()
    parser.add_argument("--patch-size")
    parser.add_argument("--no-resume", dest="resume")

    def body():
        raise ValueError("`patch_size` and `resume`, not `tile` or patch_size. Received: 3")

    messages.command(body, options=messages.flags(parser))
    assert (
        capsys.readouterr().err
        == "msrgan: error: --patch-size and --no-resume, not `tile` or patch_size. Received: 3\n"
    )


def test_a_system_error_names_its_file(capsys):
    messages.command(lambda: Path("/nowhere/x").read_bytes())
    assert capsys.readouterr().err == "msrgan: error: /nowhere/x: No such file or directory\n"


def test_sigterm_ends_a_command_like_ctrl_c():
    before = signal.getsignal(signal.SIGTERM)
    assert messages.command(lambda: os.kill(os.getpid(), signal.SIGTERM)) == 130
    assert signal.getsignal(signal.SIGTERM) is before


def test_an_error_of_clearing_up_after_ctrl_c_is_no_bug():
    def body():
        try:
            raise KeyboardInterrupt
        finally:
            raise RuntimeError("release unlocked lock")

    assert messages.command(body) == 130


def test_a_closed_pipe_does_not_end_the_work(tmp_path):
    program = (
        "import sys; from msrgan import messages\n"
        "def body():\n"
        "    for k in range(20000): messages.say(f'line {k}')\n"
        f"    open({str(tmp_path / 'done')!r}, 'w').close()\n"
        "sys.exit(messages.command(body))"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", program], stdout=pipe, stderr=pipe) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.wait() == 0
        assert process.stderr.read() == b""
    assert (tmp_path / "done").is_file()


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


@pytest.mark.parametrize(("files", "shown"), [(2, True), (1, True), (2, False)])
def test_bars_are_shown_on_terminals_and_lines_stand_above_them(files, shown, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)

    def body():
        with messages.Bars(files, shown=shown) as bars:
            for _ in range(files):
                for k in range(3):
                    bars.tiles(k + 1, 3)
                messages.warn("a line")
                bars.next_file()

    assert messages.command(body) == 0
    text = terminal.getvalue()
    assert ("tiles: " in text) is shown
    assert ("0/2 [" in text) is (shown and files > 1)
    assert text.count("msrgan: warning: a line\n") == files


def test_no_bars_are_written_into_pipes(capsys):
    with messages.Bars(2) as bars:
        bars.tiles(1, 3)
        bars.next_file()
    assert capsys.readouterr() == ("", "")


def test_a_command_can_be_told_to_hush(capsys):
    def body():
        messages.hush()
        messages.say("2 images")
        messages.warn("one is dark")

    assert messages.command(body) == 0
    assert capsys.readouterr() == ("", "msrgan: warning: one is dark\n")
    messages.command(lambda: messages.say("again"))
    assert capsys.readouterr().out == "again\n"
