"""The Keras network of an exported model, built again from its folder."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
from conftest import images, randomise

import msrgan
from msrgan.models import network
from msrgan.networks import rrdbnet, span, srcnn, srresnet

NETWORKS = {
    "span": lambda: span(channels=1, filters=4, blocks=2),
    "srresnet": lambda: srresnet(channels=3, scale=2, filters=4, blocks=1),
    "realtime": lambda: srresnet(channels=1, filters=4, blocks=1, upsample="resize", batch_norm=False, grid="corner"),
    "rrdbnet": lambda: rrdbnet(channels=1, filters=4, blocks=1, growth=2),
    "srcnn": lambda: srcnn(channels=1),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    generator = span(channels=1, filters=4, blocks=1)
    randomise(generator)
    path = tmp_path_factory.mktemp("run") / "model"
    msrgan.export(generator, path)
    return path


@pytest.mark.parametrize("build", NETWORKS.values(), ids=NETWORKS)
def test_a_network_comes_back_with_its_weights(build, tmp_path):
    generator = build()
    randomise(generator)
    msrgan.export(generator, tmp_path / "model")
    again = network.read(tmp_path / "model")
    x = images(2, 9, 7, generator.input_shape[-1])
    expected = generator(x, training=False)
    np.testing.assert_allclose(again(x), expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    assert again.name == generator.name


def test_it_is_a_description_and_no_code(folder):
    text = (folder / "network.json").read_text()
    kinds = {layer["class_name"] for layer in json.loads(text)["config"]["layers"]}
    assert {"Conv2D", "Bicubic", "DepthToSpace"} < kinds
    assert "Lambda" not in text and "ReparameterizedConv2D" not in text


def test_a_model_of_an_earlier_version_has_none(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "old")
    (tmp_path / "old" / "network.json").unlink()
    with pytest.raises(FileNotFoundError, match="old: there is no network.json. Export the model again, or name its"):
        network.read(tmp_path / "old")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("no network", "cannot be read as a network .JSONDecodeError"),
        ("{}", "cannot be read as a network .KeyError"),
        ("Lambda", "has layers that exports of this library have not: Lambda"),
        ("TorchModuleWrapper", "has layers that exports of this library have not: TorchModuleWrapper"),
        ("filters", "is another network than the SavedModel beside it"),
        ("fewer", "is another network than the SavedModel beside it"),
    ],
)
def test_what_is_not_its_network_is_refused(folder, tmp_path, damage, message):
    shutil.copytree(folder, tmp_path / "bad")
    file = tmp_path / "bad" / "network.json"
    layers = json.loads(file.read_text())
    by_name = {layer["config"]["name"]: layer for layer in layers["config"]["layers"]}
    if damage == "filters":
        by_name["output_conv"]["config"]["kernel_size"] = [1, 1]
    elif damage == "fewer":
        by_name["output_conv"]["config"]["use_bias"] = False
    else:
        by_name["stem_conv"]["class_name"] = damage
    file.write_text(damage if damage in ("no network", "{}") else json.dumps(layers))
    with pytest.raises(ValueError, match=f"network.json {message}"):
        network.read(tmp_path / "bad")


def test_its_weights_are_those_of_the_saved_model(folder):
    served = tf.saved_model.load(folder).signatures["serving_default"]
    x = images(1, 8, 8, 1)
    expected = served(image=tf.constant((x + 1) / 2))["upscaled"].numpy() * 2 - 1
    np.testing.assert_allclose(network.read(folder)(x), expected, atol=1e-5)
