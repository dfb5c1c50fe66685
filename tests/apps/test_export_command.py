import shutil
import sys
import zipfile

import numpy as np
import pytest
from conftest import error_lines, write_image

from msrgan import models
from msrgan.apps import cli
from msrgan.apps.cli.export import FORMATS
from msrgan.models.formats import conversion
from msrgan.networks import srresnet


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    generator = srresnet(channels=1, scale=2, filters=4, blocks=1, kernel=3, batch_norm=False)
    models.export(generator, folder / "model")
    return folder


def test_formats_are_those_of_the_library():
    assert sorted(FORMATS) == sorted([*conversion.FORMATS, "savedmodel"])


def test_export_writes_a_file_with_its_card(run, tmp_path, capsys):
    target = tmp_path / "new" / "cells.keras"
    command = ["export", str(run), "--format", "keras", "-o", str(target), "--license", "MIT"]
    assert cli.main([*command, "--author", "Ada", "--author", "Charles"]) == 0
    assert capsys.readouterr().out.splitlines() == [f"See {target}"]
    said = zipfile.ZipFile(target).read("msrgan.json").decode()
    assert '"Ada",' in said and '"Charles"' in said and '"license": "MIT"' in said


def test_export_gives_its_options_to_the_library(monkeypatch, tmp_path):
    given = []
    monkeypatch.setattr(conversion, "convert", lambda *arguments, **named: given.append((arguments, named)))
    pixels = np.arange(30, dtype=np.uint8).reshape(5, 6)
    write_image(tmp_path / "a.png", pixels)
    image = ["--image", str(tmp_path / "a.png"), "--trust"]
    assert cli.main(["export", "run", "--format", "bioimageio", "-o", "a.zip", *image]) == 0
    ((source, format, target), named) = given[0]
    assert (str(source), format, str(target)) == ("run", "bioimageio", "a.zip")
    np.testing.assert_array_equal(named.pop("image"), pixels[..., None])
    assert named == {"authors": [], "license": None, "trust": True}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bare", "--format", "litert", "-o", "a.onnx"], "format litert is a file NAME.tflite. Received: a.onnx"),
        (["nothing", "--format", "litert", "-o", "a.tflite"], "nothing: there is no exported model"),
        (["bare", "--format", "keras", "-o", "a.keras", "--image", "none.png"], "none.png"),
    ],
)
def test_errors_are_one_line(run, tmp_path, monkeypatch, capsys, arguments, message):
    shutil.copytree(run / "model", tmp_path / "bare")
    monkeypatch.chdir(tmp_path)
    assert cli.main(["export", *arguments]) == 2
    (line,) = error_lines(capsys)
    assert line.startswith("msrgan: error: ") and message in line
    assert [path.name for path in tmp_path.iterdir()] == ["bare"]


def test_without_the_packages_of_a_format_it_says_what_to_install(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tf2onnx.convert", None)
    assert cli.main(["export", str(run), "--format", "onnx", "-o", str(tmp_path / "a.onnx")]) == 2
    assert error_lines(capsys)[-1].endswith("Install it: pip install 'msrgan[onnx]'")
    assert list(tmp_path.iterdir()) == []
