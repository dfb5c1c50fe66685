"""Exported models in the formats of others, each run again by its own runtime."""

import json
import shutil
import zipfile

import keras
import numpy as np
import pytest
import runtimes
from conftest import randomise

from msrgan import models, zoo
from msrgan.models import card
from msrgan.models.formats import conversion, litert
from msrgan.models.formats.conversion import FORMATS, convert
from msrgan.networks import srresnet

SIZES = ((2, 7, 12, 2), (1, 12, 5, 2))
ADDED = {"authors": ["Ada Lovelace", "Charles Babbage"], "license": "CC-BY-4.0"}


def make(seed):
    generator = srresnet(channels=2, scale=2, filters=4, blocks=1, kernel=5, upsample="resize")
    randomise(generator, seed)
    return generator


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run folder; tests read it only."""
    folder, generator = tmp_path_factory.mktemp("run"), make(0)
    models.export(generator, folder / "model", metadata={"degradation": "area", "training_hashes": ["ab"]})
    return folder


@pytest.fixture(scope="module")
def model(run):
    return models.load(run)


def assert_equal(model, function):
    """Compare a runtime with TensorFlow on images of two sizes, with values beyond [0, 1]."""
    for seed, shape in enumerate(SIZES):
        images = np.random.default_rng(seed).uniform(-0.2, 1.2, shape).astype("float32")
        expected = model(images)
        assert expected.std() > 0.05
        np.testing.assert_allclose(function(images), expected, rtol=0, atol=1e-5 * max(1, np.abs(expected).max()))


def assert_card(text, model):
    said = {name: value for name, value in model.metadata.items() if name != "training_hashes"}
    assert json.loads(text) == said | ADDED
    assert said["degradation"].startswith("area") and said["scale"] == 2 and len(said["fingerprint"]) == 64


def test_keras(run, model, tmp_path):
    convert(run / "model", "keras", tmp_path / "a.keras", **ADDED)
    assert_equal(model, runtimes.keras(tmp_path / "a.keras"))
    assert_card(zipfile.ZipFile(tmp_path / "a.keras").read("msrgan.json"), model)


def test_onnx(run, model, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    convert(run, "onnx", tmp_path / "a.onnx", **ADDED)
    assert_equal(model, runtimes.onnx(tmp_path / "a.onnx"))
    session = runtime.InferenceSession(tmp_path / "a.onnx", providers=["CPUExecutionProvider"])
    assert_card(session.get_modelmeta().custom_metadata_map["msrgan"], model)


def test_openvino(run, model, tmp_path):
    openvino = pytest.importorskip("openvino")
    convert(run, "openvino", tmp_path / "a.xml", **ADDED)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.bin", "a.xml"]
    assert_equal(model, runtimes.openvino(tmp_path / "a.xml"))
    assert_card(openvino.Core().read_model(tmp_path / "a.xml").get_rt_info(["msrgan"]).astype(str), model)


def test_litert(run, model, tmp_path):
    runtime = pytest.importorskip("ai_edge_litert.interpreter")
    convert(run, "litert", tmp_path / "a.tflite", **ADDED)
    assert_equal(model, runtimes.litert(tmp_path / "a.tflite"))
    interpreter = runtime.Interpreter(str(tmp_path / "a.tflite"))
    assert list(interpreter.get_input_details()[0]["shape_signature"]) == [-1, -1, -1, 2]
    assert_card(zipfile.ZipFile(tmp_path / "a.tflite").read("msrgan.json"), model)


def test_ncnn(run, model, tmp_path):
    convert(run, "ncnn", tmp_path / "a.param", **ADDED)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.bin", "a.json", "a.param"]
    assert_equal(model, runtimes.ncnn(tmp_path / "a.param"))
    assert_card((tmp_path / "a.json").read_text(), model)


@pytest.mark.long
@pytest.mark.parametrize("format", runtimes.RUNTIMES)
@pytest.mark.parametrize("name", zoo.UPSCALERS)
def test_a_model_that_ships_gives_the_same_in_every_format(name, format, tmp_path):
    ending, opened = runtimes.RUNTIMES[format]
    convert(zoo.folder(name), format, tmp_path / f"a{ending}")
    network, model = opened(tmp_path / f"a{ending}"), models.load(name)
    for seed, side in enumerate((24, 37)):
        images = np.random.default_rng(seed).random((1, side, 2 * side, model.channels), np.float32)
        expected = model(images)
        np.testing.assert_allclose(network(images), expected, rtol=0, atol=1e-4 * max(1, np.abs(expected).max()))


def test_savedmodel(run, model, tmp_path):
    convert(run, "savedmodel", tmp_path / "copy", **ADDED)
    copy = models.load(tmp_path / "copy")
    assert copy.metadata == model.metadata | ADDED  # hashes of training images and all
    assert card.fingerprint(tmp_path / "copy") == model.metadata["fingerprint"]
    assert_equal(model, copy)
    assert "license" not in models.load(run).metadata


def test_a_model_of_an_earlier_version_has_no_keras_network(run, tmp_path):
    shutil.copytree(run / "model", tmp_path / "bare")
    (tmp_path / "bare" / "network.json").unlink()
    with pytest.raises(ValueError, match="bare is a SavedModel of version 0.2 or earlier, without its Keras network"):
        convert(tmp_path / "bare", "keras", tmp_path / "a.keras")
    assert not (tmp_path / "a.keras").exists()


def test_a_network_that_is_not_that_of_the_model_is_refused(run, tmp_path):
    shutil.copytree(run / "model", tmp_path / "mixed")
    network = tmp_path / "mixed" / "network.json"
    layers = json.loads(network.read_text())
    (skip,) = (layer for layer in layers["config"]["layers"] if layer["class_name"] == "Bicubic")
    skip["config"]["grid"] = "corner"  # of the same weights
    network.write_text(json.dumps(layers))
    with pytest.raises(ValueError, match=r"network.json is another network than the SavedModel beside it"):
        convert(tmp_path / "mixed", "keras", tmp_path / "a.keras")
    network.write_bytes(b"no network")
    with pytest.raises(ValueError, match="network.json cannot be read as a network"):
        convert(tmp_path / "mixed", "keras", tmp_path / "a.keras")


class Running(keras.layers.UpSampling2D):
    """An enlargement with an operation that no network here has."""

    def call(self, x):
        return keras.ops.cumsum(super().call(x), axis=1)

    def reach(self, radius):
        return radius


def test_a_model_with_strange_operations_is_opened_only_where_it_is_trusted(tmp_path, said):
    image = keras.Input((None, None, 1))
    models.export(keras.Model(image, Running(2)(image)), tmp_path / "model")
    with pytest.raises(ValueError, match="Cumsum"):
        convert(tmp_path / "model", "savedmodel", tmp_path / "copy")
    # The probe sees that it looks farther than it says.
    with pytest.raises(ValueError, match="looks farther than receptive_radius 0"):
        convert(tmp_path / "model", "savedmodel", tmp_path / "copy", trust=True)


@pytest.mark.parametrize(
    ("format", "target", "message"),
    [
        ("tflite", "a.tflite", "^`format` is one of bioimageio, keras, litert, .*savedmodel. Received: tflite"),
        ("onnx", "a.keras", "format onnx is a file NAME.onnx. Received: .*a.keras"),
        ("keras", "folder.keras", "format keras is a file NAME.keras. Received: .*folder.keras"),
        ("savedmodel", "full", "full exists and is not an exported model"),
    ],
)
def test_targets(run, tmp_path, format, target, message):
    (tmp_path / "folder.keras").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("years of work")
    with pytest.raises(ValueError, match=message):
        convert(run, format, tmp_path / target)
    with pytest.raises(FileNotFoundError, match="there is no exported model"):
        convert(tmp_path / "full", "litert", tmp_path / "a.tflite")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder.keras", "full"]


def test_an_image_is_for_the_format_that_shows_it(run, tmp_path):
    with pytest.raises(ValueError, match="^`image` is for the format bioimageio. Received: onnx$"):
        convert(run, "onnx", tmp_path / "a.onnx", image=np.zeros((96, 96, 2)))


def test_a_file_appears_whole_or_not_at_all(run, tmp_path, monkeypatch):
    (tmp_path / "a.tflite").write_bytes(b"before")

    def broken(source, target):
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(FORMATS, "litert", FORMATS["litert"]._replace(write=broken))
    with pytest.raises(OSError, match="No space"):
        convert(run, "litert", tmp_path / "a.tflite")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a.tflite", b"before")]


def test_what_litert_lacks_is_an_error_of_one_line(run, tmp_path, monkeypatch):
    class Converter:
        @staticmethod
        def from_saved_model(path, signature_keys):
            return Converter()

        def convert(self):
            raise litert.tf.errors.UnimplementedError(None, None, "a graph of\nmany lines")

    monkeypatch.setattr(litert.tf.lite, "TFLiteConverter", Converter)
    with pytest.raises(ValueError, match="model cannot be converted to LiteRT .UnimplementedError.$"):
        conversion.convert(run, "litert", tmp_path / "a.tflite")
