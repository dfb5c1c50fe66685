import numpy as np
import pytest

import msrgan
from msrgan.io import UnreadableImageError


@pytest.mark.parametrize(
    ("shape", "dtype", "told", "axes"),
    [
        ((5, 6), np.float32, None, "YX"),
        ((5, 6), bool, None, "YX"),
        ((5, 6, 4), np.uint16, "YXC", "CYX"),
        ((2, 5, 6), np.uint8, "ZYX", "ZYX"),
        ((6, 2, 5), np.int16, "XCY", "CYX"),
    ],
)
def test_arrays_are_read_with_their_axes(tmp_path, shape, dtype, told, axes):
    pixels = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    np.save(tmp_path / "a.npy", pixels)
    with msrgan.read(tmp_path / "a.npy", axes=told) as image:
        assert (image.axes, image.format) == (axes, "npy")
        assert image.dtype == (np.uint8 if dtype is bool else dtype)
        stack = np.stack([image.read(index) for index in image.indices()])
    expected = {"YXC": (2, 0, 1), "XCY": (1, 2, 0)}.get(told, range(len(shape)))
    values = pixels.transpose(expected).reshape(stack.shape) * (np.uint8(255) if dtype is bool else 1)
    np.testing.assert_array_equal(stack, values)


def test_other_arrays_are_refused(tmp_path):
    cases = {
        "stack": (np.zeros((2, 5, 6)), "Say what they are: `axes` with a letter for each"),
        "text": (np.array([["a"]]), "pixels are integers or floats"),
        "objects": (np.array([[None]]), "cannot be read as an image"),
    }
    for name, (array, message) in cases.items():
        np.save(tmp_path / f"{name}.npy", array)
        with pytest.raises(UnreadableImageError, match=message):
            msrgan.read(tmp_path / f"{name}.npy")
    np.save(tmp_path / "a.npy", np.zeros((50, 60)))
    with pytest.raises(UnreadableImageError, match="max_pixels"):
        msrgan.read(tmp_path / "a.npy", max_pixels=2999)
    data = (tmp_path / "a.npy").read_bytes()
    for tenth in range(10):
        (tmp_path / "cut.npy").write_bytes(data[: len(data) * tenth // 10])
        with pytest.raises(UnreadableImageError):
            msrgan.read(tmp_path / "cut.npy")
