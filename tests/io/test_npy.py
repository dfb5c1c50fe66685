import numpy as np
import pytest

from msrgan import io
from msrgan.io import npy

ARRAY = np.random.default_rng(2).integers(0, 999, (4, 5, 3), dtype=np.uint16)


def test_a_plane_needs_no_axes_and_other_arrays_are_told(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, ARRAY[..., 0].astype(">u2"))
    with npy.read(path) as image:
        assert (image.axes, image.dtype, image.format) == ("YX", np.uint16, "npy")
        np.testing.assert_array_equal(image.read((), slice(1, 3)), ARRAY[1:3, :, 0])
    np.save(path, np.asfortranarray(ARRAY))
    with pytest.raises(io.UnreadableImageError, match=r"no axes of its own. Received: \(4, 5, 3\) in .*`axes`"):
        npy.read(path)
    with pytest.raises(io.UnreadableImageError, match="a letter for each dimension"):
        npy.read(path, axes="YX")
    for axes, stack, order in (("YXC", "C", (2, 0, 1)), ("ZYX", "Z", (0, 1, 2)), ("XYT", "T", (2, 1, 0))):
        with npy.read(path, axes=axes) as image:
            assert (image.axes, image.extra["axes"]) == (f"{stack}YX", axes)
            np.testing.assert_array_equal(image.pixels[:, :, :], ARRAY.transpose(order))


def test_axes_of_length_1_are_left_out_and_bits_are_0_and_255(tmp_path):
    np.save(tmp_path / "a.npy", ARRAY[None, :, :, :1] > 500)
    with npy.read(tmp_path / "a.npy", axes="ZYXC") as image:
        assert (image.axes, image.dtype) == ("YX", np.uint8)
        np.testing.assert_array_equal(image.read(), (ARRAY[..., 0] > 500) * 255)


def test_files_that_are_no_pixels_are_an_error(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, ARRAY[..., 0])
    whole = path.read_bytes()
    for k in range(10):
        path.write_bytes(whole[: len(whole) * k // 10])
        with pytest.raises(io.UnreadableImageError, match=r"a\.npy: cannot be read as an image"):
            npy.read(path)
    np.save(path, np.array([[object()]]), allow_pickle=True)
    with pytest.raises(io.UnreadableImageError, match="cannot be read as an image"):
        npy.read(path)
    np.save(path, ARRAY[..., 0] + 1j)
    with pytest.raises(io.UnreadableImageError, match="integers or floats. Received: complex"):
        npy.read(path)
    np.save(path, ARRAY[..., 0])
    with pytest.raises(io.UnreadableImageError, match=r"at most `max_pixels` pixels, 19. Received: 4 x 5"):
        npy.read(path, max_pixels=19)
    with npy.read(path, max_pixels=20) as image:
        assert image.levels == ((4, 5),)
    with pytest.raises(ValueError, match="`level` is 0"):
        npy.read(path, level=1)
    with pytest.raises(FileNotFoundError):
        npy.read(tmp_path / "b.npy")


def test_what_follows_an_array_is_damage_or_another_array(tmp_path):
    """Of a header with a changed digit, say: (4, 5) in place of (40, 5)."""
    path = tmp_path / "a.npy"
    np.save(path, ARRAY[..., 0])
    path.write_bytes(path.read_bytes().replace(b"(4, 5)", b"(4, 3)"))
    with pytest.raises(io.UnreadableImageError, match=r"damaged, or more than one array: 16 bytes follow the first"):
        npy.read(path)
