import numpy as np
import pytest

from msrgan import intensity
from msrgan.intensity import PERCENTILE, RANGE, Normalization
from msrgan.io.image import Image
from msrgan.upscaling import limits
from msrgan.upscaling.limits import Levels, measure
from msrgan.upscaling.numbers import DTYPES, counted


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Blocks of 4 rows, so that a small plane has several."""
    monkeypatch.setattr(limits, "_ROWS", 4)
    monkeypatch.setattr(limits, "BAND_BYTES", 1)


def stack(axes, dtype, shape=(2, 3, 2, 11, 9)):
    pixels = np.random.default_rng(0).gamma(2, 300, shape).astype(dtype)
    pixels *= np.arange(1, 4, dtype=dtype)[:, None, None, None]  # channels differ, and T and Z differ a little
    return Image(pixels.transpose(["TCZYX".index(axis) for axis in axes]), axes)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("block", [100, 1 << 18])
def test_limits_are_numpys_over_all_times_and_depths(monkeypatch, dtype, block):
    monkeypatch.setattr(intensity, "_BLOCK", block)
    image = stack("TCZYX", dtype)
    levels = measure(image, PERCENTILE)
    assert list(levels) and set(levels) == set(image.indices())
    for index, measured in levels.items():
        channel = counted(image.pixels[:, index[1]]).astype(np.float64)
        np.testing.assert_allclose(np.ravel(measured.limits), np.percentile(channel, (0.1, 99.9)), rtol=1e-6)
        assert (measured.least, measured.most) == (channel.min(), channel.max())
        assert np.isnan(measured.even)


@pytest.mark.parametrize("axes", ["CTZYX", "TZCYX", "ZTCYX"])
def test_channels_are_found_in_any_order(axes):
    image, same = stack(axes, np.uint16), measure(stack("TCZYX", np.uint16), PERCENTILE)
    for index, measured in measure(image, PERCENTILE).items():
        place = dict(zip(axes, index, strict=False))
        np.testing.assert_array_equal(measured.limits, same[tuple(place[a] for a in "TCZ")].limits)


def test_limits_of_each_plane():
    image = stack("TCZYX", np.uint16)
    for index, measured in measure(image, Normalization("percentile", (5, 80)), over="plane").items():
        np.testing.assert_allclose(np.ravel(measured.limits), np.percentile(image.pixels[index], (5, 80)), rtol=1e-6)
        assert measured.most == image.pixels[index].max()


def test_samples_of_rgb_are_channels():
    pixels = np.random.default_rng(0).integers(0, (50, 100, 250), (2, 13, 9, 3)).astype(np.uint8)
    pixels[1, ..., 2] = 77
    levels = measure(Image(pixels, "ZYXS"), PERCENTILE)
    expected = np.percentile(pixels.reshape(-1, 3), (0.1, 99.9), axis=0)
    for index in ((0,), (1,)):
        np.testing.assert_allclose(levels[index].limits, expected, rtol=1e-6)
    np.testing.assert_array_equal(levels[0,].even, [np.nan] * 3)
    np.testing.assert_array_equal(levels[1,].even, [np.nan, np.nan, 77])


def test_the_range_of_the_dtype_needs_no_percentiles():
    image = stack("TCZYX", np.uint16)
    measured = measure(image, RANGE)[0, 2, 1]
    np.testing.assert_array_equal(np.ravel(measured.limits), [0, 65535])
    assert measured.most == image.pixels[:, 2].max()


def test_an_image_in_memory_has_the_limits_it_always_had():
    for dtype in (np.uint8, np.uint16, np.float32, np.float64):
        pixels = (np.random.default_rng(1).random((57, 61)) * 200).astype(dtype)
        measured = measure(Image(pixels, "YX"), PERCENTILE)[()]
        np.testing.assert_array_equal(measured.limits, intensity.percentiles(pixels[..., None]))


def test_pixels_that_are_not_finite():
    pixels = np.random.default_rng(0).random((2, 9, 5), np.float32)
    pixels[1, 8, 4] = np.nan
    with pytest.raises(ValueError, match="finite pixels"):
        measure(Image(pixels, "ZYX"), PERCENTILE)
    measured = measure(Image(pixels, "ZYX"), PERCENTILE, nan="zero")[0,]
    np.testing.assert_allclose(np.ravel(measured.limits), np.percentile(np.nan_to_num(pixels), (0.1, 99.9)), rtol=1e-6)


def test_planes_are_joined():
    levels = measure(stack("TCZYX", np.uint16), PERCENTILE)
    joined = Levels.joined([levels[0, c, 0] for c in range(3)])
    for c in range(3):
        assert joined.limits.low[c] == levels[0, c, 0].limits.low[0]
        assert joined.limits.high[c] == levels[0, c, 0].limits.high[0]
        assert (joined.least[c], joined.most[c]) == (levels[0, c, 0].least[0], levels[0, c, 0].most[0])
