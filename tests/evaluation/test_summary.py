import math

import pytest

from msrgan.evaluation.summary import summarize

METHODS = ("model", "nearest", "bicubic", "lanczos")


def row(name, group, model, bicubic, **more):
    """The row of an image: the scores of each method, equal but for the model."""
    scores = {
        f"{metric}_{method}": model if method == "model" else bicubic
        for metric in ("mse", "psnr", "ssim", "seconds")
        for method in METHODS
    }
    gains = {f"{metric}_gain": model - bicubic for metric in ("psnr", "ssim")}
    return {"id": name, "group": group, "seen_in_training": False} | scores | gains | more


def objects(model, bicubic, hr=None):
    """The part of a row that tells of objects."""
    by_method = dict.fromkeys(METHODS, bicubic) | {"model": model} | ({} if hr is None else {"hr": hr})
    scores = {f"{measure}_{method}": x for measure in ("dice", "f1", "count") for method, x in by_method.items()}
    return scores | {f"{measure}_gain": model - bicubic for measure in ("dice", "f1")}


def test_means_by_hand():
    rows = [row("a", "g", 30, 20), row("b", "g", 22, 20, seen_in_training=True), row("c", "h", 10, 20)]
    summary = summarize(rows, None)
    assert (summary["images"], summary["masks"]) == (3, 0)
    assert summary["psnr"]["model"] == {"mean": pytest.approx(62 / 3), "median": 22, "n": 3}
    assert summary["ssim"]["lanczos"] == {"mean": 20, "median": 20, "n": 3}
    gain = summary["psnr_gain"]
    assert (gain["mean"], gain["n"], gain["n_groups"]) == ((6 - 10) / 2, 3, 2)
    assert summary["better_than_bicubic"] == pytest.approx(2 / 3)
    assert summary["seen_in_training"] == ["b"]


def test_an_image_restored_exactly_by_one_method_counts_for_none():
    exact = row("b", "b", 40, 20) | {"psnr_nearest": math.inf}
    summary = summarize([row("a", "a", 30, 20), exact], None)
    assert {center["n"] for center in summary["psnr"].values()} == {1}
    assert summary["psnr"]["model"]["mean"] == 30
    assert (summary["psnr_gain"]["mean"], summary["psnr_gain"]["n"]) == (10, 1)
    assert summary["mse"]["model"]["mean"] == 35


def test_objects_of_label_maps_and_of_hr_images_are_not_averaged():
    apart = [row("a", "a", 30, 20, **objects(0.8, 0.6, hr=0.9)), row("b", "b", 30, 20, **objects(0.2, 0.3))]
    summary = summarize(apart, 0)
    assert summary["segmentation"] == {"channel": 0, "references": {"mask": 1, "hr": 1}}
    for measure in ("dice", "f1", "count"):
        means = {method: center["mean"] for method, center in summary[measure].items()}
        assert means == {"model": 0.8, "nearest": 0.6, "bicubic": 0.6, "lanczos": 0.6, "hr": 0.9}
    assert summary["dice_gain"]["mean"] == pytest.approx(0.2)
    alone = summarize(apart[1:], 0)
    assert alone["segmentation"]["references"] == {"mask": 0, "hr": 1}
    assert alone["f1"]["model"]["mean"] == 0.2 and "hr" not in alone["f1"]
    assert alone["dice_gain"]["mean"] == pytest.approx(-0.1)


def test_a_model_that_equals_bicubic_is_not_better():
    assert summarize([row("a", "g", 20, 20), row("b", "h", 21, 20)], None)["better_than_bicubic"] == 0.5
