import numpy as np
import pytest

from msrgan.intensity import RANGE, Limits
from msrgan.upscaling.numbers import DTYPES, check_dtype, counted, full_range, restored, uncounted


def extremes(dtype):
    """The ends of what a dtype holds here, and a few numbers between."""
    dtype = np.dtype(dtype)
    if dtype == np.uint32:
        return np.array([[[0], [1], [12345], [1 << 24]]], dtype)
    if dtype.kind == "f":
        largest = min(float(np.finfo(dtype).max), 1e30)
        return np.array([[[-largest / 4], [-1.5], [0], [0.1], [largest / 4]]], dtype)
    info = np.iinfo(dtype)
    return np.array([[[info.min], [info.min + 1], [7], [info.max - 1], [info.max]]], dtype)


@pytest.mark.parametrize("name", DTYPES)
def test_numbers_come_back(name):
    pixels = extremes(name)
    check_dtype(pixels.dtype)
    numbers = counted(pixels)
    limits = Limits(*np.float32([[numbers.min()], [numbers.max()]]))
    back = restored(limits.normalize(numbers), limits, pixels.dtype)
    assert back.dtype == pixels.dtype
    if pixels.dtype.kind == "f":
        np.testing.assert_allclose(back, pixels, rtol=1e-6 if name != "float16" else 1e-3, atol=1e-6 * pixels.max())
    else:
        assert back.tolist() == pixels.tolist()
    for number in numbers.ravel():
        assert uncounted(number, pixels.dtype) in pixels


def test_the_order_of_int16_is_kept():
    numbers = counted(np.array([-(1 << 15), -300, -1, 0, 5, (1 << 15) - 1], np.int16))
    assert numbers.dtype == np.uint16
    assert numbers.tolist() == [0, 32468, 32767, 32768, 32773, 65535]


@pytest.mark.parametrize("name", ["uint16", "int16", "float32", "uint32"])
def test_any_byte_order(name):
    pixels = extremes(name)
    swapped = pixels.astype(pixels.dtype.newbyteorder(">"))
    np.testing.assert_array_equal(counted(swapped), counted(pixels))
    assert counted(swapped).dtype.isnative


@pytest.mark.parametrize("name", ["int8", "int32", "int64", "uint64", "complex64", "bool", "longdouble"])
def test_other_dtypes_are_refused(name):
    with pytest.raises(
        ValueError, match="Pixels are uint8, uint16, int16, uint32 up to 16777216, float16, .*Received: "
    ):
        check_dtype(np.dtype(name))


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.array([3, (1 << 24) + 1], np.uint32), "at most 16777216, what float32 holds. Received: 16777217"),
        (np.array([0.0, 1e39]), "within 3.4e.38 of 0, what float32 holds"),
        (np.array([0.0, -1e39]), "within 3.4e.38 of 0, what float32 holds"),
        (np.array([0, np.nan], np.float16), "finite pixels. Received: NaN or infinite ones. .*set `nan` to zero"),
        (np.array([0, -np.inf], np.float32), "finite pixels"),
    ],
)
def test_numbers_that_float32_does_not_hold(pixels, message):
    with pytest.raises(ValueError, match=message):
        counted(pixels)


def test_nan_as_zero():
    pixels = np.array([1.5, np.nan, np.inf, -np.inf, -2], np.float32)
    assert counted(pixels, "zero").tolist() == [1.5, 0, 0, 0, -2]
    assert np.isnan(pixels[1])  # the image is as it was


def test_results_are_rounded_and_kept_within_what_the_dtype_holds():
    limits = Limits(np.float32([0]), np.float32([10]))
    x = np.float32([[-1], [0.26], [0.24], [1e7]])
    assert restored(x, limits, np.dtype(np.uint32)).ravel().tolist() == [0, 3, 2, 1 << 24]
    assert restored(x, limits, np.dtype(np.uint8)).ravel().tolist() == [0, 3, 2, 255]
    assert restored(x, limits, np.dtype(np.int16)).ravel().tolist() == [-32768, -32765, -32766, 32767]
    assert restored(x, limits, np.dtype(np.float16))[-1, 0] == np.finfo(np.float16).max
    with pytest.raises(ValueError, match="larger than float32 holds"):
        restored(x, Limits(np.float32([-3e38]), np.float32([3e38])), np.dtype(np.float32))


@pytest.mark.parametrize("name", ["uint8", "int16", "float64"])
def test_results_are_kept_within_bounds(name):
    limits = Limits(np.float32([0, 0]), np.float32([200, 100]))
    x = np.random.default_rng(0).normal(0.5, 1, (30, 2)).astype(np.float32)
    bounds = np.array([30.1, 20]), np.array([170, 70.3])
    out = restored(x, limits, np.dtype(name), bounds)
    low, high = (uncounted(np.trunc(b) if name != "float64" else b, np.dtype(name)) for b in bounds)
    assert out.min(axis=0).tolist() == low.tolist()
    assert out.max(axis=0).tolist() == high.tolist()


def test_the_whole_range_of_a_dtype():
    tops = {"uint8": 255, "uint16": 65535, "int16": 65535, "float32": 1, "float16": 1}
    for name, top in tops.items():
        low, high = full_range(RANGE, np.dtype(name), 2)
        assert (low.tolist(), high.tolist()) == ([0, 0], [top, top])
