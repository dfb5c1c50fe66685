"""A run folder: its lock, its config, and what it refuses."""

import json
import subprocess
import sys

import pytest
from conftest import ROOT

from msrgan.training.run import Run

ARGUMENTS = {"arguments": {"filters": 4}, "data": {"fingerprint": "a"}}


def test_a_folder_is_held_by_one_run(tmp_path):
    with Run(tmp_path / "run", **ARGUMENTS) as run:
        with pytest.raises(ValueError, match="run is in use by another run .process .*another `out`"):
            Run(tmp_path / "run", **ARGUMENTS)
        # Workers that are not the chief share it.
        with Run(tmp_path / "run", **ARGUMENTS, writes=False):
            pass
        assert (run.folder / "config.json").is_file()
    with Run(tmp_path / "run", **ARGUMENTS):
        pass
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["checkpoints", "config.json"]


def test_a_refused_run_frees_the_folder(tmp_path):
    with Run(tmp_path, **ARGUMENTS):
        pass
    with pytest.raises(ValueError, match="filters was 4, now 5"):
        Run(tmp_path, arguments={"filters": 5}, data=ARGUMENTS["data"])
    with Run(tmp_path, **ARGUMENTS):
        pass


def test_the_lock_dies_with_its_process(tmp_path):
    code = f"""
import sys
from pathlib import Path
from msrgan.training.lock import Lock
lock = Lock(Path({str(tmp_path)!r}))
print("held", flush=True)
sys.stdin.read()
"""
    other = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdout.readline() == "held\n"
    with pytest.raises(ValueError, match=f"in use by another run .process {other.pid}."):
        Run(tmp_path, **ARGUMENTS)
    other.kill()
    other.communicate()
    assert (tmp_path / ".lock").exists()
    with Run(tmp_path, **ARGUMENTS):
        pass


@pytest.mark.parametrize("resume", [True, False])
@pytest.mark.parametrize("part", ["checkpoints/ckpt-8.index", "history.csv", "samples/step_0000004.png"])
def test_parts_of_a_run_without_its_config_are_refused(part, resume, tmp_path):
    file = tmp_path / part
    file.parent.mkdir(exist_ok=True)
    file.write_text("x")
    name = part.partition("/")[0]
    with pytest.raises(ValueError, match=f"holds {name}, but no config.json that tells of which run. Remove them"):
        Run(tmp_path, **ARGUMENTS, resume=resume)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [file]


def test_a_folder_with_files_of_others_is_taken(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "checkpoints").mkdir()
    with Run(tmp_path, **ARGUMENTS, resume=False):
        pass
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_run_started_anew_keeps_its_lock(tmp_path):
    with Run(tmp_path, **ARGUMENTS) as run:
        run.history(0).on_epoch_end(1, {"step": 4.0, "loss": 0.5})
    with Run(tmp_path, **ARGUMENTS, resume=False):
        assert not (tmp_path / "history.csv").exists()
        with pytest.raises(ValueError, match="in use"):
            Run(tmp_path, **ARGUMENTS)


def test_history_goes_on_after_the_checkpoint(tmp_path):
    with Run(tmp_path, **ARGUMENTS) as run:
        history = run.history(0)
        for epoch in (1, 2):
            history.on_epoch_end(epoch, {"phase": "gan", "step": 4.0 * epoch, "loss": 0.5})
        run.history(5).on_epoch_end(2, {"phase": "gan", "step": 9.0, "loss": 0.25})
    lines = (tmp_path / "history.csv").read_text().split()
    assert lines == ["epoch,phase,step,loss", "1,gan,4,0.5", "2,gan,9,0.25"]


@pytest.mark.parametrize(
    "content",
    [b"a,b\n1,2\n", b"\x93NUMPY\xff\xfe\x00", b"epoch,step\n1,x\n", b"epoch,step\n1\n", b"epoch,step\n1,2,3\n"]
    + [b'epoch,step\n1,"2'],
)
def test_a_foreign_history_is_set_aside(content, tmp_path, caplog):
    with Run(tmp_path, **ARGUMENTS) as run:
        for _ in range(2):
            (tmp_path / "history.csv").write_bytes(content)
            run.history(9).on_epoch_end(1, {"step": 4, "loss": 0.5})
    assert [(tmp_path / f"history.bad{k}.csv").read_bytes() for k in (1, 2)] == [content] * 2
    assert (tmp_path / "history.csv").read_text().split() == ["epoch,step,loss", "1,4,0.5"]
    assert "history.csv is no history of a run" in caplog.text
    assert "set aside as history.bad1.csv" in caplog.text


def test_a_folder_that_was_removed_is_told(tmp_path):
    with Run(tmp_path / "run", **ARGUMENTS) as run:
        history = run.history(0)
        (tmp_path / "run" / "config.json").unlink()
        with pytest.raises(FileNotFoundError, match="was removed or emptied while the run was on"):
            history.on_epoch_end(1, {"step": 4})


def test_a_full_disk_names_the_file(tmp_path, monkeypatch):
    with Run(tmp_path, **ARGUMENTS) as run:

        def full(self, text):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("pathlib.Path.write_text", full)
        with pytest.raises(OSError, match="No space left") as error:
            run.write_json("classes.json", [])
    assert error.value.filename == str(tmp_path / "classes.json")


def test_the_commit_of_the_source_is_recorded(tmp_path):
    if not (ROOT / ".git").exists():
        pytest.skip("this source is no checkout")
    with Run(tmp_path, **ARGUMENTS):
        recorded = json.loads((tmp_path / "config.json").read_text())["git_commit"]
    head = subprocess.run(["git", "-C", ROOT, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    assert recorded == head.stdout.strip()


def test_history_keeps_the_epoch_that_ends_at_the_checkpoint(tmp_path):
    with Run(tmp_path, **ARGUMENTS) as run:
        for epoch in (1, 2, 3):
            run.history(4 * epoch - 4).on_epoch_end(epoch, {"step": 4.0 * epoch})
        assert [row["step"] for row in run.history(8).rows] == ["4", "8"]
