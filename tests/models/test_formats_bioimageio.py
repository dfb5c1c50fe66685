"""The package of bioimage.io, validated and run by its own libraries, without a network."""

import io
import json
import shutil
import zipfile

import cv2
import numpy as np
import pytest
import tifffile
from conftest import randomise

from msrgan import intensity, models
from msrgan.models.formats.conversion import convert
from msrgan.models.formats.example import cover, low_resolution
from msrgan.networks import srresnet

NAMED = {"authors": ["Ada Lovelace", "Charles Babbage"], "license": "CC-BY-4.0"}


def write_run(folder, **metadata):
    generator = srresnet(channels=2, scale=2, filters=4, blocks=1, kernel=3, upsample="resize")
    randomise(generator)
    models.export(generator, folder / "model", metadata=metadata)
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("run"), percentiles=[1.0, 98.5], training_hashes=["ab"])


@pytest.fixture(scope="module")
def model(run):
    return models.load(run)


@pytest.fixture(scope="module")
def package(run, tmp_path_factory):
    file = tmp_path_factory.mktemp("package") / "cells_x2.zip"
    pytest.importorskip("bioimageio.spec")
    image = np.random.default_rng(5).integers(100, 9000, (110, 130, 2), np.uint16)
    convert(run, "bioimageio", file, image=image, **NAMED)
    return file


@pytest.fixture
def core(monkeypatch):
    # Its import writes this variable, with PyTorch where it is not set, for all processes started later.
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    return pytest.importorskip("bioimageio.core")


def members(package):
    with zipfile.ZipFile(package) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")  # of what bioimageio.core imports
def test_its_own_test_reproduces_the_output_with_both_kinds_of_weights(package, core, monkeypatch):
    def refuse(*arguments, **named):
        raise OSError("no network")

    monkeypatch.setattr("socket.socket.connect", refuse)
    summary = core.test_description(package)
    assert summary.status == "passed", summary.format()
    names = [detail.name for detail in summary.details]
    for weights in ("keras_v3", "onnx"):
        assert f"Reproduce test outputs from test inputs ({weights})" in names
        # Two batch sizes and three sizes of images.
        assert sum(name.startswith(f"Run {weights} inference") for name in names) == 6


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("weights", ["keras_v3", "onnx"])
def test_what_it_predicts_of_an_image_is_what_we_make_of_it(package, model, core, weights):
    image = np.random.default_rng(1).integers(50, 4000, (61, 57, 2), np.uint16)
    image[..., 1] //= 7
    normalized = intensity.Normalization("percentile", (1.0, 98.5)).limits(image).normalize(image)
    expected = model(normalized[None])
    assert expected.std() > 0.05
    descr = core.load_model_description(package)
    with core.create_prediction_pipeline(descr, weight_format=weights) as pipeline:

        def sample():
            return core.digest_spec.create_sample_for_model(descr, inputs={"image": image[None]})

        given = sample()
        whole = pipeline.predict_sample_without_blocking(given, skip_input_padding=True, skip_output_cropping=True)
        block = {"image": {"batch": 1, "y": 40, "x": 36, "channel": 2}}
        tiled = pipeline.predict_sample_with_fixed_blocking(sample(), block)
    np.testing.assert_allclose(np.asarray(given.members["image"].data)[0], normalized, rtol=0, atol=1e-5)
    np.testing.assert_allclose(np.asarray(whole.members["upscaled"].data), expected, rtol=0, atol=1e-4)
    # It pads the image at its border, by reflection: only there tiles differ from the whole.
    inner = (slice(None), *[slice(2 * model.radius, -2 * model.radius)] * 2)
    tiled = np.asarray(tiled.members["upscaled"].data)
    assert tiled.shape == expected.shape
    np.testing.assert_allclose(tiled[inner], expected[inner], rtol=0, atol=1e-4)


