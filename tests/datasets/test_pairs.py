"""Acquired pairs, from the folder to the scores."""

import csv
import json
import re

import cv2
import numpy as np
import pytest
import scipy.ndimage
import tensorflow as tf
import tifffile
from conftest import spots

import train_srgan
from msrgan import datasets, io, models
from msrgan.apps import cli
from msrgan.data.pairs import sr_pairs
from msrgan.data.registration import displacement
from msrgan.data.survey import check_pairs, survey
from msrgan.evaluation import evaluate
from msrgan.evaluation.validation import Validation
from msrgan.intensity import PERCENTILE, RANGE


def binned(image, scale=2):
    """Mean over blocks, in the units of the image; exact for images made by `blocky`."""
    height, width = (size // scale for size in image.shape[:2])
    return image[: height * scale, : width * scale].reshape(height, scale, width, scale, -1).mean(axis=(1, 3))


def blocky(seed, *, size=32, channels=1, dtype=np.uint16, scale=2):
    """An image of noise whose blocks of scale x scale pixels have whole means."""
    rng = np.random.default_rng(seed)
    high = np.iinfo(dtype).max // 2
    means = rng.integers(high // 4, high, (size // scale, size // scale, channels))
    fine = rng.integers(0, high // 5, (size, size, channels))
    fine[1::2, :] = -fine[::2, :]  # every block adds up to nothing
    return (means.repeat(scale, 0).repeat(scale, 1) + fine).astype(dtype)


def write_pairs(folder, pairs, suffixes=(".png", ".png")):
    for name, (lr, hr) in pairs.items():
        io.write(folder / "lr" / f"{name}{suffixes[0]}", lr)
        io.write(folder / "hr" / f"{name}{suffixes[1]}", hr)


def make_pairs(count=8, scale=2, **arguments):
    hr = {f"field{k}": blocky(k, scale=scale, **arguments) for k in range(count)}
    return {name: (binned(image, scale).astype(image.dtype), image) for name, image in hr.items()}


@pytest.fixture
def folder(tmp_path):
    write_pairs(tmp_path, make_pairs())
    return tmp_path


def read(folder, split="all"):
    return {e["id"].decode(): e for e in datasets.load(folder, split).as_numpy_iterator()}


# Listing


def test_pairs_are_read_together(folder):
    examples = read(folder)
    assert set(examples) == {f"field{k}.png" for k in range(8)}
    for k in range(8):
        example = examples[f"field{k}.png"]
        assert set(example) == {"id", "image", "lr"}
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
    io.write(folder / "hr" / "field6.tif", blocky(6))
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
        io.write(tmp_path / f"{name}.png", blocky(0))
    with pytest.raises(ValueError, match="Acquired pairs lie in folders lr and hr of") as error:
        datasets.load(tmp_path, "train")
    assert f"without an image beside them. Received: {wrong.format(tmp_path)}. Rename" in str(error.value)


def test_masks_may_lie_beside_pairs(folder):
    io.write(folder / "masks" / "field0.png", blocky(0))
    assert len(read(folder)) == 8


def test_names_of_other_folders_may_look_like_those_of_pairs(tmp_path):
    for name in ("24 hr/a", "48hr/a", "hr_72/a", "HR+/a", "control/lrp1/b", "LR_x4"):
        io.write(tmp_path / f"{name}.png", blocky(0))
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


# Sizes and registration


def test_sizes_and_channels_are_checked(folder, said):
    surveyed = survey(datasets.load(folder, "all"))
    check_pairs([surveyed], 2)
    assert said.messages == []
    with pytest.raises(ValueError, match="exactly 1/4 of the sides.* Received: 8 of 8 pairs .*. Use their `scale`"):
        check_pairs([surveyed, surveyed], 4)
    assert sorted(said.messages) == [
        f"the LR image is not 1/4 of the HR image: field{k}.png (16x16x1 of 32x32x1)" for k in range(8)
    ]
    said.clear()
    io.write(folder / "lr" / "field1.png", blocky(0)[:15, :16])
    io.write(folder / "lr" / "field2.png", np.dstack([blocky(k)[:16, :16] for k in range(3)]))
    with pytest.raises(ValueError, match="Received: 2 of 8 pairs") as error:
        check_pairs([survey(datasets.load(folder, "all"))], 2)
    assert "\n" not in str(error.value)
    assert {message.rpartition(": ")[2] for message in said.messages} == {
        "field1.png (15x16x1 of 32x32x1)",
        "field2.png (16x16x3 of 32x32x1)",
    }


def test_pairs_of_the_test_split_are_checked_before_training(tmp_path, capsys):
    for split, scale in (("train", 2), ("val", 2), ("test", 4)):
        write_pairs(tmp_path / "set" / split, make_pairs(2, scale=scale))
    arguments = ["--data", str(tmp_path / "set"), "--scale", "2", "--vgg", "none", "--patch-size", "16"]
    assert train_srgan.main([*arguments, "--out", str(tmp_path / "run")]) == 2
    assert "Received: 2 of 6 pairs that have not: test/field" in capsys.readouterr().err


def test_plain_sets_have_no_pairs_to_check(image_folder):
    check_pairs([survey(datasets.load(image_folder, "all"))], 4)


def test_the_fingerprint_counts_the_lr_images_too(folder):
    first = survey(datasets.load(folder, "all"))
    assert first.nbytes == 8 * 2 * (32 * 32 + 16 * 16)
    io.write(folder / "lr" / "field1.png", blocky(77)[:16, :16])
    second = survey(datasets.load(folder, "all"))
    assert first.hashes == second.hashes
    assert first.fingerprint != second.fingerprint


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("shift", [(0, 0), (0.4, -0.4), (1, 0), (-2.25, 3.5)])
def test_displacement_is_measured_to_a_tenth_of_a_pixel(shift, channels):
    scale = 4
    fields = [spots(seed, size=256, channels=channels).astype(float) for seed in range(8)]
    hr = fields[0] + sum(scipy.ndimage.gaussian_filter(field, (2, 2, 0)) for field in fields)
    moved = scipy.ndimage.shift(hr, (shift[0] * scale, shift[1] * scale, 0), order=3, mode="reflect")
    lr = binned(moved, scale) * 0.3 + 40  # another exposure
    lr += np.random.default_rng(0).normal(scale=0.02 * np.ptp(lr), size=lr.shape)
    np.testing.assert_allclose(displacement(hr, lr), shift, atol=0.1)


def test_displacement_of_an_empty_field():
    assert displacement(np.full((32, 32, 1), 0.3), np.full((8, 8, 1), 0.7)) == (0, 0)
    assert displacement(np.zeros((32, 32, 1)), np.zeros((9, 8, 1))) is None


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 9), (9, 2), (3, 3), (3, 12)])
def test_displacement_of_a_tiny_field(shape):
    lr = np.random.default_rng(0).random((*shape, 1))
    assert displacement(lr.repeat(4, 0).repeat(4, 1), lr) == (0, 0)


