import csv
import json

import numpy as np
import pytest
import tensorflow as tf
from conftest import smooth
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from msrgan import io, models
from msrgan.evaluation import evaluate
from msrgan.evaluation.summary import Summary
from msrgan.metrics.objects import agreement, segment


def examples(shown):
    return [{"id": name, "image": image} for name, image in shown.items()]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A null model with the hash of one image in its metadata, evaluated on three images of two kinds."""
    out = tmp_path_factory.mktemp("study") / "deep" / "out"
    shown = {
        "a": smooth((50, 67, 1)),
        "b/c": smooth((48, 48, 3), np.uint8, 1),
        "tiny": smooth((12, 12, 1)),
    }
    model = models.load("lanczos")
    model.metadata["training_hashes"] = [io.content_hash(shown["b/c"])]
    return out, shown, evaluate(model, examples(shown), out=out)


def rows(out):
    with open(out / "scores.csv", newline="") as file:
        return list(csv.DictReader(file))


def timeless(scored):
    return {key: value for key, value in scored.items() if not key.startswith("seconds")}


def test_scores_are_those_of_scikit_image(study):
    out, shown, _ = study
    hr = shown["a"][:48, :64]
    lr = tf.image.resize(hr.astype(np.float32), (12, 16), method="bicubic", antialias=True)
    lr = np.clip(np.rint(lr), 0, 65535).astype(np.uint16)
    span = np.ptp(np.percentile(hr, (0.1, 99.9)))
    for method, name in (("bicubic", "bicubic"), ("nearest", "nearest"), ("lanczos", "lanczos3")):
        sr = np.clip(np.rint(tf.image.resize(lr, (48, 64), method=name)), 0, 65535)
        expected = peak_signal_noise_ratio(hr.astype(float), sr.astype(float), data_range=span)
        assert float(rows(out)[0][f"psnr_{method}"]) == pytest.approx(expected, abs=2e-3)


def test_scores_csv(study):
    out, _, _ = study
    first, second = rows(out)
    assert (first["id"], first["height"], first["width"], first["channels"]) == ("a", "48", "64", "1")
    assert (second["id"], second["group"], second["channels"]) == ("b/c", "b/c", "3")
    assert [row["seen_in_training"] for row in (first, second)] == ["False", "True"]
    for row in (first, second):
        assert row["psnr_model"] == row["psnr_lanczos"]
        assert row["ssim_model"] == row["ssim_lanczos"]
        gain = float(row["psnr_model"]) - float(row["psnr_bicubic"])
        assert float(row["psnr_gain"]) == pytest.approx(gain, abs=2e-5)
        assert float(row["psnr_nearest"]) < float(row["psnr_bicubic"])


def test_summary(study):
    out, _, summary = study
    assert json.loads((out / "summary.json").read_text()) == summary
    table = rows(out)
    assert summary["images"] == 2
    assert summary["seen_in_training"] == ["b/c"]
    assert summary["degradation"] == "bicubic"
    assert summary["model"]["training_hashes"] == 1
    for metric in ("psnr", "ssim"):
        values = [float(row[f"{metric}_bicubic"]) for row in table]
        assert summary[metric]["bicubic"]["mean"] == pytest.approx(np.mean(values), abs=1e-4)
        assert summary[metric]["bicubic"]["median"] == pytest.approx(np.median(values), abs=1e-4)
        gains = [float(row[f"{metric}_gain"]) for row in table]
        assert summary[f"{metric}_gain"]["mean"] == pytest.approx(np.mean(gains), abs=1e-4)
        assert summary[f"{metric}_gain"]["n"] == summary[f"{metric}_gain"]["n_groups"] == 2
    times = [float(row["seconds_model"]) for row in table]
    assert 0 < min(times) <= summary["seconds"]["model"]["median"] * (1 + 1e-6) <= max(times) * (1 + 2e-6)
    better = np.mean([float(row["psnr_gain"]) > 0 for row in table])
    assert summary["better_than_bicubic"] == better


def test_the_summary_has_the_keys_of_its_type(study, tmp_path):
    wanted, optional = Summary.__required_keys__, Summary.__optional_keys__
    assert set(study[2]) == wanted
    image, labels = nuclei(0)
    shown = [{"id": "x", "image": image, "mask": labels}]
    assert set(evaluate(models.load("nearest"), shown, out=tmp_path, segment=0)) == wanted | optional


def test_images_that_cannot_be_scored_are_skipped_and_named(study):
    assert list(study[2]["skipped"]) == ["tiny"]
    assert "16 pixels or more" in study[2]["skipped"]["tiny"]


def test_strips_are_written(study):
    drawn = io.read_pixels(study[0] / "strips.png")
    assert drawn.dtype == np.uint8
    assert drawn.shape[1] > 4 * 192
    assert sorted(path.name for path in study[0].iterdir()) == ["scores.csv", "strips.png", "summary.json"]


def test_units_of_the_images_play_no_part(tmp_path):
    image = smooth((48, 48, 1)) // 4
    table = []
    for name, factor in (("dim", 1), ("bright", 16)):
        scaled = image * np.uint16(factor)
        evaluate(models.load("bicubic"), [{"id": "x", "image": scaled}], out=tmp_path / name)
        table.append(float(rows(tmp_path / name)[0]["psnr_nearest"]))
    assert table[0] == pytest.approx(table[1], abs=0.01)


def test_a_constant_image_is_restored_exactly(tmp_path):
    constant = np.full((32, 32, 1), 77, np.uint8)
    summary = evaluate(models.load("bicubic"), [{"id": "flat", "image": constant}], out=tmp_path)
    assert rows(tmp_path)[0]["psnr_model"] == "inf"
    assert rows(tmp_path)[0]["psnr_gain"] == "0"
    assert summary["psnr"]["model"]["mean"] is None
    assert summary["ssim"]["model"]["mean"] == pytest.approx(1)
    assert summary["better_than_bicubic"] == 0


def test_evaluate_uses_the_degradation_of_its_argument(tmp_path):
    image = smooth((48, 48, 1))
    scores = {}
    for name in ("bicubic", "area"):
        evaluate(models.load("bicubic"), [{"id": "x", "image": image}], out=tmp_path / name, degradation=name)
        scores[name] = rows(tmp_path / name)[0]["psnr_model"]
    assert scores["bicubic"] != scores["area"]


def test_acquired_images_can_be_wanted(tmp_path):
    image = smooth((48, 48, 1))
    pair = {"id": "x", "image": image, "lr": image[1::4, 1::4]}
    plain, wanted = (
        evaluate(models.load("bicubic"), [pair], out=tmp_path, degradation=text) for text in (None, "acquired")
    )
    assert timeless(plain) == timeless(wanted)
    assert wanted["degradation"] == "acquired"
    null = models.load("bicubic")
    null.metadata["degradation"] = "acquired"
    for text, why in (("acquired", "`degradation` asks for"), (None, "The model learnt from")):
        message = f"{why} acquired pairs, and x has no LR image. Use `degradation` bicubic"
        with pytest.raises(ValueError, match=message):
            evaluate(null, [{"id": "x", "image": image}], out=tmp_path, degradation=text)
    assert evaluate(null, [{"id": "x", "image": image}], out=tmp_path, degradation="area")["images"] == 1


def test_interpolation_is_on_the_grid_of_the_degradation(tmp_path):
    rows_, columns = np.mgrid[:64, :64]
    wave = (20000 + 9000 * (np.sin(rows_ / 7) + np.cos(columns / 9)))[..., None].astype(np.uint16)
    example = [{"id": "x", "image": wave}]
    psnr = {
        text: evaluate(models.load("lanczos"), example, out=tmp_path / text, degradation=text)["psnr"]
        for text in ("thesis", "bicubic")
    }
    # By a pixel and a half displaced, the smooth wave would be restored with 25 dB.
    for method in ("model", "bicubic", "lanczos"):
        assert psnr["thesis"][method]["mean"] > 35
    assert psnr["thesis"]["model"] == psnr["thesis"]["lanczos"]
    assert psnr["thesis"]["nearest"]["mean"] == pytest.approx(psnr["bicubic"]["nearest"]["mean"], abs=1.5)


def test_empty_channels_do_not_count(tmp_path):
    image = smooth((48, 48, 1))
    more = np.concatenate([image, np.zeros_like(image), np.full_like(image, 9)], axis=-1)
    evaluate(models.load("bicubic"), examples({"one": image, "more": more}), out=tmp_path)
    one, other = rows(tmp_path)
    assert (one["channels"], other["channels"]) == ("1", "3")
    for key in one:
        if key not in ("id", "group", "channels") and not key.startswith("seconds"):
            assert one[key] == other[key]


def test_evaluate_errors_write_nothing(tmp_path):
    model = models.load("bicubic")
    image = smooth((48, 48, 1))
    with pytest.raises(ValueError, match="degradation is one of bicubic.*Received: fog."):
        evaluate(model, [{"id": "x", "image": image}], out=tmp_path, degradation="fog")
    with pytest.raises(ValueError, match="No image could be scored"):
        evaluate(model, [], out=tmp_path)
    with pytest.raises(ValueError, match="No image could be scored. x: An image must have"):
        evaluate(model, [{"id": "x", "image": image[:9]}], out=tmp_path)
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        evaluate(model, [{"id": "x", "image": image}], out=tmp_path / "file")


# Masks


def test_scores_inside_masks(tmp_path):
    shown = [
        {"id": "tumour", "image": smooth((50, 64, 1)), "mask": np.zeros((50, 64, 1), np.uint8)},
        {"id": "none", "image": smooth((48, 48, 1), seed=1)},
        {"id": "empty", "image": smooth((48, 48, 1), seed=2), "mask": np.zeros((48, 48), bool)},
        {"id": "flat", "image": smooth((48, 48, 1), seed=3), "mask": np.ones((48, 48), bool)},
        {"id": "absent", "image": smooth((48, 48, 1), seed=4), "mask": np.zeros((0, 0), np.int32)},
    ]
    shown[0]["mask"][10:20, 30:50] = 255
    shown[0]["mask"][49] = 1  # a row that the cropping to a multiple of the scale cuts off
    summary = evaluate(models.load("bicubic"), shown, out=tmp_path)
    tumour, none, empty, flat, absent = rows(tmp_path)

    hr = shown[0]["image"][:48].astype(float)
    lr = tf.image.resize(hr, (12, 16), method="bicubic", antialias=True)
    sr = np.rint(tf.image.resize(np.rint(lr), (48, 64), method="nearest"))
    span = np.ptp(np.percentile(hr, (0.1, 99.9)))
    error = ((sr - hr)[10:20, 30:50] ** 2).mean() / span**2
    assert float(tumour["mse_mask_nearest"]) == pytest.approx(error, rel=1e-3)
    assert float(tumour["psnr_mask_nearest"]) == pytest.approx(-10 * np.log10(error), abs=0.01)
    assert float(tumour["mse_nearest"]) == pytest.approx(((sr - hr) ** 2).mean() / span**2, rel=1e-3)
    _, everywhere = structural_similarity(
        hr[..., 0],
        sr[..., 0],
        data_range=span,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    assert float(tumour["ssim_mask_nearest"]) == pytest.approx(everywhere[10:20, 30:50].mean(), abs=1e-3)

    for row in (none, empty, absent):
        assert row["mse_mask_model"] == row["ssim_mask_bicubic"] == row["psnr_mask_gain"] == ""
    assert float(flat["mse_mask_model"]) == pytest.approx(float(flat["mse_model"]), rel=1e-5)
    assert summary["masks"] == 2
    for metric in ("mse_mask", "psnr_mask", "ssim_mask"):
        for method in ("model", "nearest", "bicubic", "lanczos"):
            values = [float(row[f"{metric}_{method}"]) for row in (tumour, flat)]
            assert summary[metric][method]["mean"] == pytest.approx(np.mean(values), rel=1e-5)


def test_without_masks_there_are_no_columns_of_them(study):
    out, _, summary = study
    assert summary["masks"] == 0
    assert not [key for key in [*rows(out)[0], *summary] if "_mask" in key]
    assert summary["mse"]["model"]["mean"] == pytest.approx(np.mean([float(row["mse_model"]) for row in rows(out)]))


def test_inside_a_label_map_is_inside_any_of_its_objects(tmp_path):
    image, labels = nuclei(0)
    shown = [{"id": f"{kind}", "image": image, "mask": mask} for kind, mask in enumerate((labels, labels > 0))]
    evaluate(models.load("bicubic"), shown, out=tmp_path)
    objects, region = ({k: v for k, v in row.items() if "_mask_" in k} for row in rows(tmp_path))
    assert objects == region and len(objects) == 3 * 4 + 2
    assert objects["psnr_mask_nearest"] != rows(tmp_path)[0]["psnr_nearest"]


def test_a_mask_of_another_size_is_named(tmp_path):
    good = {"id": "good", "image": smooth((48, 48, 1)), "mask": np.ones((48, 48), np.uint8)}
    bad = {"id": "bad", "image": smooth((48, 48, 1)), "mask": np.ones((24, 24), np.uint8)}
    summary = evaluate(models.load("bicubic"), [good, bad], out=tmp_path)
    assert summary["images"] == 1
    assert "height and width of its image. Received: (24, 24) of (48, 48, 1)" in summary["skipped"]["bad"]


# Objects


def nuclei(seed):
    """36 discs, close together, on a dark, noisy ground, and their label map."""
    rng = np.random.default_rng(seed)
    rows_, columns = np.mgrid[:64, :64]
    labels = np.zeros((64, 64), np.uint16)
    for k, place in enumerate(np.ndindex(6, 6), start=1):
        y, x = 10 * np.array(place) + rng.uniform(5.5, 8.5, 2)
        labels[(rows_ - y) ** 2 + (columns - x) ** 2 <= 16] = k
    brightness = np.concatenate([[20], rng.uniform(160, 200, 36)])
    image = brightness[labels] + rng.normal(0, 3, labels.shape)
    return np.clip(image, 0, 255).astype(np.uint8)[..., None], labels


def halfway(hidden):
    """A model that halves the error of bicubic interpolation, since it knows the images that will be shown."""
    truth = iter(hidden)

    def enlarged(lr):
        bicubic = tf.image.resize(lr, [4 * n for n in lr.shape[1:3]], method="bicubic")
        return (bicubic + next(truth) / np.float32(255)) / 2

    metadata = models.load("bicubic").metadata | {"interpolation": "another", "normalization": "range"}
    return models.Upscaler(enlarged, metadata)


def test_a_better_model_gains(tmp_path):
    shown = [dict(zip(("image", "mask"), nuclei(k), strict=True)) | {"id": f"{k}", "group": f"w{k}"} for k in range(6)]
    truth = [example["image"] for example in shown]
    summary = evaluate(halfway(truth), shown, out=tmp_path / "a", segment=0)
    assert summary["segmentation"] == {"channel": 0, "references": {"mask": 6, "hr": 0}}
    for metric in ("psnr", "psnr_mask", "ssim", "ssim_mask", "dice", "f1"):
        gain = summary[f"{metric}_gain"]
        low, high = gain["interval"]
        assert 0 < low < gain["mean"] < high
        assert gain["p"] == pytest.approx(2 / 64)
        assert (gain["n"], gain["n_groups"]) == (6, 6)
    assert summary["psnr_gain"]["mean"] == pytest.approx(20 * np.log10(2), abs=0.01)
    for measure in ("dice", "f1"):
        ranked = [summary[measure][method]["mean"] for method in ("bicubic", "model", "hr")]
        assert ranked == sorted(ranked)
        model, bicubic = (summary[measure][method]["mean"] for method in ("model", "bicubic"))
        assert summary[f"{measure}_gain"]["mean"] == pytest.approx(model - bicubic)
    for row in rows(tmp_path / "a"):
        assert row["group"] == f"w{row['id']}"
        assert row["count_reference"] == "36"
        assert 30 <= int(row["count_hr"]) <= 36

    of_one_well = [example | {"group": "w"} for example in shown]
    alone = evaluate(halfway(truth), of_one_well, out=tmp_path / "b", segment=0)
    for metric in ("psnr", "ssim_mask", "f1"):
        gain = alone[f"{metric}_gain"]
        assert (gain["interval"], gain["p"], gain["n"], gain["n_groups"]) == (None, None, 6, 1)
        assert gain["mean"] == pytest.approx(summary[f"{metric}_gain"]["mean"])


def test_objects_of_the_hr_image_are_the_reference_without_instances(tmp_path):
    image, labels = nuclei(0)
    other = np.zeros_like(image)
    colour = np.concatenate([other, image], axis=-1)
    shown = [
        {"id": "none", "image": colour},
        {"id": "one region", "image": colour, "mask": labels > 0},
        {"id": "labels", "image": colour, "mask": labels[..., None]},
    ]
    summary = evaluate(models.load("lanczos"), shown, out=tmp_path, segment=1)
    assert summary["segmentation"] == {"channel": 1, "references": {"mask": 1, "hr": 2}}
    none, region, instances = rows(tmp_path)
    lr = np.clip(np.rint(tf.image.resize(image, (16, 16), method="bicubic", antialias=True)), 0, 255)
    bicubic = np.clip(np.rint(tf.image.resize(lr, (64, 64), method="bicubic")), 0, 255)[..., 0]
    for row, reference in ((none, segment(image[..., 0])), (region, segment(image[..., 0])), (instances, labels)):
        for measure, value in agreement(segment(bicubic), reference).items():
            assert float(row[f"{measure}_bicubic"]) == pytest.approx(value)
        assert int(row["count_reference"]) == reference.max()
    assert none["dice_hr"] == region["f1_hr"] == ""
    # An agreement with a label map and one with the segmented HR image are not averaged.
    for measure in ("dice", "f1", "count"):
        for method in ("model", "nearest", "bicubic", "lanczos", "hr"):
            mean = summary[measure][method]
            assert mean["mean"] == mean["median"] == pytest.approx(float(instances[f"{measure}_{method}"]), abs=1e-6)
            assert mean["n"] == 1
    for measure in ("dice", "f1"):
        told = summary[f"{measure}_gain"]
        assert (told["n"], told["mean"]) == (1, pytest.approx(float(instances[f"{measure}_gain"]), abs=1e-6))
    assert summary["psnr"]["model"]["n"] == summary["psnr_gain"]["n"] == 3
    for measure in ("dice", "f1"):
        assert float(none[f"{measure}_gain"]) == pytest.approx(
            float(none[f"{measure}_lanczos"]) - float(none[f"{measure}_bicubic"]), abs=1e-6
        )


def test_objects_are_compared_where_a_channel_is_named(tmp_path, study):
    assert not [key for key in [*rows(study[0])[0], *study[2]] if key.startswith(("dice", "f1", "count", "segment"))]
    shown = examples({"colour": smooth((48, 48, 3)), "grey": smooth((48, 48, 1))})
    summary = evaluate(models.load("bicubic"), shown, out=tmp_path, segment=2)
    assert summary["skipped"] == {"grey": "Objects are segmented in a channel from 0 to 0 of this image. Received: 2"}
    assert summary["dice"].keys() == {"model", "nearest", "bicubic", "lanczos"}
    assert summary["dice_gain"]["mean"] == summary["f1_gain"]["mean"] == 0
    with pytest.raises(ValueError, match="No image could be scored. colour: Objects .* 0 to 2 .* Received: -1"):
        evaluate(models.load("bicubic"), shown, out=tmp_path / "none", segment=-1)


# Degradations


def test_an_image_is_degraded_alike_in_every_study(tmp_path):
    shown = examples({"a": smooth((48, 48, 1)), "b": smooth((48, 48, 1), seed=1)})
    microscope = {"degradation": "microscope:photons=50,psf=0.6"}
    both = evaluate(models.load("bicubic"), shown, out=tmp_path / "both", **microscope)
    evaluate(models.load("bicubic"), shown[1:], out=tmp_path / "one", **microscope)
    assert timeless(rows(tmp_path / "both")[1]) == timeless(rows(tmp_path / "one")[0])
    clean = evaluate(models.load("bicubic"), shown, out=tmp_path / "clean", degradation="area")
    assert both["psnr"]["model"]["mean"] < clean["psnr"]["model"]["mean"] - 1
    # The text tells all, and makes the same study again.
    assert "photons=50..50,read=1..3" in both["degradation"].replace("photons=50,", "photons=50..50,")
    again = evaluate(models.load("bicubic"), shown, out=tmp_path / "again", degradation=both["degradation"])
    assert timeless(again) == timeless(both)


def test_the_degradation_of_the_model_is_a_text(tmp_path):
    model = models.load("bicubic")
    model.metadata["degradation"] = "gaussian:sigma=0.8"
    summary = evaluate(model, examples({"a": smooth((48, 48, 1))}), out=tmp_path)
    assert summary["degradation"] == "gaussian:sigma=0.8"


def test_means_are_over_the_same_images_for_every_method(tmp_path):
    shown = {"a": smooth((48, 48, 1)), "empty": np.full((48, 48, 1), 7, np.uint16)}
    metadata = models.load("bicubic").metadata | {"interpolation": "another"}
    model = models.Upscaler(lambda x: tf.image.resize(x, [4 * n for n in x.shape[1:3]]) + 0.6, metadata)
    both = evaluate(model, examples(shown), out=tmp_path / "both")
    alone = evaluate(model, examples({"a": shown["a"]}), out=tmp_path / "alone")
    assert both["psnr"] == alone["psnr"]
    assert (both["psnr"]["model"]["n"], both["ssim"]["model"]["n"]) == (1, 2)
    assert both["psnr_gain"] == alone["psnr_gain"]


@pytest.mark.parametrize("pixel", [np.nan, np.inf, 1e30])
def test_a_model_of_nonsense_is_scored_without_warnings(pixel, tmp_path):
    images = {"grey": smooth((48, 48, 1)), "flat": np.full((16, 16, 1), 7, np.uint16)}
    model = models.Upscaler(
        lambda lr: tf.image.resize(lr, [4 * n for n in lr.shape[1:3]]) + pixel,
        models.load("bicubic").metadata | {"interpolation": "another"},
    )
    if np.isfinite(pixel):
        assert evaluate(model, examples(images), out=tmp_path)["psnr"]["model"]["mean"] < 0
    else:
        with pytest.raises(ValueError, match="No image could be scored. grey: The model gives NaN or infinite pixels"):
            evaluate(model, examples({"grey": images["grey"]}), out=tmp_path / "out")
        assert not (tmp_path / "out").exists()
        # An even image is enlarged without the model.
        scored = evaluate(model, examples(images), out=tmp_path)["ssim"]["model"]
        assert (scored["mean"], scored["n"]) == (1, 1)
