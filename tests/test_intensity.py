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


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("count", [1, 7, 1000, 4096])
def test_percentiles_of_integers_are_numpys(dtype, count):
    image = np.random.default_rng(count).integers(0, np.iinfo(dtype).max, (count, 1, 3)).astype(dtype)
    image[..., 1] //= 4
    expected = np.percentile(image, (0.1, 99.9), axis=(0, 1))
    if count > 1:
        np.testing.assert_allclose(intensity.percentiles(image), expected, rtol=1e-6)
    np.testing.assert_allclose(intensity._integer_percentiles(image[:, 0], (0.1, 99.9), 0), expected, rtol=1e-6)
