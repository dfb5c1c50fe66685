"""The models that ship: they are there, are what their cards say, and are better than interpolation."""

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import ROOT

import msrgan
from msrgan import io, zoo
from msrgan.degradation import make
from msrgan.evaluation.cases import enlarge
from msrgan.metrics import psnr, ssim
from msrgan.models import card
from vgg_micro.features import micro

# The example of a model, which it has not seen; how it is made coarse; by how much, in dB, the model is at least better
# than bicubic interpolation; by which part of itself the mean changes at most.
MARGINS = {
    "fluorescence": ("nuclei.png", "bicubic", 2.0, 0.002),
    "fluorescence-x2": ("nuclei.png", "bicubic", 1.0, 0.002),
    "fluorescence-noisy": ("nuclei.png", "microscope:photons=50", 2.0, 0.01),
    "tissue": ("stained.png", "bicubic", 1.0, 0.002),
    "msrgan": ("nuclei.png", "bicubic", 0.5, 0.006),
}
EXAMPLES = ROOT / "examples"


@pytest.fixture(scope="module")
def models():
    return {name: msrgan.load(name) for name in zoo.UPSCALERS}


def test_all_fit_into_15_mb():
    sizes = {n: sum(f.stat().st_size for f in zoo.folder(n).rglob("*") if f.is_file()) for n in zoo.NAMES}
    assert sum(sizes.values()) < 15e6, sizes
    for name, size in sizes.items():
        assert abs(zoo.card(name)["bytes"] - size) < 2**15, name  # the card itself comes after


@pytest.mark.parametrize("name", zoo.NAMES)
def test_a_card_tells_all(name):
    told = zoo.card(name)
    assert told["name"] == name and len(told["purpose"]) > 20 and len(told["limits"]) >= 2
    assert told["licence"] == "Apache-2.0"
    assert told["training"]["command"] == f"python recipes/make.py {name} --sources RAW"
    assert 0 < told["training"]["processor_hours"] <= 4
    for source in told["sources"]:
        assert source["title"] and source["citation"] and source["url"] and source["train"] > 0
        assert source["licence"].startswith(("CC0", "MIT", "Apache", "free to use and distribute"))


@pytest.mark.parametrize("name", zoo.UPSCALERS)
def test_scores_are_of_held_out_images(name):
    for score in zoo.card(name)["scores"]:
        assert score["images"] > 0 and 0 <= score["better"] <= 1
        assert score["gain"] == pytest.approx(score["psnr"]["model"] - score["psnr"]["bicubic"], abs=0.02)
        assert set(score["psnr"]) == {"model", "nearest", "bicubic", "lanczos"}


@pytest.mark.parametrize("name", zoo.UPSCALERS)
def test_a_model_is_that_of_its_card(name, models):
    told, folder = zoo.card(name), zoo.folder(name)
    assert told["fingerprint"] == card.fingerprint(folder) == models[name].metadata["fingerprint"]
    assert (told["scale"], told["channels"]) == (models[name].scale, models[name].channels)
    assert models[name].metadata["name"] == name
    assert len(models[name].metadata["training_hashes"]) >= sum(s["train"] for s in told["sources"]) * 0.9
    assert "/" not in models[name].metadata["data"]  # no path of the machine of the training


def test_the_vgg_is_that_of_its_card():
    told = zoo.card(zoo.VGG)
    assert told["fingerprint"] == hashlib.sha256(zoo.vgg().read_bytes()).hexdigest()
    maps = micro(zoo.vgg())(np.zeros((1, 96, 96, 3), np.float32))
    assert [m.shape[-1] for m in maps] == [16, 32, 64, 128, 128]


@pytest.mark.parametrize("name", zoo.UPSCALERS)
def test_a_held_out_image_comes_out_better_than_by_bicubic_interpolation(name, models):
    file, degradation, margin, change = MARGINS[name]
    case = enlarge({"id": file, "image": io.read_pixels(EXAMPLES / file)}, models[name], make(degradation))
    scores = {
        metric: {m: metric(case.hr, sr, data_range=1) for m, sr in case.enlarged.items()} for metric in (psnr, ssim)
    }
    assert scores[psnr]["model"] > scores[psnr]["bicubic"] + margin
    assert scores[ssim]["model"] > scores[ssim]["bicubic"]
    sr = msrgan.upscale(models[name], case.lr_file)
    np.testing.assert_allclose(sr.mean((0, 1)), case.lr_file.mean((0, 1)), rtol=change)


@pytest.mark.parametrize("name", zoo.UPSCALERS)
def test_a_model_enlarges_its_example(name, models):
    image = io.read_pixels(EXAMPLES / MARGINS[name][0])
    enlarged = msrgan.upscale(models[name], image)
    scale = models[name].scale
    assert enlarged.shape == (scale * image.shape[0], scale * image.shape[1], image.shape[2])
    assert enlarged.dtype == image.dtype and enlarged.std() > 0.9 * image.std()


def test_no_model_has_seen_its_example(models, real_data):
    for name, model in models.items():
        example, seen = io.read_pixels(EXAMPLES / MARGINS[name][0]), set(model.metadata["training_hashes"])
        found = learnt = 0
        for file in (real_data / "dsb2018_nuclei").glob("*/images/*.png"):
            image = io.read_pixels(file)
            if min(image.shape[0] - example.shape[0], image.shape[1] - example.shape[1]) < 0:
                continue
            is_part = image.shape[2] == example.shape[2] and cv2.matchTemplate(image, example, cv2.TM_SQDIFF).min() < 1
            is_learnt = io.content_hash(image)[: card.HASH_DIGITS] in seen
            assert not (is_part and is_learnt), (name, file)
            found, learnt = found + is_part, learnt + is_learnt
        assert found == 1 and learnt > 50


def test_images_that_were_cut_for_the_training_are_recognised_whole(models, real_data):
    human, slide = "cellprofiler_examples/ExampleHuman/*d0.tif", "openslide_he_ki67/tiles_512/ki67_*_y0000_x0000.png"
    for name, model in models.items():
        (file, *_) = real_data.glob(slide if name == "tissue" else human)
        assert io.content_hash(io.read_pixels(file))[: card.HASH_DIGITS] in model.metadata["training_hashes"]


def test_a_name_is_a_text_and_a_folder_has_a_slash(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tissue").mkdir()
    assert msrgan.load("tissue").metadata["name"] == "tissue"
    for folder in ("./tissue", Path("tissue")):
        with pytest.raises(FileNotFoundError, match="tissue: there is no exported model. Received: an empty folder"):
            msrgan.load(folder)


def test_an_unknown_name_is_told_with_those_that_ship():
    names = "fluorescence, fluorescence-x2, fluorescence-noisy, tissue, msrgan"
    with pytest.raises(FileNotFoundError, match=f"or {names}, nearest"):
        msrgan.load("flourescence")
    with pytest.raises(ValueError, match="Models that ship are fluorescence,.*Received: flourescence"):
        zoo.card("flourescence")
