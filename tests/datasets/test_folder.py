"""Plain folders: splits, classes, bit depths, label maps, and files that cannot be read."""

import contextlib
import json
import os

import cv2
import numpy as np
import pytest
import tensorflow as tf
import tifffile
from conftest import ids, load_examples, spots, write_image

from msrgan import datasets, io
from msrgan.apps import cli
from msrgan.datasets.folder import class_names
from msrgan.datasets.localisation import LOCALISATIONS


def test_folder_splits_share_nothing_and_keep_the_balance(image_folder):
    train, validation = (load_examples(image_folder, split, labels=True) for split in ("train", "validation"))
    assert not set(ids(train)) & set(ids(validation))
    assert ids(train + validation) == ids(load_examples(image_folder, "all"))
    assert np.bincount([e["label"] for e in validation]).tolist() == [1, 1]
    assert class_names(image_folder) == ("disc", "stripes")
    assert ids(load_examples(image_folder, "test", labels=True)) == ids(validation)


def test_folder_reads_what_is_stored(image_folder):
    example = next(e for e in load_examples(image_folder, "all") if e["id"] == b"stripes/3.png")
    stored = cv2.imread(str(image_folder / "stripes" / "3.png"))[..., ::-1]
    np.testing.assert_array_equal(example["image"], stored)


def test_split_folders_are_used(tmp_path):
    for name in ("train/00_1.png", "train/00_2.png", "train/01_3.png", "val/01_4.png", "test/12_5.png"):
        write_image(tmp_path / name, spots(1, size=12))
    assert ids(load_examples(tmp_path, "train")) == ["train/00_1.png", "train/00_2.png", "train/01_3.png"]
    assert ids(load_examples(tmp_path, "validation")) == ["val/01_4.png"]
    (example,) = load_examples(tmp_path, "test", labels=True)
    assert example["label"] == 12
    assert class_names(tmp_path) == LOCALISATIONS


def test_class_folders_beat_numbers_in_names(tmp_path):
    for name in ("disc/01_a.png", "stripes/02_b.png"):
        write_image(tmp_path / name, spots(1, size=12))
    assert class_names(tmp_path) == ("disc", "stripes")


def test_a_stray_file_beside_split_folders_is_an_error_of_training_only(tmp_path):
    for name in ("Train/a.png", "Train/b.png", "Test/c.png"):
        write_image(tmp_path / name, spots(1, size=12))
    assert ids(load_examples(tmp_path, "test")) == ["Test/c.png"]
    write_image(tmp_path / "overview.png", spots(1, size=12))
    with pytest.raises(ValueError, match="every image lies in one. Received: .*overview.png"):
        datasets.load(tmp_path, "train")
    assert len(load_examples(tmp_path, "all")) == 4


def test_one_folder_an_image_is_no_class_without_labels(tmp_path):
    for k in range(10):
        write_image(tmp_path / f"id{k}" / "images" / f"id{k}.png", spots(k, size=12))
        write_image(tmp_path / f"id{k}" / "masks" / "0.png", spots(k, size=12, channels=1))
    assert (len(load_examples(tmp_path, "train")), len(load_examples(tmp_path, "validation"))) == (8, 2)


def test_a_suffix_does_not_hide_the_bit_depth(tmp_path):
    write_image(tmp_path / "a.png", spots(1, size=12))
    tifffile.imwrite(tmp_path / "b.tif", np.full((12, 12), 4095, np.uint16))
    (tmp_path / "b.tif").rename(tmp_path / "b.bmp")
    examples = by_id(tmp_path)
    assert {name: example["image"].dtype for name, example in examples.items()} == dict.fromkeys(
        ("a.png", "b.bmp"), np.uint16
    )
    assert (examples["b.bmp"]["image"] == 4095).all()


def test_pixels_that_become_wider_after_the_listing_are_an_error(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.full((12, 12), 40, np.uint8))
    images = datasets.load(tmp_path, "all")
    tifffile.imwrite(tmp_path / "a.tif", np.full((12, 12), 4095, np.uint16))
    with pytest.raises(tf.errors.OpError, match=r"a\.tif: its pixels became uint16 after its folder was listed"):
        next(images.as_numpy_iterator())


