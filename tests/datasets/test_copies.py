"""Prepared copies: what is said of damaged ones, and what a preparation leaves behind."""

import json
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from msrgan import datasets
from msrgan.apps import cli
from msrgan.datasets import catalog, copies
from msrgan.datasets.brain_tumor import matlab

TRAIN = "brain_tumor-train.tfrecord-00000-of-00001"


@pytest.fixture
def copy(few_slices_prepared, tmp_path):
    """The folder of a prepared copy in `tmp_path`/tfds."""
    shutil.copytree(few_slices_prepared, tmp_path / "tfds")
    return tmp_path / "tfds" / "brain_tumor" / "all" / "1.0.0"


def prepare(raw, data_dir):
    return datasets.load("brain_tumor", "train", manual_dir=raw, data_dir=data_dir)


def shorten(path):
    path.write_bytes(path.read_bytes()[:-20])


@pytest.mark.parametrize(
    ("file", "damage", "reason"),
    [
        (TRAIN, shorten, "train has .* bytes of "),
        (TRAIN, Path.unlink, "No such file"),
        ("dataset_info.json", shorten, "Failed to load JSON"),
        ("dataset_info.json", lambda path: path.write_bytes(b"\xff\xfe"), "invalid start byte"),
        ("features.json", shorten, "Unterminated string"),
        ("features.json", Path.unlink, "Cannot restore"),
    ],
)
def test_a_damaged_copy_is_named(copy, tmp_path, file, damage, reason, capsys):
    damage(copy / file)
    with pytest.raises(ValueError, match=f"^{copy} must be a whole prepared copy. Received: .*{reason}.*") as error:
        datasets.load("brain_tumor", "train", data_dir=tmp_path / "tfds")
    assert str(error.value).endswith(". Delete it and prepare it again.")
    assert "\n" not in str(error.value)
    assert datasets.class_names("brain_tumor", data_dir=tmp_path / "tfds")[0] == "meningioma"
    assert catalog.prepared("brain_tumor", tmp_path / "tfds") == {"brain_tumor/all/1.0.0": None}
    assert cli.main(["datasets", "--data-dir", str(tmp_path / "tfds")]) == 0
    assert f"{copy}: damaged; delete it and prepare it again" in " ".join(capsys.readouterr().out.split())


def test_a_copy_without_its_description_is_damaged(few_slices, copy, tmp_path):
    (copy / "dataset_info.json").unlink()
    with pytest.raises(ValueError, match=f"^{copy} must be a whole .* Received: no dataset_info.json. Delete it"):
        prepare(few_slices, tmp_path / "tfds")


def test_a_preparation_says_where_and_how_much(few_slices, tmp_path, said, capsys):
    prepare(few_slices, tmp_path / "tfds")
    assert said.messages == [
        f"preparing brain_tumor in {tmp_path}/tfds/brain_tumor/all/1.0.0",
        "brain_tumor: 5 examples prepared, 0 raw images skipped",
    ]
    assert capsys.readouterr().out == ""
    copy = tmp_path / "tfds" / "brain_tumor" / "all" / "1.0.0"
    assert sorted(path.name for path in copy.iterdir() if "tfrecord" not in path.name) == [
        "LICENSE",
        "dataset_info.json",
        "features.json",
        "label.labels.txt",
    ]
    prepare(few_slices, tmp_path / "tfds")
    assert said.messages[2:] == [f"brain_tumor: using the prepared copy {copy}; its raw files are not read again"]


def test_what_killed_preparations_left_is_removed_a_day_later(few_slices, copy, tmp_path):
    left = {}
    for name, age in (("incomplete.old", 25), ("incomplete.new", 1)):
        left[name] = copy.parent / name
        left[name].mkdir()
        (left[name] / "part").touch()
        for path in (left[name] / "part", left[name]):
            os.utime(path, (time.time() - 3600 * age,) * 2)
    (left["incomplete.old"] / "part").rename(left["incomplete.old"] / "renamed")  # the folder is new, and so in use
    shutil.rmtree(copy)
    prepare(few_slices, tmp_path / "tfds")
    assert sorted(path.name for path in copy.parent.iterdir()) == ["1.0.0", "incomplete.new", "incomplete.old"]
    os.utime(left["incomplete.old"], (time.time() - 3600 * 25,) * 2)
    shutil.rmtree(copy)
    prepare(few_slices, tmp_path / "tfds")
    assert sorted(path.name for path in copy.parent.iterdir()) == ["1.0.0", "incomplete.new"]


def a_dead_process():
    with subprocess.Popen(["true"]) as process:
        return process.pid


def test_what_a_dead_process_of_this_machine_left_is_removed_at_once(tmp_path):
    dead, machine = a_dead_process(), copies._machine()
    assert machine.startswith(socket.gethostname())
    signatures = {
        "dead": {"machine": machine, "process": dead},
        "alive": {"machine": machine, "process": os.getpid()},
        "elsewhere": {"machine": f"another {machine}", "process": dead},
        "strange": {"machine": machine},
    }
    for name, signature in signatures.items():
        (tmp_path / f"incomplete.{name}").mkdir()
        (tmp_path / f"incomplete.{name}" / copies.PREPARER).write_text(json.dumps(signature))
    (tmp_path / "incomplete.unsigned").mkdir()
    (tmp_path / "incomplete.cut").mkdir()
    (tmp_path / "incomplete.cut" / copies.PREPARER).write_text('{"machine"')
    copies.remove_abandoned(tmp_path)
    assert sorted(path.name.partition(".")[2] for path in tmp_path.iterdir()) == [
        "alive",
        "cut",
        "elsewhere",
        "strange",
        "unsigned",
    ]


def test_a_killed_preparation_leaves_no_copy_and_goes_with_the_next(few_slices, tmp_path, monkeypatch):
    folder = tmp_path / "brain_tumor" / "all"
    read = matlab.read

    def read_and_keep(path):
        # What a process leaves that is killed now: TFDS removes its folder after any error.
        for unfinished in folder.glob("incomplete.*_1.0.0"):
            shutil.copytree(unfinished, folder / "incomplete.KILLED", dirs_exist_ok=True)
        return read(path)

    with monkeypatch.context() as patch:
        patch.setattr(matlab, "read", read_and_keep)
        prepare(few_slices, tmp_path)
    signature = folder / "incomplete.KILLED" / copies.PREPARER
    assert json.loads(signature.read_text()) == {"machine": copies._machine(), "process": os.getpid()}
    assert list(catalog.prepared("brain_tumor", tmp_path)) == ["brain_tumor/all/1.0.0"]
    shutil.rmtree(folder / "1.0.0")
    assert catalog.prepared("brain_tumor", tmp_path) == {}
    signature.write_text(signature.read_text().replace(str(os.getpid()), str(a_dead_process())))
    prepare(few_slices, tmp_path)
    assert [path.name for path in folder.iterdir()] == ["1.0.0"]
