"""Validation and evaluation on acquired pairs."""

import csv

import cv2
import numpy as np
import pytest
import tensorflow as tf
from conftest import binned, spots, write_pairs

from msrgan import io, models
from msrgan.apps import cli
from msrgan.evaluation import evaluate
from msrgan.evaluation.validation import Validation
from msrgan.intensity import PERCENTILE


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
    assert io.read_pixels(tmp_path / "1" / "strips.png").shape[0] > 3 * 96


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