def test_displacement_of_real_images(real_data):
    path = io.list_images(real_data / "openslide_he_ki67" / "tiles_512")[0]
    hr = io.read(path)
    assert displacement(hr[:, :504], binned(hr[:, 8:], 4)) == pytest.approx((0, -2), abs=0.1)


def test_displaced_pairs_are_named(tmp_path, capsys, said):
    large = cv2.GaussianBlur(blocky(3, size=160), (0, 0), 1.5)[..., None]
    pairs = {
        name: (binned(large[top : top + 128, :128], 4).astype("uint16"), large[4:132, :128])
        for name, top in (("good", 4), ("near", 5), ("bad", 7))
    }
    write_pairs(tmp_path, pairs)
    check_pairs([survey(datasets.load(tmp_path, "all"))], 4)
    (line,) = said.messages
    match = re.fullmatch(r"bad.png: the LR image is displaced by \((.*), \+0.00\) LR pixels .*", line)
    assert float(match.group(1)) == pytest.approx(-0.75, abs=0.1)

    out = tmp_path.parent / f"{tmp_path.name}-out"
    assert cli.main(["evaluate", "--model", "bicubic", "--data", str(tmp_path), "--out", str(out)]) == 0
    (warning,) = capsys.readouterr().err.splitlines()
    assert warning == f"msrgan: warning: {line}"
    summary = json.loads((out / "summary.json").read_text())
    assert summary["images"] == 3
    assert list(summary["displaced"]) == ["bad.png"]
    assert summary["displaced"]["bad.png"] == pytest.approx([-0.75, 0], abs=0.1)
    # Where the acquired image is not used, its place does not matter.
    assert (
        cli.main(["evaluate", "--model", "bicubic", "--data", str(tmp_path), "--out", str(out), "--degradation=area"])
        == 0
    )
    assert capsys.readouterr().err == ""


# Training


