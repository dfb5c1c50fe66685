"""Folders of acquired pairs: which files are pairs, and what is no pair."""

import numpy as np
import pytest
import tifffile
from conftest import binned, blocky, make_pairs, write_pairs

from msrgan import datasets, io


@pytest.fixture
def folder(tmp_path):
    write_pairs(tmp_path, make_pairs())
    return tmp_path


def read(folder, split="all"):
    return {e["id"].decode(): e for e in datasets.load(folder, split).as_numpy_iterator()}


def test_pairs_are_read_together(folder):
    examples = read(folder)
    assert set(examples) == {f"field{k}.png" for k in range(8)}
    for k in range(8):
        example = examples[f"field{k}.png"]
        assert set(example) == {"id", "group", "image", "lr"}
        np.testing.assert_array_equal(example["image"], blocky(k))
        np.testing.assert_array_equal(example["lr"], binned(blocky(k)))


def test_suffixes_and_depths_may_differ(tmp_path):
    hr = blocky(0, dtype=np.uint16)
    lr = (binned(hr) / 257).astype(np.uint8)
    write_pairs(tmp_path, {"deep/a": (lr, hr)}, (".png", ".tif"))
    (example,) = read(tmp_path).values()
    assert example["id"] == b"deep/a.tif"
    assert (example["image"].dtype, example["lr"].dtype) == (np.uint16, np.uint8)


def test_splits_are_those_of_plain_folders(folder, tmp_path):
    train, validation = (set(read(folder, split)) for split in ("train", "validation"))
    assert train | validation == set(read(folder))
    assert not train & validation
    assert len(validation) == 1
    assert set(read(folder, "test")) == validation


def test_split_folders(tmp_path):
    for split, names in (("train", "ab"), ("val", "a"), ("test", "c")):
        write_pairs(tmp_path / split, {n: (binned(blocky(0)).astype("uint16"), blocky(0)) for n in names})
    assert set(read(tmp_path, "train")) == {"train/a.png", "train/b.png"}
    assert set(read(tmp_path, "validation")) == {"val/a.png"}
    assert set(read(tmp_path, "test")) == {"test/c.png"}


def test_capital_folders(tmp_path):
    write_pairs(tmp_path, make_pairs(1))
    for side in ("lr", "hr"):
        (tmp_path / side).rename(tmp_path / side.upper())
    assert "lr" in read(tmp_path)["field0.png"]


def test_images_without_a_partner_are_named_and_counted(folder, said):
    (folder / "lr" / "field3.png").unlink()
    (folder / "hr" / "field5.png").unlink()
    io.write_pixels(folder / "hr" / "field6.tif", blocky(6))
    with pytest.raises(ValueError) as error:
        datasets.load(folder, "train")
    assert f"Received: 3 of {folder} without: " in str(error.value)
    assert "\n" not in str(error.value)
    assert said.messages == [
        f"{folder}/lr/field5.png (no partner in hr/)",
        f"{folder}/hr/field3.png (no partner in lr/)",
        f"{folder}/hr/field6.tif (beside field6.png)",
    ]


@pytest.mark.parametrize(
    ("files", "wrong"),
    [
        ("lr/a lr/b", "no folder {}/hr"),
        ("HR/a", "no folder {}/lr"),
        ("LR_x4/a HR/a", "no folder {0}/lr, images in {0}/LR_x4"),
        ("LRx4/a HRx4/a", "images in {}/LRx4"),
        ("hr/a lr/a lr_old/a", "images in {}/lr_old"),
        ("fields/A/lr/a fields/A/hr/a", "images in {0}/fields/A/hr, images in {0}/fields/A/lr"),
        ("train/lr/a train/hr/a val/a", "images in {}/val"),
        ("train/lr/a train/hr/a val/hr/a", "no folder {}/val/lr"),
        ("train/lr/a train/hr/a lr/train/a hr/train/a", "images in {0}/hr/train, images in {0}/lr/train"),
        ("lr/a hr/a overview", "images in {}"),
        (
            "lr/a hr/a 1/b 2/b 3/b 4/b 5/b 6/b 7/b",
            ", ".join(f"images in {{0}}/{k}" for k in range(1, 6)) + " and 2 more",
        ),
    ],
)
def test_half_pairs_are_no_plain_images(tmp_path, files, wrong):
    for name in files.split():
        io.write_pixels(tmp_path / f"{name}.png", blocky(0))
    with pytest.raises(ValueError, match="Acquired pairs lie in folders lr and hr of") as error:
        datasets.load(tmp_path, "train")
    assert f"without an image beside them. Received: {wrong.format(tmp_path)}. Rename" in str(error.value)


def test_masks_may_lie_beside_pairs(folder):
    io.write_pixels(folder / "masks" / "field0.png", blocky(0))
    assert len(read(folder)) == 8


def test_names_of_other_folders_may_look_like_those_of_pairs(tmp_path):
    for name in ("24 hr/a", "48hr/a", "hr_72/a", "HR+/a", "control/lrp1/b", "LR_x4"):
        io.write_pixels(tmp_path / f"{name}.png", blocky(0))
    assert "lr" not in read(tmp_path)["24 hr/a.png"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty: holds no images"):
        datasets.load(tmp_path / "empty", "train")


def test_lr_and_hr_may_be_links_and_hold_the_split_folders(tmp_path):
    write_pairs(tmp_path / "scans", make_pairs(3))
    for k, split in enumerate(("train", "val", "test")):
        for side in ("lr", "hr"):
            folder = tmp_path / "scans" / side
            (folder / split).mkdir()
            (folder / f"field{k}.png").rename(folder / split / f"field{k}.png")
    (tmp_path / "set").mkdir()
    for side, linked in (("lr", "LR_x2"), ("hr", "HR")):
        (tmp_path / "scans" / side).rename(tmp_path / "scans" / linked)
        (tmp_path / "set" / side).symlink_to(tmp_path / "scans" / linked)
    names = {split: list(read(tmp_path / "set", split)) for split in ("train", "validation", "test")}
    assert names == {"train": ["train/field0.png"], "validation": ["val/field1.png"], "test": ["test/field2.png"]}


def test_a_damaged_file_drops_its_pair(folder, said):
    (folder / "lr" / "field3.png").write_bytes(b"nothing")
    for side, size, missing in (("lr", 16, 0), ("hr", 32, np.nan)):
        (folder / side / "field5.png").unlink()
        tifffile.imwrite(folder / side / "field5.tif", np.full((size, size), missing, np.float32))
    assert set(read(folder)) == {f"field{k}.png" for k in range(8) if k not in (3, 5)}
    assert f"skipped {folder}/lr/field3.png: " in said.text
    assert f"skipped {folder}/hr/field5.tif: " in said.text


def test_pairs_have_no_labels(folder):
    with pytest.raises(ValueError, match="no labels"):
        datasets.load(folder, "train", labels=True)
