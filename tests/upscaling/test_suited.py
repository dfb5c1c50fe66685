"""The model that an image is enlarged by where none was named."""

from dataclasses import replace

import numpy as np
import pytest

import msrgan
from msrgan import zoo
from msrgan.io.image import Image, PixelSize
from msrgan.upscaling.suited import Suited, is_dark, some_rows, suited, warn_of_size


def rgb(background, *, spots=0.1, dtype=np.uint8):
    """An RGB image: an even background, and a part of the pixels that differs from it most."""
    top = np.iinfo(dtype).max
    pixels = np.full((64, 50, 3), background * top, dtype)
    other = 0.05 if background > 0.5 else 0.95
    pixels.reshape(-1, 3)[: round(64 * 50 * spots)] = round(other * top), round(0.9 * other * top), 0
    return Image(np.random.default_rng(0).permuted(pixels, axis=0), "YXS")


def grey(axes="YX", **known):
    return Image(np.zeros((2,) * (len(axes) - 2) + (8, 9), np.uint16), axes, **known)


@pytest.mark.parametrize("axes", ["YX", "ZYX", "TCZYX"])
def test_what_is_not_rgb_is_fluorescence(axes):
    assert suited(grey(axes)) == "fluorescence"
    assert suited(grey(axes), 2) == "fluorescence-x2"


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_rgb_on_a_bright_ground_is_tissue(dtype):
    assert suited(rgb(0.9, dtype=dtype)) == "tissue"
    assert suited(rgb(0.7, spots=0.4, dtype=dtype)) == "tissue"


@pytest.mark.parametrize("background", [0.05, 0.9])
def test_rgb_of_equal_samples_is_grey(background):
    """As of many programs that save what a grey camera saw."""
    image = rgb(background)
    pixels = np.repeat(image.pixels[..., :1], 3, axis=-1)
    assert suited(Image(pixels, "YXS")) == "fluorescence"
    assert suited(Image(pixels, "YXS"), 2) == "fluorescence-x2"
    pixels[34, 7, 1] ^= 1  # is not looked at
    assert suited(Image(pixels, "YXS")) == "fluorescence"
    pixels[0, 7, 1] ^= 1
    assert background < 0.5 or suited(Image(pixels, "YXS")) == "tissue"


@pytest.mark.parametrize("background", [0.0, 0.1, 0.3])
def test_rgb_on_a_dark_ground_is_no_tissue(background):
    with pytest.raises(ValueError, match="looks like fluorescence in false colours.*Choose tissue by `model`"):
        suited(rgb(background))


def test_real_slides_are_bright_and_real_cells_dark(real_data):
    slides = [*(real_data / "openslide_he_ki67/tiles_512").glob("*.png")]
    slides += [*(real_data / "dsb2018_nuclei/colour_stained_256x320/images").glob("*.png")]
    slides += [*(real_data / "bccd_blood_smear/JPEGImages").glob("*.jpg")][:40]
    cells = [*(real_data / "cyto2017_msrgan_96px").glob("*/*.png")]
    for paths, dark in ((slides, False), (cells, True)):
        assert len(paths) > 20
        for path in paths:
            with msrgan.read(path) as image:
                assert not image.is_rgb or is_dark(some_rows(image)) == dark, path


@pytest.mark.parametrize(("image", "scale"), [(grey(), 3), (grey(), 8), (rgb(0.9), 2)])
def test_an_enlargement_that_no_model_makes_is_refused(image, scale):
    with pytest.raises(ValueError, match=f"{scale} times.*Name another by `model`"):
        suited(image, scale)


def test_each_model_is_loaded_and_said_once(said):
    loaded = []
    choose = Suited(load=lambda name: loaded.append(name) or name)
    assert [choose(image) for image in (grey(), rgb(0.9), grey("ZYX"))] == ["fluorescence", "tissue", "fluorescence"]
    assert loaded == ["fluorescence", "tissue"]
    assert len(said.messages) == 2
    assert said.messages[0].startswith(
        f"model fluorescence, chosen by the kind of image ({zoo.card(loaded[0])['purpose']}"
    )
    assert "a guess" in said.messages[0] and "train_srgan.py --init fluorescence" in said.messages[0]


@pytest.mark.parametrize(("size", "warns"), [(0.2, False), (1.0, False), (9.0, False), (0.05, True), (20.0, True)])
def test_pixels_far_from_those_of_the_training_are_warned_of(size, warns, said):
    model = msrgan.load("bicubic")
    model.metadata = {**model.metadata, "pixel_size_um": [0.3, 5.0]}
    warn_of_size(grey(pixel_size=PixelSize(size, size)), model)
    assert bool(said.messages) == warns
    assert not warns or f"its pixels of {size:.3g} µm are far from those of the training, 0.3 to 5 µm" in said.text


def test_where_sizes_are_unknown_nothing_is_said(said):
    model = msrgan.load("bicubic")
    warn_of_size(replace(grey(), pixel_size=PixelSize(0.001, 0.001)), model)
    model.metadata = {**model.metadata, "pixel_size_um": [0.3, 5.0]}
    warn_of_size(grey(), model)
    assert not said.messages
