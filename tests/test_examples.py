"""The folders that examples/raw.py draws where there are no real images, and stage 1 on the sets of two lineages."""

import importlib.util
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import ROOT, table

import train_vgg
from msrgan import datasets

_SPEC = importlib.util.spec_from_file_location("raw", ROOT / "examples" / "raw.py")
raw = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(raw)

# Of each set the channels and the type of its images, and how many are drawn.
DRAWN = {
    "cyto2017": (3, np.uint8, 65),
    "hpa": (4, np.uint8, 12),
    "tissue": (3, np.uint8, 24),  # four tiles of each of six slides
    "oct": (1, np.uint8, 16),
    "brain_tumor": (1, np.uint16, 24),
}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A function that prepares a drawn set, once; returns the folders of raw files and of copies."""
    root = tmp_path_factory.mktemp("examples")

    def prepare(name):
        if not (root / name).is_dir():
            raw.WRITERS[name](root / name, Path("absent"))
        return {"manual_dir": root / name, "data_dir": root / "tfds"}

    return prepare


def test_every_lineage_has_a_writer():
    assert set(raw.WRITERS) == set(DRAWN) == set(datasets.BUILDERS) - {"simulated"}


@pytest.mark.parametrize("name", DRAWN)
def test_drawn_folders_are_prepared_without_loss(name, prepared, said):
    channels, dtype, count = DRAWN[name]
    groups = {split: set() for split in ("train", "validation", "test")}
    for split, names in groups.items():
        for example in datasets.load(name, split, **prepared(name)).as_numpy_iterator():
            names.add(example["group"])
            assert (example["image"].shape[-1], example["image"].dtype) == (channels, dtype)
            assert example["image"].std() > 5  # of 255 or 65535: something is drawn
    assert all(groups.values())
    assert len(set.union(*groups.values())) == sum(map(len, groups.values()))
    assert f"{name}: {count} examples prepared, 0 raw images skipped" in said.text


@pytest.mark.parametrize("name", ["oct", "brain_tumor"])
def test_stage_1_trains_on_the_set(name, prepared, tmp_path, untraced):
    arguments = ["--data", name, "--out", tmp_path, "--width", 1 / 32, "--image-size", 32]
    arguments += ["--epochs", 1, "--batch-size", 4]
    where = [f"--{key.replace('_', '-')}={folder}" for key, folder in prepared(name).items()]
    assert train_vgg.main([str(argument) for argument in (*arguments, *where)]) == 0
    scores = table(tmp_path / "per_class.csv")
    assert [row["class"] for row in scores] == list(datasets.class_names(name))
    held_out = datasets.load(name, "validation", labels=True, **prepared(name)).as_numpy_iterator()
    count = np.bincount([example["label"] for example in held_out], minlength=len(scores))
    assert [int(row["images"]) for row in scores] == count.tolist()
    (row,) = table(tmp_path / "history.csv")
    assert 0 < float(row["loss"]) < 20
    assert cv2.imread(str(tmp_path / "confusion.png")) is not None
