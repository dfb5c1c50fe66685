"""Prepared copies: what is said of damaged ones, and what a preparation leaves behind."""

import os
import shutil
import time
from pathlib import Path

import pytest
from test_brain_tumor import cjdata, write_5

from msrgan import cli, datasets
from msrgan.datasets import catalog

TRAIN = "brain_tumor-train.tfrecord-00000-of-00001"


@pytest.fixture
def raw(tmp_path):
    for k in range(5):
        write_5(tmp_path / "raw" / f"{k}.mat", cjdata(patient=f"P{k}"))
    return tmp_path / "raw"


@pytest.fixture
def copy(raw, tmp_path):
    """The folder of a prepared copy in `tmp_path`/tfds."""
    prepare(raw, tmp_path / "tfds")
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


def test_a_copy_without_its_description_is_damaged(raw, copy, tmp_path):
    (copy / "dataset_info.json").unlink()
    with pytest.raises(ValueError, match=f"^{copy} must be a whole .* Received: no dataset_info.json. Delete it"):
        prepare(raw, tmp_path / "tfds")


def test_a_preparation_says_one_line(raw, tmp_path, capsys):
    prepare(raw, tmp_path / "tfds")
    assert capsys.readouterr().out == f"preparing brain_tumor in {tmp_path}/tfds/brain_tumor/all/1.0.0\n"


def test_what_killed_preparations_left_is_removed_a_day_later(raw, copy, tmp_path):
    left = {}
    for name, age in (("incomplete.old", 25), ("incomplete.new", 1)):
        left[name] = copy.parent / name
        left[name].mkdir()
        (left[name] / "part").touch()
        for path in (left[name] / "part", left[name]):
            os.utime(path, (time.time() - 3600 * age,) * 2)
    (left["incomplete.old"] / "part").rename(left["incomplete.old"] / "renamed")  # the folder is new, and so in use
    shutil.rmtree(copy)
    prepare(raw, tmp_path / "tfds")
    assert sorted(path.name for path in copy.parent.iterdir()) == ["1.0.0", "incomplete.new", "incomplete.old"]
    os.utime(left["incomplete.old"], (time.time() - 3600 * 25,) * 2)
    shutil.rmtree(copy)
    prepare(raw, tmp_path / "tfds")
    assert sorted(path.name for path in copy.parent.iterdir()) == ["1.0.0", "incomplete.new"]
