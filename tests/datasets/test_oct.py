import shutil

import cv2
import numpy as np
import pytest
from conftest import spots

from msrgan import datasets, io
from msrgan.datasets.oct.builder import CLASSES, Oct


def scan(seed, height=24, width=32):
    return spots(seed, size=max(height, width), channels=1)[:height, :width]


def write(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    io.write_pixels(path, image)


def read(folder, tmp_path, split="all", name="oct", **arguments):
    loaded = datasets.load(name, split, manual_dir=folder, data_dir=tmp_path / "tfds", **arguments)
    return {e["id"].decode(): e for e in loaded.as_numpy_iterator()}


def splits(folder, tmp_path, name="oct"):
    return {s: sorted(read(folder, tmp_path, s, name)) for s in ("train", "validation", "test")}


@pytest.fixture
def tree(tmp_path):
    """The published tree: ten patients of each class with two scans in train, one in val, one in test."""
    folder = tmp_path / "raw" / "OCT2017 "
    for k, label in enumerate(CLASSES):
        for patient in range(12):
            split = {10: "val", 11: "test"}.get(patient, "train")
            for number in (1, 2) if split == "train" else (1,):
                path = folder / split / label / f"{label}-{100 * k + patient}-{number}.jpeg"
                write(path, scan(patient, width=32 + 8 * (patient % 3)))
    return folder


def test_scans_are_read_as_stored(tree, tmp_path):
    examples = read(tree.parent, tmp_path, labels=True)
    assert len(examples) == 4 * (10 * 2 + 2)
    example = examples["DME-101-2"]
    assert (example["image"].shape, example["image"].dtype) == ((24, 40, 1), np.uint8)
    stored = cv2.imread(str(tree / "train" / "DME" / "DME-101-2.jpeg"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(example["image"][..., 0], stored)
    assert (CLASSES[example["label"]], example["group"]) == ("DME", b"101")
    assert {name.split("-")[0]: CLASSES[e["label"]] for name, e in examples.items()} == {c: c for c in CLASSES}
    assert datasets.class_names("oct", data_dir=tmp_path / "tfds") == CLASSES


def test_the_default_split_is_by_patient_in_every_class(tree, tmp_path):
    parts = splits(tree.parent, tmp_path)
    patients = {s: {name.split("-")[1] for name in names} for s, names in parts.items()}
    assert not patients["train"] & patients["test"]
    assert not patients["train"] & patients["validation"]
    assert not patients["validation"] & patients["test"]
    for label in CLASSES:
        counts = {s: sum(name.startswith(label) for name in names) for s, names in parts.items()}
        # 15 % of 22 scans are 3.3; patients have one scan or two.
        assert counts["train"] + counts["validation"] + counts["test"] == 22
        assert 2 <= counts["test"] <= 5
        assert 2 <= counts["validation"] <= 5


def test_a_patient_of_two_classes_is_not_cut(tmp_path):
    for k in range(8):
        for label in ("CNV", "DRUSEN"):
            write(tmp_path / "raw" / f"{label}-{k}-1.jpeg", scan(k))
    parts = splits(tmp_path / "raw", tmp_path)
    for names in parts.values():
        assert {n.split("-")[1] for n in names if n[0] == "C"} == {n.split("-")[1] for n in names if n[0] == "D"}


def test_the_published_split_is_kept_without_patients_of_two_folders(tree, tmp_path, said):
    for name in ("train/CNV/CNV-11-7", "train/CNV/CNV-10-8", "val/CNV/CNV-11-9", "CNV-5000-1"):
        write(tree / f"{name}.jpeg", scan(1))
    parts = splits(tree.parent, tmp_path, "oct/published")
    assert parts["test"] == ["CNV-11-1", "DME-111-1", "DRUSEN-211-1", "NORMAL-311-1"]
    assert parts["validation"] == ["CNV-10-1", "DME-110-1", "DRUSEN-210-1", "NORMAL-310-1"]
    assert len(parts["train"]) == 80
    said = said.text
    assert "skipped 2 scans of train: their patients are also in test or validation" in said
    assert "skipped 1 scans of validation" in said
    assert "skipped 1 scans outside of the folders" in said
    assert "oct: 88 examples prepared, 4 raw images skipped" in said
    assert splits(tree.parent, tmp_path, "oct/published") == parts


def test_the_published_split_needs_no_validation_folder(tree, tmp_path):
    shutil.rmtree(tree / "val")
    parts = splits(tree.parent, tmp_path, "oct/published")
    assert len(parts["test"]) == 4
    validation = {name.split("-")[1] for name in parts["validation"]}
    assert len(validation) == 2 * 4  # 15 % of ten patients: two, in each class
    assert not validation & {name.split("-")[1] for name in parts["train"]}


def test_a_scan_that_lies_in_two_folders_is_taken_once(tree, tmp_path, said):
    shutil.copy(tree / "test" / "DME" / "DME-111-1.jpeg", tree / "train" / "DME" / "DME-111-1.jpeg")
    parts = splits(tree.parent, tmp_path, "oct/published")
    assert "DME-111-1" in parts["test"]
    assert "DME-111-1" not in parts["train"]
    assert "skipped 1 scans whose name occurs twice" in said.text


def test_bad_files_are_named_and_the_others_go_on(tree, tmp_path, said):
    data = (tree / "train" / "CNV" / "CNV-1-1.jpeg").read_bytes()
    (tree / "train" / "CNV" / "CNV-1-1.jpeg").write_bytes(data[: len(data) // 2])
    write(tree / "train" / "AMD" / "AMD-1-1.jpeg", scan(1))
    write(tree / "train" / "CNV" / "overview.jpeg", scan(1))
    write(tree / "train" / "CNV" / "DME-9000-1.jpeg", scan(1))
    write(tree / "train" / "CNV" / "CNV-9001-1.png", spots(1, channels=3))
    assert len(read(tree.parent, tmp_path)) == 87
    said = said.text
    for expected in (
        "CNV-1-1.jpeg: cannot be read as an image (truncated JPEG)",
        "AMD-1-1.jpeg: a scan is named CLASS-PATIENT-NUMBER, CLASS one of CNV, DME, DRUSEN, NORMAL",
        "overview.jpeg: a scan is named",
        "DME-9000-1.jpeg: its name says DME, its folder says CNV",
        "CNV-9001-1.png: a scan is grey, of 8 bits. Received: 3 channels, uint8",
        "oct: 87 examples prepared, 5 raw images skipped",
    ):
        assert expected in said


def test_three_equal_planes_are_grey(tmp_path):
    for k in range(3):
        cv2.imwrite(str(tmp_path / f"NORMAL-{k}-1.png"), scan(k).repeat(3, axis=-1))
    examples = read(tmp_path, tmp_path)
    np.testing.assert_array_equal(examples["NORMAL-1-1"]["image"], scan(1))


@pytest.mark.parametrize(
    ("files", "name", "message"),
    [
        (["a/x.png"], "oct", "must hold scans CLASS-PATIENT-NUMBER.jpeg.*Received: 1 images of other names.*/x.png: a"),
        (["CNV-1-1.jpeg", "CNV-2-1.jpeg"], "oct", "too few readable scans for a validation split"),
        (["CNV-1-1.jpeg", "DME-2-1.jpeg"], "oct", "too few readable scans for a validation and a test split"),
        (["CNV-1-1.jpeg"], "oct/published", "needs folders train and test.*with neither"),
        (["train/CNV-1-1.jpeg", "test/CNV-1-2.jpeg"], "oct/published", "different patients.*with test"),
    ],
)
def test_a_folder_that_does_not_fit_is_an_error(tmp_path, files, name, message):
    for file in files:
        write(tmp_path / "raw" / file, scan(1))
    with pytest.raises(ValueError, match=message) as error:
        read(tmp_path / "raw", tmp_path, name=name)
    assert "\n" not in str(error.value)


def test_the_first_scans_that_cannot_be_read_are_named(tmp_path):
    (tmp_path / "raw").mkdir()
    for k in range(9):
        (tmp_path / "raw" / f"CNV-{k}-1.jpeg").write_bytes(b"")
    write(tmp_path / "raw" / "scan.png", scan(1))
    with pytest.raises(
        ValueError, match="too few readable scans.*three patients. Received: 9. Skipped: .* and 7 more.$"
    ) as error:
        read(tmp_path / "raw", tmp_path)
    assert str(error.value).count("cannot be read as an image (empty file)") == 3


def test_real_scans(real_data, tmp_path):
    sample = sorted((real_data / "oct_kermany_sample").glob("*.jpeg"))
    for path, split in zip(sample, ("train", "val", "test"), strict=True):
        target = tmp_path / "raw" / split / path.name.split("-")[0] / path.name
        target.parent.mkdir(parents=True)
        shutil.copyfile(path, target)
    splits = {s: read(tmp_path / "raw", tmp_path, s, "oct/published") for s in ("train", "validation", "test")}
    shapes = {name: e["image"].shape for part in splits.values() for name, e in part.items()}
    assert shapes == {
        "CNV-1016042-1": (496, 512, 1),
        "DME-2105194-1": (224, 224, 1),  # three equal planes
        "NORMAL-443980-1": (224, 224, 1),
    }


def test_the_builder_tells_where_the_data_comes_from(tmp_path):
    info = Oct(data_dir=tmp_path).info
    assert "kermany2018" in info.citation
    assert "CC BY 4.0" in info.redistribution_info.license
    assert "rscbjbr9sj" in Oct.MANUAL_DOWNLOAD_INSTRUCTIONS