@pytest.mark.long
def test_what_is_in_the_package(package, model):
    yaml = pytest.importorskip("yaml")
    files = members(package)
    description = yaml.safe_load(files["rdf.yaml"])
    assert description["name"] == "cells_x2 (mSRGAN x2)"
    assert [author["name"] for author in description["authors"]] == NAMED["authors"]
    assert description["license"] == "CC-BY-4.0"
    assert description["cite"][0]["doi"] == "10.48550/arXiv.1609.04802"
    assert {"keras_v3", "onnx"} == set(description["weights"])
    (image,), (upscaled,) = description["inputs"], description["outputs"]
    scaling = [step["kwargs"] for step in image["preprocessing"] if step["id"] == "scale_range"]
    assert [(step["min_percentile"], step["max_percentile"], step["axes"]) for step in scaling] == [
        (1, 98.5, ["y", "x"])
    ]
    assert upscaled["axes"][1]["halo"] == 2 * model.radius and upscaled["axes"][1]["scale"] == 0.5
    said = description["config"]["msrgan"]
    assert said["fingerprint"] == model.metadata["fingerprint"] and "training_hashes" not in said

    given, result = (np.load(io.BytesIO(files[f"test_{name}.npy"])) for name in ("input", "output"))
    assert given.dtype == np.uint16 and given.shape == (1, 96, 96, 2)
    normalized = model.normalization.limits(given[0]).normalize(given[0])
    np.testing.assert_allclose(result, model(normalized[None]), rtol=0, atol=1e-6)
    np.testing.assert_array_equal(tifffile.imread(io.BytesIO(files["sample_output.tif"])), result[0])
    picture = cv2.imdecode(np.frombuffer(files["cover.png"], np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (192, 384, 3) and len(files["cover.png"]) < 500_000
    text = files["README.md"].decode()
    assert "its 1.0 percentile" in text and "upscaled * (high - low) + low" in text and "# Validation" in text


@pytest.mark.long
def test_a_model_of_ranges_takes_values_from_0_to_1(tmp_path):
    pytest.importorskip("bioimageio.spec")
    yaml = pytest.importorskip("yaml")
    run = write_run(tmp_path / "run", normalization="range")
    convert(run, "bioimageio", tmp_path / "a.zip", **NAMED)
    files = members(tmp_path / "a.zip")
    steps = yaml.safe_load(files["rdf.yaml"])["inputs"][0]["preprocessing"]
    assert {step["id"] for step in steps} == {"ensure_dtype"}
    given = np.load(io.BytesIO(files["test_input.npy"]))
    assert given.dtype == np.float32 and 0 <= given.min() < given.max() <= 1
    assert "divided by the largest value of their type" in files["README.md"].decode()


@pytest.mark.long
@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({"license": "MIT"}, "^A model of bioimage.io has `authors`: name one at least. Received: none"),
        ({"authors": ["Ada"]}, "has a `license`, an SPDX identifier as CC-BY-4.0. Received: none"),
        (NAMED | {"license": "mine"}, "has a `license`, an SPDX identifier as CC-BY-4.0. Received: mine"),
        (NAMED | {"authors": ["Ada/Charles"]}, "^bioimage.io does not take this model: authors.0.name: .{,290}$"),
        (NAMED | {"image": np.zeros((95, 200, 2))}, "`image` has at least 96 x 96 pixels. Received: 95 x 200"),
        (NAMED | {"image": np.zeros((96, 96, 3))}, "An image must have 2 channels"),
    ],
)
def test_what_it_does_not_take(run, tmp_path, named, message):
    pytest.importorskip("bioimageio.spec")
    with pytest.raises(ValueError, match=message):
        convert(run, "bioimageio", tmp_path / "a.zip", **named)
    assert list(tmp_path.iterdir()) == []


def test_it_needs_the_keras_network(run, tmp_path):
    shutil.copytree(run / "model", tmp_path / "bare")
    (tmp_path / "bare" / "network.json").unlink()
    with pytest.raises(ValueError, match="version 0.2 or earlier, without its Keras network"):
        convert(tmp_path / "bare", "bioimageio", tmp_path / "a.zip", **NAMED)


def test_the_cover_shows_squares_bicubic_and_the_result():
    model = models.interpolation("nearest", 2)
    lr = np.linspace(-0.5, 1.5, 12 * 12, dtype=np.float32).reshape(12, 12, 1)
    sr = np.full((24, 24, 1), 0.2, np.float32)
    picture = np.asarray(cover(lr, sr, json.loads(json.dumps(model.metadata))))
    assert picture.shape == (24, 48, 3)
    squares = np.rint(255 * np.clip(lr[:, :8, 0], 0, 1))
    for row, column in ((0, 0), (1, 0), (0, 1), (1, 1)):
        np.testing.assert_array_equal(picture[row::2, column:16:2, 0], squares)
    bicubic = models.interpolation("bicubic", 2)(lr[None])[0, :, :16, 0]
    np.testing.assert_array_equal(picture[:, 16:32, 1], np.rint(255 * np.clip(bicubic, 0, 1)))
    assert (picture[:, 32:] == 51).all()


def test_the_drawn_image_lies_in_the_range_of_a_camera(tiny_upscaler):
    image = low_resolution(None, tiny_upscaler(2))
    assert image.shape == (96, 96, 2) and image.dtype == np.uint16
    assert 200 < image.min() < 400 and 2000 < image.max() < 30000
    wide = tiny_upscaler(1, receptive_radius=60)
    assert low_resolution(None, wide).shape == (121, 121, 1)
    given = np.arange(130 * 124).reshape(130, 124, 1)
    np.testing.assert_array_equal(low_resolution(given, wide), given[4:125, 1:122])
