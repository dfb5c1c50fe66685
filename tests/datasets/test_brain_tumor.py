"""The brain tumour set, from MATLAB files as MATLAB writes them: HDF5 with its axes reversed, or version 5."""

import h5py
import numpy as np
import pytest
import scipy.io
import tensorflow_datasets as tfds
from conftest import cjdata, write_5

from msrgan import datasets
from msrgan.datasets.brain_tumor import matlab
from msrgan.io import UnreadableImageError

HEADER = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Tue Feb 21 15:36:59 2017 HDF5 schema 1.00 ."


def write_73(path, fields, struct="cjdata"):
    """Write what `save -v7.3` does: a user block, a group a struct, axes last to first, texts as codes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w", userblock_size=512) as file:
        group = file.create_group(struct)
        group.attrs["MATLAB_class"] = np.bytes_("struct")
        for name, value in fields.items():
            data, kind = np.atleast_2d(value), None
            if isinstance(value, str):
                data, kind = np.array([[ord(character) for character in value]], np.uint16), "char"
            elif data.dtype == bool:
                data, kind = data.astype(np.uint8), "logical"
            compression = 3 if data.size > 1 else None
            stored = group.create_dataset(name, data=data.T, compression=compression)
            stored.attrs["MATLAB_class"] = np.bytes_(kind or data.dtype.name.replace("float64", "double"))
    with open(path, "r+b") as file:
        file.write(HEADER.ljust(124) + b"\x00\x02IM")


@pytest.fixture
def raw(tmp_path):
    """18 slices of nine patients, three of each label, in two folders, and the authors' folds."""
    folder = tmp_path / "raw"
    for k in range(18):
        fields = cjdata(label=k // 6 + 1, patient=f"P{k // 2:03d}", seed=k)
        write_73(folder / f"brainTumorDataPublic_{k % 2}" / f"{k + 1}.mat", fields)
    with h5py.File(folder / "cvind.mat", "w", userblock_size=512) as file:
        file["cvind"] = np.ones((1, 3064))
    return folder


def load(raw, split, config="all"):
    data = datasets.load(f"brain_tumor/{config}", split, manual_dir=raw, data_dir=raw.parent / "tfds")
    return list(data.as_numpy_iterator())


@pytest.mark.parametrize("write", [write_73, write_5])
def test_a_slice_is_read_as_matlab_shows_it(tmp_path, write):
    fields = cjdata(label=2)
    write(tmp_path / "7.mat", fields)
    record = matlab.read(tmp_path / "7.mat")
    assert record.image.dtype == np.uint16
    np.testing.assert_array_equal(record.image, fields["image"])
    np.testing.assert_array_equal(record.mask, fields["tumorMask"])
    assert (record.image[record.mask == 1] == 1500).all()
    np.testing.assert_array_equal(record.border, [[27, 3], [38, 3], [38, 10], [27, 10]])
    assert (record.label, record.patient) == (matlab.TUMOURS.index("glioma"), "100360")


def test_the_border_encloses_the_mask(tmp_path):
    write_73(tmp_path / "7.mat", cjdata())
    record = matlab.read(tmp_path / "7.mat")
    rows, columns = np.nonzero(record.mask)
    x, y = (record.border - 1).T
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (x.min(), x.max(), y.min(), y.max())


def test_the_set_is_split_by_patient_and_balanced_by_tumour(raw, said):
    splits = {split: load(raw, split) for split in ("train", "validation", "test")}
    assert {k: len(v) for k, v in splits.items()} == {"train": 6, "validation": 6, "test": 6}
    for examples in splits.values():
        assert np.bincount([e["label"] for e in examples]).tolist() == [2, 2, 2]
    patients = [{e["group"] for e in examples} for examples in splits.values()]
    assert sum(map(len, patients)) == len(set.union(*patients)) == 9
    assert {int(e["id"]) for examples in splits.values() for e in examples} == set(range(1, 19))
    assert "brain_tumor: 18 examples prepared, 0 raw images skipped" in said.text
    assert datasets.class_names("brain_tumor", data_dir=raw.parent / "tfds") == ("meningioma", "glioma", "pituitary")


def test_an_example_holds_the_pixels_of_its_file(raw):
    for example in load(raw, "test"):
        k = int(example["id"]) - 1
        fields = cjdata(label=k // 6 + 1, patient=f"P{k // 2:03d}", seed=k)
        assert (example["image"].dtype, example["mask"].dtype) == (np.uint16, np.uint8)
        np.testing.assert_array_equal(example["image"][..., 0], fields["image"])
        np.testing.assert_array_equal(example["mask"][..., 0], fields["tumorMask"])
        np.testing.assert_array_equal(example["border"], fields["tumorBorder"].reshape(-1, 2))
        assert (example["label"], example["group"].decode()) == (k // 6, fields["PID"])


def test_large_splits_hold_70_15_and_15_percent(tmp_path):
    for k in range(200):
        write_5(tmp_path / "raw" / f"{k}.mat", cjdata(label=k % 2 + 1, patient=f"P{k}", shape=(16, 16)))
    load(tmp_path / "raw", "train")
    info = tfds.builder_from_directory(tmp_path / "tfds" / "brain_tumor" / "all" / "1.0.0").info
    assert [info.splits[s].num_examples for s in ("train", "validation", "test")] == [140, 30, 30]


def test_small_slices_keep_their_size_or_are_left_out(raw, said):
    for k in range(3):
        write_73(raw / "512" / f"{k + 101}.mat", cjdata(patient=f"Q{k}", shape=(512, 512)))
    assert {e["image"].shape for e in load(raw, "all")} == {(32, 40, 1), (512, 512, 1)}
    examples = load(raw, "all", "512")
    assert {e["image"].shape for e in examples} == {e["mask"].shape for e in examples} == {(512, 512, 1)}
    warnings = said.text
    assert f"skipped {raw}/brainTumorDataPublic_0/1.mat: 32x40, brain_tumor/512 takes 512x512 only" in warnings
    assert "brain_tumor: 3 examples prepared, 18 raw images skipped" in warnings


def without(name):
    return {k: v for k, v in cjdata().items() if k != name}


@pytest.mark.parametrize("write", [write_73, write_5])
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (without("tumorMask"), "its cjdata has no tumorMask"),
        (cjdata(label=4), "label is 1 .meningioma., 2 .glioma. or 3 .pituitary.. Received: 4"),
        (cjdata() | {"tumorMask": np.ones((32, 32), bool)}, "tumorMask has the size of image, 32x40. Received: 32x32"),
        (cjdata() | {"image": cjdata()["image"] - np.int16(5)}, "whole numbers from 0 to 65535. .* from -5 to 1495"),
        (cjdata() | {"image": np.full((32, 40), 0.5)}, "whole numbers from 0 to 65535"),
        (cjdata() | {"image": np.full((32, 40), np.nan)}, "whole numbers from 0 to 65535"),
        (cjdata() | {"tumorBorder": np.ones((7, 1))}, "tumorBorder is a list x1, y1, x2, y2, ... Received: 7 numbers"),
        (cjdata(patient=" "), "PID is the text that names the patient"),
    ],
)
def test_a_broken_rule_is_named(tmp_path, write, fields, message):
    write(tmp_path / "7.mat", fields)
    with pytest.raises(UnreadableImageError, match=rf"7\.mat: .*{message}"):
        matlab.read(tmp_path / "7.mat")


def test_a_cell_array_is_no_image(tmp_path):
    write_5(tmp_path / "7.mat", cjdata() | {"image": np.array([[1, "a"]], object)})
    with pytest.raises(UnreadableImageError, match=r"7\.mat: image holds numbers. Received: object"):
        matlab.read(tmp_path / "7.mat")


@pytest.mark.parametrize("write", [write_73, write_5])
def test_files_that_hold_no_slice_are_named(tmp_path, write):
    path = tmp_path / "7.mat"
    write(path, cjdata(), struct="other")
    with pytest.raises(UnreadableImageError, match=r"7\.mat: holds no struct cjdata"):
        matlab.read(path)
    if write is write_73:
        with h5py.File(path, "w", userblock_size=512) as file:
            file["cjdata"] = np.ones((4, 4), np.int16)
    else:
        scipy.io.savemat(path, {"cjdata": np.ones((4, 4), np.int16)})
    with pytest.raises(UnreadableImageError, match=r"7\.mat: cjdata is a struct. Received: an array of int16"):
        matlab.read(path)
    write(path, cjdata())
    whole = path.read_bytes()
    for length in (0, 100, 300, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(UnreadableImageError, match=r"7\.mat: damaged, truncated, or no MATLAB file"):
            matlab.read(path)


def test_damaged_files_are_skipped_and_counted(raw, said):
    truncated = next(raw.glob("*/1.mat"))
    truncated.write_bytes(truncated.read_bytes()[:2000])
    write_73(raw / "2_mask.mat", cjdata() | {"tumorMask": np.ones((8, 8), bool)})
    write_73(raw / "copy" / "5.mat", cjdata())
    (raw / "._6.mat").write_bytes(b"what macOS leaves behind")
    numbers = [int(e["id"]) for split in ("train", "validation", "test") for e in load(raw, split)]
    assert sorted(numbers) == list(range(2, 19))
    warnings = said.text
    for reason in ("/1.mat: damaged", "2_mask.mat: tumorMask has the size", "5.mat: has the name of"):
        assert warnings.count(reason) == 1
    assert warnings.count("skipped /") == 3
    assert "brain_tumor: 17 examples prepared, 3 raw images skipped" in warnings


def test_a_folder_without_slices_is_an_error(tmp_path):
    raw = tmp_path / "raw"
    write_73(raw / "cvind.mat", {"cvind": np.ones(5)})
    with pytest.raises(FileNotFoundError, match="must hold the slices N.mat, at any depth. Received: no .mat file"):
        load(raw, "train")
    (raw / "brainTumorDataPublic_1-766.zip").write_bytes(b"PK")
    with pytest.raises(FileNotFoundError, match="Received: 1 .zip files. Unpack them"):
        load(raw, "train")
    (raw / "1.mat").write_bytes(b"")
    with pytest.raises(ValueError, match=r"can be read. Received: 1 files. Skipped: .*/1\.mat: damaged, truncated, or"):
        load(raw, "train")
    write_5(raw / "2.mat", cjdata(patient="A"))
    write_5(raw / "3.mat", cjdata(patient="B"))
    with pytest.raises(
        ValueError, match=r"few patients for a validation split. At least .* Skipped: .*/1\.mat: damaged"
    ):
        load(raw, "train")


def test_of_many_slices_of_one_fault_a_few_are_named_and_all_are_written(raw, said):
    for k in range(12):
        write_5(raw / "small" / f"{100 + k}.mat", cjdata() | {"tumorMask": np.ones((8, k + 2), bool)})
    (raw / "empty.mat").write_bytes(b"")
    load(raw, "train")
    empty = f"{raw}/empty.mat: damaged, truncated, or no MATLAB file"
    alike = [
        f"{raw}/small/{100 + k}.mat: tumorMask has the size of image, 32x40. Received: 8x{k + 2}" for k in range(12)
    ]
    assert said.messages[1:] == [
        *[f"skipped {reason}" for reason in (empty, *alike[:5])],
        "brain_tumor: 18 examples prepared, 13 raw images skipped, all named in skipped.txt beside it",
    ]
    (written,) = (raw.parent / "tfds").rglob("skipped.txt")
    assert written.read_text().splitlines() == [empty, *alike]
