import tracemalloc

import numpy as np
import pytest

from msrgan import intensity
from msrgan.intensity import Limits, Normalization


def limits(low, high):
    return Limits(np.float32([low]), np.float32([high]))


def pixels(rng, dtype, channels=3):
    return rng.integers(0, np.iinfo(dtype).max, (20, 30, channels), endpoint=True, dtype=dtype)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_percentiles_are_those_of_numpy_per_channel(rng):
    image = pixels(rng, "uint16", 2)
    low, high = intensity.percentiles(image)
    for c in range(2):
        assert low[c] == pytest.approx(np.percentile(image[..., c], 0.1))
        assert high[c] == pytest.approx(np.percentile(image[..., c], 99.9))
    assert low.dtype == high.dtype == np.float32


def test_percentiles_never_coincide():
    image = np.full((100, 100, 3), 9, np.uint16)
    image[0, 0, 1] = 500  # one spot, beyond the 99.9 percentile
    low, high = intensity.percentiles(image)
    assert low.tolist() == [9, 9, 9]
    assert high.tolist() == [10, 500, 10]
    low, high = intensity.percentiles(np.full((2, 2, 1), 1e8, np.float32))
    assert high > low


@pytest.mark.parametrize(("dtype", "top"), [("uint8", 255), ("uint16", 65535), ("float32", 1)])
def test_dtype_range(dtype, top):
    low, high = intensity.dtype_range(np.zeros((2, 2, 3), dtype))
    assert (low.tolist(), high.tolist()) == ([0] * 3, [top] * 3)


def test_normalize_is_linear_and_does_not_clip():
    image = np.array([[[10], [20], [40]]], np.uint8)
    np.testing.assert_allclose(limits(20, 30).normalize(image)[0, :, 0], [-1, 0, 2])


def test_denormalize_undoes_normalize(rng):
    for dtype in ("uint8", "uint16"):
        image = pixels(rng, dtype)
        limits = intensity.percentiles(image)
        np.testing.assert_array_equal(limits.denormalize(limits.normalize(image), dtype), image)


def test_denormalize_rounds_and_clips():
    x = np.array([-0.1, 1.6 / 255, 1.4 / 255, 1.2], np.float32)
    assert limits(0, 255).denormalize(x, np.uint8).tolist() == [0, 2, 1, 255]
    np.testing.assert_allclose(limits(0, 10).denormalize(x, np.float32), x * 10)


def test_to_channels(rng):
    grey, colour = pixels(rng, "uint8", 1), pixels(rng, "uint8", 3)
    np.testing.assert_array_equal(intensity.to_channels(grey, 3), np.dstack([grey] * 3))
    assert intensity.to_channels(colour, 3) is colour
    for image, channels in ((grey, 2), (colour, 1), (colour, 4)):
        with pytest.raises(ValueError, match=f"Received: {image.shape[2]}"):
            intensity.to_channels(image, channels)


def test_a_normalization_chooses_its_limits(rng):
    image = pixels(rng, "uint16", 2)
    for q in ((0.1, 99.9), (1, 90)):
        expected = np.percentile(image.reshape(-1, 2), q, axis=0)
        np.testing.assert_allclose(Normalization("percentile", q).limits(image), expected, rtol=1e-6)
    np.testing.assert_array_equal(Normalization("range").limits(image), [[0, 0], [65535, 65535]])
    np.testing.assert_array_equal(Normalization().limits(image), intensity.percentiles(image))


def percentiles(channel, q):
    """Percentiles of a channel whose rows are counted three at a time."""
    counter = intensity.Counter()
    parts = [channel[top : top + 3] for top in range(0, len(channel), 3)]
    for part in parts:
        counter.count(part)
    if counter.needs_refinement:
        for part in parts:
            counter.refine(part, q)
    assert (counter.least, counter.most, counter.size) == (channel.min(), channel.max(), channel.size)
    return counter.percentiles(q)


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks so small that a small image takes the way of a large one."""
    monkeypatch.setattr(intensity, "_BLOCK", 300)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("count", [1, 7, 1000, 4096])
def test_percentiles_of_integers_are_numpys(small_blocks, dtype, count):
    channel = np.random.default_rng(count).integers(0, np.iinfo(dtype).max, (count, 1)).astype(dtype)
    for q in ((0.1, 99.9), (0, 100), (25, 60)):
        for pixels in (channel, channel // 4, channel[::-1], channel.reshape(1, -1)[:, ::2]):
            np.testing.assert_allclose(percentiles(pixels, q), np.percentile(pixels, q), rtol=1e-12)


def floats(kind, rng):
    match kind:
        case "around zero":
            return rng.normal(0, 1, (40, 35))
        case "negative":
            return -1e3 * rng.random((40, 35))
        case "huge range":
            return rng.normal(0, 1, (40, 35)) * 10.0 ** rng.integers(-44, 38, (40, 35))
        case "denormal":
            return rng.integers(-9, 9, (40, 35)) * 1.4e-45
        case "constant":
            return np.full((40, 35), -3.7)
        case "zeros":
            return np.where(rng.random((40, 35)) < 0.5, 0.0, -0.0)
        case "one bin":
            return 1 + 1e-6 * rng.random((40, 35))
        case "one pixel":
            return np.array([[2.5]])
        case "two pixels":
            return np.array([[3.0, -1.0]])


KINDS = ["around zero", "negative", "huge range", "denormal", "constant", "zeros", "one bin", "one pixel", "two pixels"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("block", [300, 1 << 18])
def test_percentiles_of_floats_are_numpys(monkeypatch, rng, kind, block):
    monkeypatch.setattr(intensity, "_BLOCK", block)
    single = floats(kind, rng).astype(np.float32)
    for channel in (single, single.T[::-1].astype(np.float64)):
        for q in ((0.1, 99.9), (0, 100), (25, 50)):
            expected = np.percentile(channel.astype(np.float64), q)
            np.testing.assert_allclose(percentiles(channel, q), expected, rtol=1e-7, atol=0)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
def test_percentiles_take_memory_that_does_not_grow(monkeypatch, rng, dtype):
    monkeypatch.setattr(intensity, "_BLOCK", 1 << 14)
    peaks = []
    for side in (160, 1024):
        image = (200 * rng.random((side, side, 2))).astype(dtype)
        tracemalloc.start()
        limits = intensity.percentiles(image[:, ::-1])
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        np.testing.assert_allclose(limits, np.percentile(image, (0.1, 99.9), axis=(0, 1)), rtol=1e-6)
    # Histograms of 16 bits and a few blocks; the larger image has 40 times the pixels of the smaller one.
    assert peaks[1] < 1.1 * peaks[0] + 20000
    assert peaks[1] < 5e6
