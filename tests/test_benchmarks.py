"""Every benchmark and example starts: what it imports is there, and `--help` says what it does."""

import importlib.util
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT

PATHS = {path.stem: path for folder in ("benchmarks", "examples") for path in (ROOT / folder).glob("*.py")}
# What they import of each other. PyTorch, which `srgan_torch` is written in, is no dependency of the project.
SHARED = {"timing", "raw", "srgan_torch", "textbook"}


@pytest.fixture
def program(monkeypatch):
    """A function that imports a benchmark or an example by its name."""

    def load(name):
        monkeypatch.syspath_prepend(PATHS[name].parent)  # as `python PATH` does
        spec = importlib.util.spec_from_file_location(f"program_{name}", PATHS[name])
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.mark.parametrize("name", sorted(set(PATHS) - SHARED))
def test_help(name, program, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torch", None)  # importing it fails
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    module = program(name)
    with pytest.raises(SystemExit) as stop:
        module.main()
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: {name} [-h]")
    assert " ".join(module.__doc__.split())[:60] in " ".join(shown.split())


def test_what_is_shared_is_no_program():
    assert {name for name, path in PATHS.items() if "__main__" not in path.read_text()} == SHARED


def test_vgg_scores_are_those_of_a_confusion_matrix(program):
    """Mean brightness is the logit: images of class 1 are bright, but two of three are not."""
    image = keras.Input((8, 8, 1))
    mean = keras.layers.GlobalAveragePooling2D()(image)
    network = keras.Model(image, keras.ops.concatenate([-mean, mean], axis=-1))
    # Black and white pixels in each, so that its percentiles are 0 and 255.
    fields = np.zeros((5, 8, 8, 1), np.uint8)
    for field, white in zip(fields, (8, 16, 60, 8, 8), strict=True):
        field.reshape(-1)[:white] = 255
    labelled = tf.data.Dataset.from_tensor_slices({"image": fields, "label": np.array([0, 0, 1, 1, 1], np.int64)})
    scored = program("simulated_baselines").vgg_scores(network, labelled)
    assert scored["accuracy"] == pytest.approx(3 / 5)
    np.testing.assert_allclose(scored["f1"], [2 * 2 / (2 + 4), 2 * 1 / (3 + 1)])
