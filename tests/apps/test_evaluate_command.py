"""`msrgan evaluate`."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

import msrgan
from msrgan import io
from msrgan.apps import cli


def lines(capsys):
    return capsys.readouterr().err.strip().splitlines()


def test_evaluate(tmp_path, capsys):
    rng = np.random.default_rng(0)
    for i in range(3):
        io.write_pixels(tmp_path / "data" / f"{i}.png", rng.integers(0, 255, (40, 48), dtype=np.uint8))
    arguments = [
        "evaluate",
        "--model",
        "bicubic",
        "--data",
        str(tmp_path / "data"),
        "--out",
        str(tmp_path / "out"),
    ]
    assert cli.main(arguments) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    assert "3 images, degradation bicubic" in shown.out
    assert cli.main([*arguments, "--limit", "2", "--degradation", "area", "--scale", "2"]) == 0
    with open(tmp_path / "out" / "scores.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == 2
    assert "2 images, degradation area" in capsys.readouterr().out
    assert cli.main([*arguments, "--consistent", "--clip"]) == 0
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (summary["clip"], summary["consistent"]) == (True, True)
    assert summary["psnr_gain"]["mean"] > 0.02


def test_evaluate_goes_on_without_an_unreadable_image(tmp_path, capsys):
    for i in range(3):
        io.write_pixels(tmp_path / "data" / f"{i}.tif", np.random.default_rng(i).random((20, 20, 1), np.float32))
    Image.fromarray(np.full((20, 20), np.nan, np.float32)).save(tmp_path / "data" / "nan.tif")
    arguments = ["--model", "bicubic", "--data", str(tmp_path / "data"), "--out", str(tmp_path / "out")]
    assert cli.main(["evaluate", *arguments]) == 0
    shown = capsys.readouterr()
    assert "3 images, degradation bicubic" in shown.out
    assert "nan.tif: pixels must be finite" in shown.err


def test_evaluate_names_training_images_and_bad_ones(tmp_path, capsys, monkeypatch):
    io.write_pixels(tmp_path / "data" / "seen.png", np.eye(40, dtype=np.uint8))
    io.write_pixels(tmp_path / "data" / "small.png", np.eye(9, dtype=np.uint8))
    model = msrgan.load("bicubic")
    model.metadata |= {"training_hashes": [io.content_hash(io.read_pixels(tmp_path / "data" / "seen.png"))]}
    model.metadata |= {"interrupted": True}
    monkeypatch.setattr("msrgan.models.load", lambda *_, **__: model)
    arguments = ["evaluate", "--model", "x", "--data", str(tmp_path / "data"), "--out", str(tmp_path / "out")]
    assert cli.main(arguments) == 0
    interrupted, skipped, count, seen = lines(capsys)
    assert interrupted == "msrgan: warning: the training of x was interrupted before its end"
    assert skipped.startswith("msrgan: warning: skipped small.png: An image must have 16 pixels")
    assert count == "msrgan: warning: 1 images were skipped"
    assert seen == "msrgan: warning: 1 images were in the model's training set: seen.png"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--data", "missing"], "missing"),
        (["--data", "DATA", "--degradation", "fog"], "degradation is one of"),
        (
            ["--data", "DATA", "--degradation", "acquired"],
            "--degradation asks for acquired pairs, and a.png has no LR image. Use --degradation bicubic",
        ),
        (["--data", "DATA", "--scale", "16"], "No image could be scored. a.png"),
        (["--data", "DATA", "--out", "DATA/a.png"], "a.png"),
    ],
)
def test_evaluate_errors(tmp_path, capsys, options, message):
    io.write_pixels(tmp_path / "data" / "a.png", np.eye(40, dtype=np.uint8))
    options = [option.replace("DATA", str(tmp_path / "data")) for option in options]
    out = [] if "--out" in options else ["--out", str(tmp_path / "out")]
    assert cli.main(["evaluate", "--model", "bicubic", *options, *out]) == 2
    (line,) = lines(capsys)
    assert message in line
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_objects_are_said_to_be_of_label_maps(tmp_path, capsys, monkeypatch):
    """Two images, one with a label map of two squares."""
    image = np.full((48, 48, 1), 20, np.uint8)
    image[6:20, 6:20], image[26:44, 24:44] = 200, 180
    labels = np.zeros((48, 48), np.int32)
    labels[6:20, 6:20], labels[26:44, 24:44] = 1, 2
    examples = [{"id": "a", "image": image, "mask": labels}, {"id": "b", "image": image, "mask": 0 * labels}]
    monkeypatch.setattr("msrgan.apps.cli.evaluate.load", lambda arguments: (msrgan.load("bicubic"), iter(examples)))
    command = ["evaluate", "--model", "bicubic", "--data", "x", "--out", str(tmp_path), "--segment", "0"]
    assert cli.main(command) == 0
    shown = capsys.readouterr().out
    assert "objects: against the label map, of 1 images; 1 without one do not count there\n" in shown
    *_, dice, f1 = next(line for line in shown.splitlines() if line.startswith("hr ")).split()
    assert float(dice) > 0.95 and float(f1) == 1
    examples.pop(0)
    assert cli.main(command) == 0
    assert "objects: against the segmented HR image, of 1 images\n" in capsys.readouterr().out