def test_label_maps_are_neither_images_nor_classes(tmp_path):
    for name in ("a.png", "b.png"):
        write_image(tmp_path / "plate" / "images" / name, spots(1, size=12))
        write_image(tmp_path / "plate" / "labels" / name, spots(2, size=12, channels=1))
    assert ids(load_examples(tmp_path, "all")) == ["plate/images/a.png", "plate/images/b.png"]
    with pytest.raises(ValueError, match="only plate"):
        class_names(tmp_path)


def test_bit_depths_are_kept_and_mixed_by_value(tmp_path):
    eight = spots(1, size=12, channels=1)
    cv2.imwrite(str(tmp_path / "a.png"), eight)
    assert load_examples(tmp_path, "all")[0]["image"].dtype == np.uint8
    tifffile.imwrite(tmp_path / "b.tif", np.full((12, 12), 4095, np.uint16))
    stored = {e["id"]: e["image"] for e in load_examples(tmp_path, "all")}
    assert stored[b"a.png"].dtype == np.uint16
    np.testing.assert_array_equal(stored[b"a.png"][..., 0], eight[..., 0])
    assert stored[b"b.tif"].max() == 4095


def test_unreadable_files_are_named_and_skipped(image_folder, tmp_path, said):
    write_image(tmp_path / "good.png", spots(1, size=12))
    (tmp_path / "bad.png").write_bytes((image_folder / "disc" / "0.png").read_bytes()[:300])
    (tmp_path / "empty.tif").write_bytes(b"")
    tifffile.imwrite(tmp_path / "nan.tif", np.full((12, 12), np.nan, np.float32))
    for _ in range(2):
        assert ids(load_examples(tmp_path, "all")) == ["good.png"]
    warnings = said.text
    assert [warnings.count(f"/{name}: ") for name in ("bad.png", "empty.tif", "nan.tif")] == [1, 1, 1]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["1.png", "a/2.png"], "Every image needs a class"),
        (["a/1.png", "a/2.png"], "two classes or more"),
    ],
)
def test_missing_classes_are_errors(tmp_path, files, message):
    for name in files:
        write_image(tmp_path / name, spots(1, size=12))
    with pytest.raises(ValueError, match=message):
        datasets.load(tmp_path, "train", labels=True)


def test_unknown_splits_are_errors(image_folder):
    with pytest.raises(ValueError, match="one of train, validation, test, all. Received: val"):
        datasets.load(image_folder, "val")


# Label maps


def write_map(path, labels):
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, labels) if path.suffix == ".tif" else cv2.imwrite(str(path), labels)


def label_map(seed, height=12, width=12):
    return np.random.default_rng(seed).integers(0, 1000, (height, width), np.uint16)


def by_id(folder, split="all", **arguments):
    return {e["id"].decode(): e for e in load_examples(folder, split, **arguments)}


def test_label_maps_are_yielded_as_stored(tmp_path):
    maps = {
        "plate/labels/a.png": "plate/images/a.png",
        "plate/labels/b_mask.tif": "plate/images/b.tif",
        "plate/labels/deep/c_labels.png": "plate/images/deep/c.jpg",
        "Masks/d_masks.png": "Images/d.png",
        "Masks/d1_label.png": "Images/d1.png",
    }
    for k, (name, image) in enumerate(maps.items()):
        write_map(tmp_path / name, label_map(k))
        (tmp_path / image).parent.mkdir(parents=True, exist_ok=True)
        io.write_pixels(tmp_path / image, spots(k, size=12))
    examples = by_id(tmp_path)
    assert set(examples) == set(maps.values())
    for k, image in enumerate(maps.values()):
        assert examples[image]["mask"].dtype == np.uint16
        np.testing.assert_array_equal(examples[image]["mask"], label_map(k))
    spec = datasets.load(tmp_path, "train").element_spec["mask"]
    assert (spec.shape.as_list(), spec.dtype) == ([None, None], tf.uint16)


