"""`msrgan models`, and `msrgan upscale` by a model that ships."""

import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest
import tifffile
from conftest import ROOT, error_lines

import msrgan
from msrgan import io, zoo
from msrgan.apps import cli

NUCLEI, STAINED = ROOT / "examples" / "nuclei.png", ROOT / "examples" / "stained.png"


def test_models_are_listed_with_a_line_each(capsys):
    assert cli.main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[: len(zoo.NAMES)]] == list(zoo.NAMES)
    assert all(zoo.card(name)["purpose"] in line for name, line in zip(zoo.NAMES, lines, strict=False))


@pytest.mark.parametrize("name", zoo.NAMES)
def test_a_card_is_printed(name, capsys):
    assert cli.main(["models", name]) == 0
    text, told = capsys.readouterr().out, zoo.card(name)
    for part in (told["purpose"], told["fingerprint"], told["training"]["command"], *told["limits"]):
        assert part in text
    for source in told["sources"]:
        assert source["title"] in text and source["licence"] in text
    for score in told.get("scores", ()):
        assert f"{score['gain']:+.2f}" in text and score["title"] in text


@pytest.mark.parametrize("name", zoo.UPSCALERS)
def test_a_card_tells_how_coarse_images_were_made(name, capsys):
    assert cli.main(["models", name]) == 0
    text, metadata = capsys.readouterr().out, msrgan.models.card.read(zoo.folder(name))
    assert f"Its coarse images were made by `{metadata['degradation']}`" in text
    if "pixel_size_um" in metadata:
        low, high = metadata["pixel_size_um"]
        assert f", with pixels of {low:g} to {high:g} µm, as far as known." in text


def test_features_are_no_model(tmp_path, capsys):
    assert cli.main(["upscale", str(NUCLEI), "-o", str(tmp_path / "a.png"), "--model", zoo.VGG]) == 2
    (line,) = error_lines(capsys)
    assert "mini-vgg19 does not enlarge. It is for the content loss: train_srgan.py --vgg builtin" in line


def test_an_unknown_model_is_one_line(capsys):
    assert cli.main(["models", "fluo"]) == 2
    (line,) = error_lines(capsys)
    assert line == f"msrgan: error: Models that ship are {', '.join(zoo.NAMES)}. Received: fluo"


def test_the_list_needs_no_tensorflow():
    program = (
        "import sys; from msrgan.apps.cli import main; main(['models', 'tissue']); print('tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"


def test_without_a_model_each_file_gets_the_one_for_its_kind(tmp_path, capfd):
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    shutil.copy(NUCLEI, folder / "a.png")
    shutil.copy(STAINED, folder / "b.png")
    pixels = io.read_pixels(NUCLEI)[::4, ::4, 0].astype(np.uint16) * 16
    tifffile.imwrite(folder / "c.tif", pixels)
    cv2.imwrite(str(folder / "d.png"), cv2.merge([cv2.imread(str(NUCLEI), 0)] * 2 + [np.zeros((192, 192), np.uint8)]))
    assert cli.main(["upscale", str(folder), "-o", str(out)]) == 1
    said = capfd.readouterr()
    assert said.out.count("model fluorescence, since the image is not RGB") == 1
    assert said.out.count("model tissue, since the image is RGB") == 1
    assert "d.png: this RGB image has a dark background" in said.err and "Choose by --model: fluorescence" in said.err
    for name, file in (("fluorescence", "a.png"), ("tissue", "b.png"), ("fluorescence", "c.tif")):
        expected = msrgan.upscale(name, io.read_pixels(folder / file))
        np.testing.assert_array_equal(io.read_pixels(out / file), expected)
    with tifffile.TiffFile(out / "c.tif") as file:
        assert "model: fluorescence\n" in file.pages[0].description
    assert zoo.card("fluorescence")["fingerprint"] in (out / "c.tif").read_bytes().decode("latin-1")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (
            ["--scale", "3"],
            "models that ship enlarge 4 times, or 2 times what is not RGB. Received: --scale 3. Name another "
            "by --model, such as",
        ),
        (["--overlap", "1"], "overlap must be "),
        (["--precision", "bfloat16"], "--precision of the engine tensorflow is one of float32. Received: bfloat16"),
    ],
)
def test_what_no_model_can_do_ends_the_command_in_a_line(option, message, tmp_path, capsys):
    assert cli.main(["upscale", str(NUCLEI), str(STAINED), "-o", str(tmp_path / "out"), *option]) == 2
    (line,) = error_lines(capsys)
    assert message in line
    assert not (tmp_path / "out" / "nuclei.png").exists()


def test_a_model_by_its_name(tmp_path, capfd):
    assert cli.main(["upscale", str(NUCLEI), "-o", str(tmp_path / "a.png"), "--model", "fluorescence"]) == 0
    assert "guess" not in capfd.readouterr().out
    np.testing.assert_array_equal(
        io.read_pixels(tmp_path / "a.png"), msrgan.upscale("fluorescence", io.read_pixels(NUCLEI))
    )


def test_evaluate_knows_the_images_that_a_model_learnt_from(tmp_path, capfd, real_data):
    (tmp_path / "data").mkdir()
    learnt_from = "00071198d059ba7f5914a526d124d28e6d010c92466da21d4a04cd5413362552.png"
    shutil.copy(real_data / "dsb2018_nuclei/fluorescence_256x256/images" / learnt_from, tmp_path / "data")
    shutil.copy(NUCLEI, tmp_path / "data")
    arguments = ["--model", "fluorescence", "--data", str(tmp_path / "data"), "--out", str(tmp_path / "report")]
    assert cli.main(["evaluate", *arguments]) == 0
    assert f"1 images were in the model's training set: {learnt_from[:-4]}" in capfd.readouterr().err


@pytest.mark.parametrize("format", ["keras", "onnx"])
def test_a_model_that_ships_is_exported_by_its_name(format, tmp_path):
    if format == "onnx":
        pytest.importorskip("tf2onnx")
    assert cli.main(["export", "fluorescence", "--format", format, "-o", str(tmp_path / f"a.{format}")]) == 0
    assert (tmp_path / f"a.{format}").stat().st_size > 1e5
