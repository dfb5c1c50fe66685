"""Prepared copies: what is said of damaged ones, and what a preparation leaves behind."""

import subprocess
import sys
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


def left_in(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


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


def test_a_preparation_says_one_line_and_leaves_the_copy_only(raw, tmp_path, capsys):
    prepare(raw, tmp_path / "tfds")
    assert capsys.readouterr().out == f"preparing brain_tumor in {tmp_path}/tfds/brain_tumor/all/1.0.0\n"
    assert [path.name for path in (tmp_path / "tfds").iterdir()] == ["brain_tumor"]
    assert left_in(tmp_path / "tfds" / "brain_tumor")[:4] == [".config", ".config/metadata.json", "all", "all/1.0.0"]


@pytest.mark.parametrize("there", [True, False])
def test_a_preparation_that_fails_leaves_nothing(tmp_path, there):
    write_5(tmp_path / "raw" / "1.mat", cjdata())
    if there:
        (tmp_path / "tfds").mkdir()
    with pytest.raises(ValueError, match="too few patients"):
        prepare(tmp_path / "raw", tmp_path / "tfds")
    assert (tmp_path / "tfds").exists() == there
    assert left_in(tmp_path) == ["raw", "raw/1.mat", "tfds"][: 2 + there]


def test_a_preparation_that_fails_leaves_other_copies(raw, copy, tmp_path):
    before = left_in(tmp_path)
    with pytest.raises(ValueError, match="brain_tumor/512 takes 512x512 only"):
        datasets.load("brain_tumor/512", "train", manual_dir=raw, data_dir=tmp_path / "tfds")
    assert left_in(tmp_path) == before


KILLED = """
import sys, time

def writing(self, paths):
    print("writing", flush=True)
    time.sleep(60)

from msrgan import datasets
from msrgan.datasets import brain_tumor
brain_tumor.BrainTumor._generate_examples = writing
datasets.load("brain_tumor", "train", manual_dir=sys.argv[1], data_dir=sys.argv[2])
"""


def test_what_killed_preparations_left_is_removed_but_not_what_is_being_written(raw, tmp_path):
    copies = tmp_path / "tfds" / "brain_tumor" / "all"
    other = subprocess.Popen(
        [sys.executable, "-c", KILLED, raw, tmp_path / "tfds"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        assert b"writing\n" in iter(other.stdout.readline, b"")
        found = list(copies.glob("incomplete.*"))
        assert len(found) == 1
        with pytest.raises(ValueError, match="too few patients"):
            prepare(raw_of_one(tmp_path), tmp_path / "tfds")
        assert list(copies.iterdir()) == found
    finally:
        other.kill()
        other.communicate()
    prepare(raw, tmp_path / "tfds")
    assert [path.name for path in copies.iterdir()] == ["1.0.0"]


def raw_of_one(tmp_path):
    write_5(tmp_path / "one" / "1.mat", cjdata())
    return tmp_path / "one"