@pytest.mark.parametrize("crop", ["random", "grid"])
@pytest.mark.parametrize(("dtype", "channels"), [(np.uint8, 1), (np.uint8, 3), (np.uint16, 1), (np.uint16, 3)])
def test_crops_of_acquired_pairs_are_registered(crop, dtype, channels, tmp_path):
    """The LR images are exact reductions of the HR images, and so must be their crops."""
    write_pairs(tmp_path, make_pairs(3, dtype=dtype, channels=channels))
    surveyed = survey(datasets.load(tmp_path, "all"))
    check_pairs([surveyed], 2)
    batches = sr_pairs(
        surveyed.images, patch_size=12, batch_size=4, degradation=None, seed=1, scale=2, crop=crop, normalization=RANGE
    )
    corners = set()
    fields = np.stack([blocky(k, dtype=dtype, channels=channels) for k in range(3)])
    for lr, hr in batches.take(10).as_numpy_iterator():
        assert lr.shape == (4, 6, 6, channels)
        assert hr.shape == (4, 12, 12, channels)
        for small, large in zip(lr, hr, strict=True):
            np.testing.assert_allclose(small, binned(large), atol=1e-5)
            corners.add(tuple(np.argwhere(_raw(large, dtype)[0, 0, 0] == fields[..., 0])[0]))
    assert len(corners) > 5  # and they are not all the same


def _raw(normalized, dtype):
    return np.rint((normalized + 1) / 2 * np.iinfo(dtype).max).astype(dtype)