def test_an_image_without_a_label_map_has_zeros(tmp_path, said):
    for k, name in enumerate("ab"):
        write_image(tmp_path / "images" / f"{name}.png", spots(k, size=12)[:9])
    write_map(tmp_path / "labels" / "a.png", label_map(1, 9))
    write_map(tmp_path / "labels" / "other.png", label_map(2, 9))
    examples = by_id(tmp_path)
    np.testing.assert_array_equal(examples["images/b.png"]["mask"], np.zeros((9, 12), np.uint16))
    assert examples["images/a.png"]["mask"].any()
    assert said.messages == []


def test_folders_without_a_map_of_an_image_yield_none(tmp_path):
    write_image(tmp_path / "images" / "a.png", spots(1, size=12))
    write_image(tmp_path / "labels" / "a_0.png", spots(1, size=12, channels=1))
    (tmp_path / "labels" / "a.txt").write_text("0 0.5 0.5 1 1")
    write_image(tmp_path / "labels" / "a.jpg", spots(1, size=12, channels=1))  # blurs numbers
    assert set(by_id(tmp_path)["images/a.png"]) == {"id", "group", "image"}


def test_label_maps_outside_of_the_folder_are_not_read(tmp_path):
    write_image(tmp_path / "images" / "plate" / "a.png", spots(1, size=12))
    write_map(tmp_path / "labels" / "plate" / "a.png", label_map(1))
    assert by_id(tmp_path)["images/plate/a.png"]["mask"].any()
    for folder in (tmp_path / "images", tmp_path / "images" / "plate"):
        (example,) = load_examples(folder, "all")
        assert "mask" not in example


def test_bad_label_maps_are_named_and_their_images_stay(tmp_path, said):
    bad = {
        "size": label_map(1, 12, 11),
        "colours": spots(1, size=12),
        "fractions": np.full((12, 12), 0.5, np.float32),
        "large": np.full((12, 12), 65536, np.float32),
        "whole": np.full((12, 12), 3, np.float32),
    }
    for name, labels in bad.items():
        write_image(tmp_path / "images" / f"{name}.png", spots(1, size=12))
        write_map(tmp_path / "labels" / f"{name}.{'tif' if labels.dtype == np.float32 else 'png'}", labels)
    for name in ("cut", "link", "twice"):
        write_image(tmp_path / "images" / f"{name}.png", spots(1, size=12))
    (tmp_path / "labels" / "cut.png").write_bytes(b"\x89PNG")
    (tmp_path / "labels" / "link.png").symlink_to(tmp_path / "nowhere.png")
    for folder in ("labels", "masks"):
        write_map(tmp_path / folder / "twice.png", label_map(2))
    for _ in range(2):
        examples = by_id(tmp_path)
        assert len(examples) == 8
        whole = examples.pop("images/whole.png")["mask"]
        assert (whole == 3).all()
        assert not any(example["mask"].any() for example in examples.values())
    for message in (
        "size.png: a label map has the size of its image, 12x12x1. Received: 12x11x1",
        "colours.png: a label map has the size of its image, 12x12x1. Received: 12x12x3",
        "fractions.tif: a label map holds whole numbers from 0 to 65535. Received: other float32",
        "large.tif: a label map holds whole numbers from 0 to 65535. Received: other float32",
        "cut.png: cannot be read as an image",
        "link.png: no such image file",
        "twice.png has more than one label map, and goes without: ",
    ):
        assert said.text.count(message) == 1, message


def test_label_maps_go_with_their_images_into_splits_and_classes(tmp_path):
    for label in ("disc", "stripes"):
        for k in range(4):
            write_image(tmp_path / label / "images" / f"{k}.png", spots(k, size=12))
            write_map(tmp_path / label / "labels" / f"{k}.png", np.full((12, 12), 1 + k, np.uint8))
    for split, count in (("train", 6), ("validation", 2)):
        examples = by_id(tmp_path, split, labels=True)
        assert len(examples) == count
        for name, example in examples.items():
            assert (example["mask"] == 1 + int(name[-5])).all()


