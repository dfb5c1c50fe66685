"""The recipes of the models that ship: what they may learn from, which file goes where, what is packed."""

import hashlib
import json
import sys
import tomllib

import numpy as np
import pytest
from conftest import ROOT, randomise, spots, write_image

import msrgan
import train_srgan
import train_vgg
from msrgan import io, zoo
from msrgan.degradation import make
from msrgan.networks import span
from msrgan.zoo import text

sys.path.insert(0, str(ROOT / "recipes"))
import layout  # noqa: E402
import pack  # noqa: E402
import scores  # noqa: E402

RECIPES = tomllib.loads((ROOT / "recipes" / "recipes.toml").read_text())
FREE = ("CC0", "MIT", "Apache", "free to use and distribute")
SOURCE = {"title": "Spots", "licence": "CC0 1.0", "citation": "nobody", "url": "nowhere", "files": ["spots/*.png"]}


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw")
    for k in range(6):
        write_image(folder / "spots" / f"{k}.png", spots(k, size=64, channels=1))
    write_image(folder / "others" / "a.png", spots(9, size=96, channels=1))
    return folder


def laid_out(raw, out, **source):
    sources = {"spots": SOURCE | source, "others": SOURCE | {"title": "Others", "files": ["others/*.png"]}}
    return sources, layout.lay_out(sources, ["spots"], ["others"], raw, out)


def test_every_model_has_a_recipe_that_its_script_takes():
    assert set(RECIPES["models"]) >= set(zoo.NAMES)
    for recipe in RECIPES["models"].values():
        script = train_vgg if "classes" in recipe else train_srgan
        for arguments in (recipe["arguments"], recipe.get("refined", [])):
            script.parser().parse_args(arguments)
        for degradation in recipe.get("scored_by", ()):
            make(degradation)


def test_models_learn_from_what_may_be_passed_on_and_a_source_is_kept_out_of_each():
    for name in zoo.UPSCALERS:
        recipe = RECIPES["models"][name]
        assert all(RECIPES["sources"][source]["licence"].startswith(FREE) for source in recipe["train"])
        assert recipe["kept_out"] and not set(recipe["kept_out"]) & set(recipe["train"])
        files = [set(RECIPES["sources"][s]["files"]) for s in (*recipe["train"], *recipe["kept_out"])]
        assert sum(map(len, files)) == len(set().union(*files))


def test_where_a_file_goes_follows_from_its_name(raw, tmp_path):
    _, counts = laid_out(raw, tmp_path / "data", held_out=2, validate=1)
    assert counts == {"spots": {"train": 3, "val": 1, "test": 2}, "others": {"train": 0, "val": 0, "test": 1}}
    order = sorted(map(str, range(6)), key=lambda name: hashlib.sha256(name.encode()).digest())
    files = sorted(path.relative_to(tmp_path / "data").as_posix() for path in tmp_path.rglob("*.png"))
    expected = [f"test/spots/spots_{k}.png" for k in order[:2]] + [f"data/val/spots_{order[2]}.png"]
    expected += [f"data/train/spots_{k}.png" for k in order[3:]] + ["test/others/others_a.png"]
    assert files == sorted(expected)
    for file in expected[:-1]:
        k = file[-5]
        np.testing.assert_array_equal(io.read_pixels(tmp_path / "data" / file), io.read_pixels(raw / f"spots/{k}.png"))


def test_lifted_images_leave_room_for_noise_below_and_above(raw, tmp_path):
    laid_out(raw, tmp_path / "data", validate=1)
    layout.lift(tmp_path / "data" / "data", tmp_path / "lifted")
    files = sorted((tmp_path / "lifted").rglob("*.png"))
    assert [file.parent.name for file in files] == ["train"] * 5 + ["val"]
    for file in files:
        lifted = io.read_pixels(file)
        pixels = io.read_pixels(tmp_path / "data" / "data" / file.relative_to(tmp_path / "lifted"))
        assert lifted.dtype == np.uint16 and lifted.max() == 49152
        np.testing.assert_allclose(lifted, 16384 + pixels * (32768 / pixels.max()), atol=0.5)


def test_large_images_are_cut_for_training_alone(raw, tmp_path):
    laid_out(raw, tmp_path / "data", held_out=5, tile=40)
    tiles = sorted((tmp_path / "data" / "data" / "train").iterdir())
    assert [tile.stem[-2:] for tile in tiles] == ["00", "01", "10", "11"]
    whole = io.read_pixels(raw / "spots" / f"{tiles[0].stem.split('_')[1]}.png")
    rows = [np.hstack([io.read_pixels(tile) for tile in tiles[k : k + 2]]) for k in (0, 2)]
    np.testing.assert_array_equal(np.vstack(rows), whole)
    assert all(io.read_pixels(path).shape == (64, 64, 1) for path in (tmp_path / "data" / "test" / "spots").iterdir())
    # A user has the whole image, not its parts.
    assert json.loads((tmp_path / "data" / layout.HASHES).read_text()) == [io.content_hash(whole)]


def test_a_source_that_lacks_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no files of spots, spots/.*Get them from nowhere"):
        laid_out(tmp_path, tmp_path / "data")


def test_simulated_fields_are_drawn_alike(tmp_path):
    layout.simulated(tmp_path, 1)
    (protein, tubules) = (io.read_pixels(tmp_path / f"simulated_000_{c}.png") for c in ("protein", "microtubules"))
    assert protein.shape == tubules.shape == (384, 384, 1) and (protein != tubules).mean() > 0.5


