"""The model that an image is enlarged by where none was named."""

from dataclasses import replace

import numpy as np
import pytest

import msrgan
from msrgan.io.image import Channel, Image, PixelSize
from msrgan.io.selection import select_channels
from msrgan.upscaling.suited import Suited, UnusableModelError, is_dark, some_rows, suited, warn_of_size


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


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_rgb_on_a_bright_ground_is_tissue(dtype):
    assert suited(rgb(0.9, dtype=dtype)) == "tissue"
    assert suited(rgb(0.7, spots=0.4, dtype=dtype)) == "tissue"


@pytest.mark.parametrize("background", [0.05, 0.9])
def test_rgb_of_equal_samples_is_grey(background):
    """As of many programs that save what a grey camera saw."""
    pixels = np.repeat(rgb(background).pixels[..., :1], 3, axis=-1)
    assert suited(Image(pixels, "YXS")) == "fluorescence"


def test_a_slide_that_is_white_in_the_rows_that_are_looked_at_first_is_tissue():
    pixels = np.full((400, 30, 3), 255, np.uint8)
    pixels[3:6] = (180, 90, 160)
    assert (some_rows(Image(pixels, "YXS")) == 255).all()
    assert suited(Image(pixels, "YXS")) == "tissue"


def test_a_stack_is_judged_by_its_middle():
    pixels = np.zeros((3, 64, 50, 3), np.uint8)
    pixels[1:] = rgb(0.9).pixels
    assert suited(Image(pixels, "ZYXS")) == "tissue"


@pytest.mark.parametrize("background", [0.0, 0.1, 0.3])
def test_rgb_on_a_dark_ground_is_no_tissue(background):
    with pytest.raises(ValueError, match="has a dark background.*fluorescence, which enlarges each colour"):
        suited(rgb(background))


def test_a_dim_image_with_the_offset_of_a_camera_is_no_tissue():
    pixels = np.random.default_rng(0).normal(12, 1.5, (256, 256, 3)).astype(np.uint8)
    pixels[100:110, 80:90, 1] = 250  # is not in the rows that are looked at
    with pytest.raises(ValueError, match="has a dark background"):
        suited(Image(pixels, "YXS"))


@pytest.mark.parametrize(("background", "is_slide"), [(0.9, True), (0.05, False)])
def test_a_slide_whose_colours_are_channels_is_not_taken_for_fluorescence(background, is_slide):
    colours = tuple(Channel(colour=colour) for colour in ((255, 0, 0), (0, 255, 0), (0, 0, 255)))
    pixels = rgb(background).pixels.transpose(2, 0, 1)
    image = Image(pixels, "CYX", channels=colours)
    if is_slide:
        with pytest.raises(ValueError, match="looks like a stained slide. Choose by `model`: tissue"):
            suited(image)
        assert suited(Image(pixels, "CYX")) == "fluorescence"  # nothing tells
        assert suited(select_channels(image, "1")) == "fluorescence"  # as chosen
    else:
        assert suited(image) == "fluorescence"


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


@pytest.mark.parametrize("scale", [3, 8])
def test_an_enlargement_that_no_model_makes_is_refused_at_once(scale):
    with pytest.raises(ValueError, match=f"enlarge 4 times, or 2 times what is not RGB. Received: `scale` {scale}"):
        Suited(scale)


def test_twice_is_for_what_is_not_rgb(said):
    choose = Suited(2, load=lambda name: name)
    assert choose(grey()) == "fluorescence-x2"
    assert said.messages[0].startswith("model fluorescence-x2, since the image is not RGB")
    with pytest.raises(ValueError, match="for RGB images, tissue, enlarges 4 times. Received: `scale` 2"):
        choose(rgb(0.9))


def test_each_model_is_loaded_and_said_once(said):
    loaded = []
    choose = Suited(load=lambda name: loaded.append(name) or name)
    assert [choose(image) for image in (grey(), rgb(0.9), grey("ZYX"))] == ["fluorescence", "tissue", "fluorescence"]
    assert loaded == ["fluorescence", "tissue"]
    assert len(said.messages) == 2
    assert said.messages[0].startswith("model fluorescence, since the image is not RGB (for clean fluorescence images")
    assert said.messages[1].startswith("model tissue, since the image is RGB (for stained tissue")
    assert all("a guess" in message and "docs/models.md" in message for message in said.messages)


@pytest.mark.parametrize("error", [ValueError("no such engine"), FileNotFoundError("no file")])
def test_a_model_that_cannot_be_used_is_no_fault_of_the_image(error):
    def load(name):
        raise error

    with pytest.raises(UnusableModelError, match=str(error)):
        Suited(load=load)(grey())


@pytest.mark.parametrize(("size", "warns"), [(0.2, False), (1.0, False), (9.0, False), (0.05, True), (20.0, True)])
def test_pixels_far_from_those_of_the_training_are_warned_of(size, warns, said):
    model = msrgan.load("bicubic")
    model.metadata = {**model.metadata, "pixel_size_um": [0.3, 5.0]}
    warn_of_size(grey(pixel_size=PixelSize(size, size)), model)
    assert bool(said.messages) == warns
    assert (
        not warns or f"pixels of {size:.3g} µm are far from those that the model learnt from, 0.3 to 5 µm" in said.text
    )
    warn_of_size(grey(pixel_size=PixelSize(size, size)), model)
    assert len(said.messages) == warns  # once


def test_where_sizes_are_unknown_nothing_is_said(said):
    model = msrgan.load("bicubic")
    warn_of_size(replace(grey(), pixel_size=PixelSize(0.001, 0.001)), model)
    model.metadata = {**model.metadata, "pixel_size_um": [0.3, 5.0]}
    warn_of_size(grey(), model)
    assert not said.messages
