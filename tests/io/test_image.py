"""An image: its axes, its planes and bands, and what is said of its enlargement."""

import re

import numpy as np
import pytest

from msrgan.io.image import Channel, Image, PixelSize, Promised

PIXELS = np.arange(2 * 3 * 4 * 5, dtype=np.uint16).reshape(2, 3, 4, 5)


@pytest.mark.parametrize(
    ("shape", "axes", "words"),
    [
        ((4, 5), "XY", "then YX, then S for RGB. Received: 'XY'"),
        ((2, 4, 5), "QYX", "letters of T, C and Z"),
        ((2, 2, 4, 5), "ZZYX", "each once"),
        ((4, 5, 2), "YXC", "then YX"),
        ((3, 4, 5), "YX", "a letter for each dimension. Received: YX for (3, 4, 5)"),
        ((4, 5, 4), "YXS", "three samples a pixel. Received: 4"),
    ],
)
def test_axes_that_are_none(shape, axes, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        Image(np.zeros(shape), axes)


def test_every_channel_is_described_or_none():
    with pytest.raises(ValueError, match="Received: 2 for 3"):
        Image(PIXELS, "ZCYX", channels=(Channel("a"), Channel("b")))


def test_windows_and_bands():
    image = Image(PIXELS, "ZCYX")
    assert image.indices() == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
    assert image.sizes == {"Z": 2, "C": 3, "Y": 4, "X": 5}
    assert image.nbytes == 240
    np.testing.assert_array_equal(image.read((1, 2), slice(1, 3), slice(2, 5)), PIXELS[1, 2, 1:3, 2:5])
    bands = list(image.bands(3))
    assert [(band.index, band.top, len(band.pixels)) for band in bands[:3]] == [
        ((0, 0), 0, 3),
        ((0, 0), 3, 1),
        ((0, 1), 0, 3),
    ]
    np.testing.assert_array_equal(np.concatenate([band.pixels for band in bands]).reshape(PIXELS.shape), PIXELS)


def test_another_order_of_the_stack():
    image = Image(PIXELS, "ZCYX").transposed("CZ")
    assert (image.axes, image.pixels.shape) == ("CZYX", (3, 2, 4, 5))
    for c, z in image.indices():
        np.testing.assert_array_equal(image.read((c, z), slice(1, 3)), PIXELS[z, c, 1:3])


def test_what_is_said_of_an_enlargement():
    imagej = {"Info": "stained", "ROI": b"\1", "Overlays": [b"\2"], "xorigin": 3, "yorigin": 4}
    image = Image(
        PIXELS, "ZCYX", PixelSize(0.4, 0.8, 2.0), 1.5, (Channel("a"),) * 3, {"imagej": imagej}, levels=((4, 5), (2, 2))
    )
    result = image.enlarged(4, provenance={"model": "m"})
    assert result.pixels.shape == (2, 3, 16, 20)
    assert result.pixel_size == pytest.approx((0.1, 0.2, 2.0))
    assert (result.dtype, result.time_step, result.channels, result.levels) == (np.uint16, 1.5, image.channels, ())
    assert result.extra == {"imagej": {"Info": "stained"}, "provenance": {"model": "m"}}
    assert image.extra["imagej"] is imagej
    assert "ROI" in imagej
    assert isinstance(result.pixels, Promised)
    with pytest.raises(TypeError, match="cannot be read"):
        result.read((0, 0))
    assert Image(PIXELS, "ZCYX").enlarged(4, provenance={}).pixel_size == (None, None, None)


def test_an_image_shows_itself_on_a_line():
    image = Image(PIXELS, "ZCYX", PixelSize(x=0.108), channels=(Channel("DAPI"), Channel(), Channel("GFP")))
    assert repr(image) == "<Image: ZCYX 2x3x4x5, uint16, 0.108 µm, DAPI, GFP>"