def test_a_model_is_scored_and_packed(raw, tmp_path, monkeypatch):
    monkeypatch.setattr(zoo, "folder", lambda name: tmp_path / "zoo" / name)
    monkeypatch.setattr(zoo, "is_name", lambda name: name == "spots")
    monkeypatch.setattr(pack, "PICTURES", tmp_path / "pictures")
    sources, _ = laid_out(raw, tmp_path / "images", held_out=2, tile=40)
    generator = span(channels=1, filters=4, blocks=1)
    randomise(generator)
    generator.get_layer("output_conv").set_weights([np.zeros((3, 3, 4, 16)), np.full(16, 0.02)])  # all is brighter
    metadata = {"data": "/home/me/cells", "steps": 70, "training_hashes": ["ab" * 16]}
    msrgan.export(generator, tmp_path / "run" / "model", metadata=metadata)
    (tmp_path / "processor_seconds").write_text("1800\n")
    test = tmp_path / "images" / "test"
    scored = [
        scores.score(tmp_path / "run", test / name, "area", tmp_path / "scores", sources[name]) for name in sources
    ]
    for name, score in zip(sources, scored, strict=True):
        summary = json.loads((tmp_path / "scores" / name / "area" / "summary.json").read_text())
        assert score["gain"] == summary["psnr_gain"]["mean"] and score["images"] == len(list((test / name).iterdir()))
        assert score["psnr"]["lanczos"] == summary["psnr"]["lanczos"]["mean"]
        assert 0.001 < score["brightness"] < 0.2
    recipe = {"purpose": "spots", "network": "SPAN", "train": ["spots"], "limits": ["all"], "scored_by": ["area"]}
    recipe |= {"drawn": ["others_a"], "pixel_size_um": [1.0, 2.0]}
    pack.pack_upscaler("spots", recipe, sources, tmp_path / "run", scored)
    told = json.loads((tmp_path / "zoo" / "spots" / "card.json").read_text())
    assert [(s["title"], s["train"], s["validate"]) for s in told["sources"]] == [("Spots", 16, 0)]
    assert told["training"]["processor_hours"] == 0.5 and told["training"]["steps"] == 70
    assert told["scores"][0]["gain"] == pytest.approx(scored[0]["gain"], rel=1e-4)
    model = msrgan.load("spots")
    assert model.metadata["fingerprint"] == told["fingerprint"]
    assert (model.metadata["name"], model.metadata["data"]) == ("spots", "spots")
    assert model.metadata["pixel_size_um"] == [1.0, 2.0]
    x = np.random.default_rng(0).random((1, 9, 9, 1), np.float32)
    np.testing.assert_array_equal(model(x), msrgan.load(tmp_path / "run")(x))
    assert io.read_pixels(tmp_path / "pictures" / "spots.png").shape[1] > 500  # four panels
    held_out = {file.name.removeprefix("spots_") for file in (test / "spots").iterdir()}
    trained_on = [file for file in (raw / "spots").iterdir() if file.name not in held_out]
    assert len(trained_on) == 4
    trained_on += (tmp_path / "images" / "data" / "train").iterdir()  # their parts
    assert set(model.metadata["training_hashes"]) == {io.content_hash(io.read_pixels(f))[:16] for f in trained_on}
    # Again, over what is there.
    pack.pack_upscaler("spots", recipe, sources, tmp_path / "run", scored)


def test_what_a_gan_changed_is_on_the_card_and_in_the_picture(raw, tmp_path, monkeypatch):
    monkeypatch.setattr(zoo, "folder", lambda name: tmp_path / "zoo" / name)
    monkeypatch.setattr(zoo, "is_name", lambda name: name == "spots")
    monkeypatch.setattr(pack, "PICTURES", tmp_path / "pictures")
    sources, _ = laid_out(raw, tmp_path / "images")
    for run, shift in (("run", 0.0), ("refined", 0.5)):  # before it: bicubic interpolation; after it: brighter
        generator = span(channels=1, filters=4, blocks=1)
        generator.get_layer("output_conv").set_weights([np.zeros((3, 3, 4, 16)), np.full(16, shift)])
        metadata = {"data": "", "steps": 30, "training_hashes": [], "degradation": "bicubic"}
        msrgan.export(generator, tmp_path / run / "model", metadata=metadata)
    (tmp_path / "processor_seconds").write_text("1800\n")
    scored = {"title": "Others", "degradation": "bicubic", "images": 1, "gain": -9.0, "interval": None, "better": 0.0}
    scored |= {"brightness": 0.5, "psnr": {"bicubic": 30.0, "lanczos": 31.0, "model": 21.0}}
    scored |= {"ssim": {"bicubic": 0.8, "model": 0.7}, "before_gan": {"psnr": 30.004, "ssim": 0.8}}
    recipe = {"purpose": "spots", "network": "SPAN", "train": ["spots"], "limits": ["all"], "scored_by": ["bicubic"]}
    recipe |= {"drawn": ["others_a"], "gan": True}
    pack.pack_upscaler("spots", recipe, sources, tmp_path / "refined", [scored])
    card = json.loads((tmp_path / "zoo" / "spots" / "card.json").read_text())
    told = text.page(card)
    assert "| what the GAN changed | coarse by | dB before | dB after | SSIM before | SSIM after |" in told
    assert "\n| Others | bicubic | 30.00 | 21.00 | 0.800 | 0.700 |\n" in told
    assert card["training"]["steps"] == 60
    picture = io.read_pixels(tmp_path / "pictures" / "spots.png")[48:].astype(int)  # below the titles
    panel = picture.shape[0] + 6  # with the gutter
    bicubic, before, after, hr = (picture[:, k * panel : (k + 1) * panel - 6] for k in range(4))
    assert np.abs(before - bicubic).mean() < 1 < np.abs(hr - bicubic).mean()
    assert (after - before).mean() > 30