@pytest.mark.parametrize("scale", [2, 4])
def test_hr_corners_lie_on_the_lr_grid(scale):
    size = 32
    rows, columns = np.mgrid[:size, :size]
    hr = (rows * 100 + columns).astype("uint16")[..., None]
    lr = hr[::scale, ::scale]
    pairs = tf.data.Dataset.from_tensors({"id": "a", "image": hr, "lr": lr})
    settings = {"patch_size": 8, "batch_size": 30, "degradation": None, "augment": False, "seed": 0, "scale": scale}
    small, large = next(iter(sr_pairs(pairs, normalization=RANGE, **settings)))
    corners = _raw(large[:, 0, 0, 0].numpy(), np.uint16)
    np.testing.assert_array_equal(corners, _raw(small[:, 0, 0, 0].numpy(), np.uint16))
    assert {int(c) // 100 % scale for c in corners} == {int(c) % 100 % scale for c in corners} == {0}
    assert {int(c) // 100 for c in corners} == set(range(0, size - 8 + 1, scale))


def test_each_image_is_normalised_by_its_own_range():
    hr = blocky(5, size=64)
    lr = (binned(hr) * 0.2 + 900).astype(np.float32)  # another exposure, another dtype
    pairs = tf.data.Dataset.from_tensors({"id": "a", "image": hr, "lr": lr})
    settings = {"patch_size": 64, "batch_size": 1, "degradation": None, "augment": False, "seed": 0, "scale": 2}
    small, large = next(iter(sr_pairs(pairs, **settings)))
    for image, normalized in ((hr, large), (lr, small)):
        low, high = np.percentile(image, (0.1, 99.9))
        np.testing.assert_allclose((normalized[0] + 1) / 2, (image - low) / (high - low), atol=1e-4)


def test_grey_pairs_are_repeated_for_colour():
    hr = blocky(5)
    pairs = tf.data.Dataset.from_tensors({"id": "a", "image": hr, "lr": binned(hr)})
    settings = {"patch_size": 16, "batch_size": 1, "degradation": None, "seed": 0, "scale": 2, "channels": 3}
    lr, hr = next(iter(sr_pairs(pairs, **settings)))
    assert (lr.shape, hr.shape) == ((1, 8, 8, 3), (1, 16, 16, 3))


# Validation and evaluation


def smooth_pairs(count=3, *, exposure=(1.0, 0.0), noise=0.0, scale=4):
    rng = np.random.default_rng(0)
    pairs = {}
    for k in range(count):
        hr = cv2.GaussianBlur(spots(k, size=96, channels=1, dtype=np.uint16), (0, 0), 2)[..., None] // 4
        lr = binned(hr, scale) * exposure[0] + exposure[1] + rng.normal(scale=noise, size=(24, 24, 1))
        pairs[f"f{k}"] = (np.rint(lr).astype("uint16"), hr)
    return pairs


def as_examples(pairs):
    return [{"id": name, "image": hr, "lr": lr} for name, (lr, hr) in pairs.items()]


def test_exposure_plays_no_part_in_the_scores(tmp_path):
    summaries = [
        evaluate(models.load("bicubic"), as_examples(smooth_pairs(exposure=exposure)), out=tmp_path / str(k))
        for k, exposure in enumerate([(1.0, 0.0), (2.5, 4000.0)])
    ]
    for method in ("nearest", "bicubic", "lanczos", "model"):
        one, other = (summary["psnr"][method]["mean"] for summary in summaries)
        assert one == pytest.approx(other, abs=0.05)
        assert one > 20
    assert summaries[0]["intensity_matched"] is True
    assert summaries[0]["degradation"] == "acquired"
    assert io.read(tmp_path / "1" / "strips.png").shape[0] > 3 * 96


def test_scores_of_pairs_are_those_of_the_matched_image(tmp_path):
    (example,) = as_examples(smooth_pairs(1, exposure=(0.5, 100), noise=30))
    evaluate(models.load("nearest"), [example], out=tmp_path)
    with open(tmp_path / "scores.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    hr = example["image"].ravel().astype(float)
    sr = example["lr"].repeat(4, 0).repeat(4, 1).ravel().astype(float)
    gain, offset = np.polyfit(sr, hr, 1)
    low, high = np.percentile(hr, (0.1, 99.9))
    expected = np.mean((gain * sr + offset - hr) ** 2) / (high - low) ** 2
    assert float(row["mse_model"]) == pytest.approx(expected, rel=1e-3)


def test_pairs_that_do_not_fit_are_skipped(tmp_path):
    good, bad, colour = as_examples(smooth_pairs())
    bad["lr"] = bad["lr"][:-1]
    colour["lr"] = colour["lr"].repeat(3, axis=-1)
    summary = evaluate(models.load("bicubic"), [good, bad, colour], out=tmp_path)
    assert list(summary["skipped"]) == ["f1", "f2"]
    assert "exactly 1/4" in summary["skipped"]["f1"]


def test_a_degradation_asked_for_replaces_the_acquired_images(tmp_path):
    pairs = as_examples(smooth_pairs(noise=300))
    plain = [{k: v for k, v in example.items() if k != "lr"} for example in pairs]
    made = evaluate(models.load("bicubic"), pairs, out=tmp_path / "made", degradation="area")
    same = evaluate(models.load("bicubic"), plain, out=tmp_path / "same", degradation="area")
    acquired = evaluate(models.load("bicubic"), pairs, out=tmp_path / "acquired")
    assert made["psnr"] == same["psnr"]
    assert made["degradation"] == "area"
    assert acquired["psnr"]["model"]["mean"] < made["psnr"]["model"]["mean"] - 1


def test_a_model_of_pairs_needs_a_degradation_for_plain_images(tmp_path):
    model = models.load("bicubic")
    model.metadata["degradation"] = "acquired"
    pairs = as_examples(smooth_pairs())
    plain = [{"id": "x", "image": pairs[0]["image"]}]
    with pytest.raises(ValueError, match="learnt from acquired pairs, and x has no LR image. Use `degradation`"):
        evaluate(model, plain, out=tmp_path / "out")
    assert evaluate(model, plain, out=tmp_path / "out", degradation="bicubic")["images"] == 1
    assert evaluate(model, pairs, out=tmp_path / "out")["images"] == 3


def test_validation_on_pairs():
    pairs = smooth_pairs(exposure=(3.0, 500.0))
    rows = {
        "id": list(pairs),
        "image": np.stack([hr for _, hr in pairs.values()]),
        "lr": np.stack([lr for lr, _ in pairs.values()]),
    }
    dataset = tf.data.Dataset.from_tensor_slices(rows)
    validation = Validation(dataset, degradation=None, scale=4, channels=1, normalization=PERCENTILE)
    lr, hr = validation.cases[0].lr, validation.cases[0].hr
    for normalized, image in ((lr, pairs["f0"][0]), (hr, pairs["f0"][1])):
        low, high = np.percentile(image, (0.1, 99.9))
        np.testing.assert_allclose(normalized, (image - low) / (high - low), atol=1e-4)
    scores = validation(lambda batch: tf.image.resize(batch, (96, 96), "bicubic"))
    assert scores["val_psnr"] == pytest.approx(scores["val_psnr_bicubic"], abs=1e-3)
    # Whatever the exposure of the generator.
    darker = validation(lambda batch: tf.image.resize(batch, (96, 96), "bicubic") * 0.5 - 0.2)
    assert darker["val_psnr"] == pytest.approx(scores["val_psnr"], abs=1e-3)


def test_msrgan_evaluate_on_a_folder_of_pairs(tmp_path, capsys):
    write_pairs(tmp_path / "data", smooth_pairs(noise=20))
    arguments = ["evaluate", "--model", "bicubic", "--data", str(tmp_path / "data"), "--out", str(tmp_path / "out")]
    assert cli.main(arguments) == 0
    assert "3 images, degradation acquired" in capsys.readouterr().out
    assert cli.main([*arguments, "--degradation", "gaussian:sigma=0.7"]) == 0
    assert "3 images, degradation gaussian:sigma=0.7" in capsys.readouterr().out