def test_a_study_scores_against_label_maps(tmp_path):
    labels = np.zeros((48, 48), np.uint16)
    labels[6:20, 6:20], labels[26:42, 24:42] = 1, 2
    for k, name in enumerate(("mapped", "alone")):
        image = np.where(labels, 200 - k, 20).astype(np.uint8)
        write_image(tmp_path / "images" / f"{name}.png", image)
    write_map(tmp_path / "labels" / "mapped.png", labels)
    out = tmp_path / "scores"
    arguments = ["--model", "bicubic", "--data", str(tmp_path), "--segment", "0", "--out", str(out)]
    assert cli.main(["evaluate", *arguments]) == 0
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["images"], summary["masks"]) == (2, 1)
    assert summary["segmentation"]["references"] == {"mask": 1, "hr": 1}
    assert summary["f1"]["hr"]["mean"] == 1
    assert summary["dice"]["hr"]["mean"] > 0.9


def test_real_nuclei_have_their_label_maps(real_data):
    folder = real_data / "dsb2018_nuclei" / "fluorescence_1040x1388"
    (example,) = load_examples(folder, "all")
    (path,) = (folder / "labels").iterdir()
    np.testing.assert_array_equal(example["mask"], cv2.imread(str(path), cv2.IMREAD_UNCHANGED))
    assert len(np.unique(example["mask"])) > 10


# Names and links


def test_links_to_nothing_and_names_that_are_no_text_are_named_and_skipped(tmp_path, said):
    write_image(tmp_path / "good.png", spots(1, size=12))
    (tmp_path / "link.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    folder = os.fsencode(tmp_path)
    os.mkdir(folder + b"/b\xe4d")
    for name in (b"/caf\xe9.png", b"/b\xe4d/fine.png"):
        with open(folder + name, "wb") as file:
            file.write((tmp_path / "good.png").read_bytes())
    assert ids(load_examples(tmp_path, "all")) == ["good.png"]
    assert ids(load_examples(tmp_path, "train")) == ["good.png"]
    assert [message.partition(" (")[0].removeprefix("skipped ") for message in said.messages] == [
        f"{tmp_path}/b\\xe4d/fine.png: its name is not UTF-8. Rename it",
        f"{tmp_path}/caf\\xe9.png: its name is not UTF-8. Rename it",
        f"{tmp_path}/link.png: a link to nothing",
        f"{tmp_path}/loop.png: a link to nothing",
    ]
    (tmp_path / "good.png").unlink()
    with pytest.raises(ValueError, match="holds no images that can be opened"):
        datasets.load(tmp_path, "all")


def test_a_folder_may_lie_below_a_name_that_is_no_text(tmp_path):
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/b\xe4d")
    os.mkdir(folder)
    image = cv2.imencode(".png", spots(1, size=12))[1].tobytes()
    for name in ("a", "b"):
        with open(f"{folder}/{name}.png", "wb") as file:
            file.write(image)
    assert ids(load_examples(folder, "all")) == ["a.png", "b.png"]


def test_pages_without_axes_are_left_out_unless_they_are_told(tmp_path, said):
    pages = np.random.default_rng(0).integers(0, 200, (3, 16, 20), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "pages.tif", pages, metadata=None, photometric="minisblack")
    io.write_pixels(tmp_path / "plain.png", pages.transpose(1, 2, 0))

    def load_examples(**arguments):
        examples = datasets.load(tmp_path, "all", **arguments).as_numpy_iterator()
        return {example["id"].decode(): example["image"] for example in examples}

    assert list(load_examples()) == ["plain.png"]
    assert "3 pages without axes in" in said.text
    assert "`axes` ZYX for a stack, CYX for channels" in said.text
    np.testing.assert_array_equal(load_examples(axes="CYX")["pages.tif"], pages.transpose(1, 2, 0))


def test_axes_are_not_told_of_registered_sets():
    with pytest.raises(
        ValueError, match="`axes` are told of the files of a folder. Received: CYX for the set simulated"
    ):
        datasets.load("simulated", "train", axes="CYX")


def test_files_that_are_no_images_are_said_once(tmp_path, said):
    write_image(tmp_path / "good.png", spots(1, size=12))
    for name in ("a.pdf", "b.pdf", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    for split in ("train", "all", "all"):
        with contextlib.suppress(ValueError):  # too few to hold some out
            datasets.load(tmp_path, split)
    assert said.messages == [f"{tmp_path}: passed over 3 files that are no images: 2 .pdf, 1 .txt"]
