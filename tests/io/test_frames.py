"""The frames of stacks: their names, and that no more is read than one of them."""

import tracemalloc

import numpy as np
import pytest
import tifffile

from msrgan import io
from msrgan.io import formats, frames
from msrgan.io.image import Image

SIZES = {"T": 2, "Z": 3, "C": 4, "Y": 5, "X": 6, "S": 3}


def image_of(axes, **sizes):
    shape = [(SIZES | sizes)[axis] for axis in axes]
    return Image(np.arange(np.prod(shape), dtype=np.uint16).reshape(shape), axes)


@pytest.mark.parametrize(
    ("axes", "names"),
    [
        ("YX", [""]),
        ("YXS", [""]),
        ("CYX", [""]),
        ("ZYX", ["Z0", "Z1", "Z2"]),
        ("TCYX", ["T0", "T1"]),
        ("ZYXS", ["Z0", "Z1", "Z2"]),
        ("TZCYX", ["T0 Z0", "T0 Z1", "T0 Z2", "T1 Z0", "T1 Z1", "T1 Z2"]),
        ("ZCTYX", ["Z0 T0", "Z0 T1", "Z1 T0", "Z1 T1", "Z2 T0", "Z2 T1"]),
    ],
)
def test_frames_are_named_by_their_place_in_t_and_z(axes, names):
    assert frames.names(image_of(axes)) == names


def test_an_axis_of_one_place_names_nothing():
    assert frames.names(image_of("TZCYX", T=1, Z=1)) == [""]
    assert frames.names(image_of("TZCYX", T=1)) == ["Z0", "Z1", "Z2"]
    assert frames.titled("a/b.tif", "T0 Z2") == "a/b.tif[T0 Z2]"
    assert frames.titled("a/b.tif", "") == "a/b.tif"


def test_a_frame_has_its_pixels_and_the_channels_last():
    image = image_of("TCZYX")
    frame = frames.read(image, "T1 Z2")
    assert frame.shape == (5, 6, 4)
    # T1 is 4 x 3 planes of 30 pixels further, C1 3 planes, Z2 two planes, row 3 18 pixels, column 2 two.
    assert frame[3, 2, 1] == 360 + 90 + 60 + 18 + 2
    np.testing.assert_array_equal(frames.read(image_of("ZYXS"), "Z2"), image_of("ZYXS").pixels[2])
    np.testing.assert_array_equal(frames.read(image_of("YX")), image_of("YX").pixels[..., None])
    np.testing.assert_array_equal(frames.read(image_of("TCYX", T=1)), np.moveaxis(image_of("CYX").pixels, 0, -1))


@pytest.mark.parametrize("frame", ["", "Z3", "T0", "Z", "Z0 T0", "Z01"])
def test_another_frame_is_an_error(frame):
    with pytest.raises(ValueError, match=rf"as Z0. Received: {frame or 'none'} of ZYX \(3, 5, 6\)"):
        frames.read(image_of("ZYX"), frame)


def test_channels_of_colours_are_an_error():
    with pytest.raises(ValueError, match=r"has channels or is RGB. Received: both, CYXS \(4, 5, 6, 3\)"):
        frames.read(image_of("CYXS"))


def test_pixels_of_a_frame_are_those_of_a_file_of_its_own(tmp_path):
    stack = np.random.default_rng(0).integers(0, 4096, (3, 2, 9, 8), dtype=np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", stack, imagej=True, metadata={"axes": "ZCYX"})
    for k, plane in enumerate(stack):
        pixels = io.read_pixels(tmp_path / "a.tif", frame=f"Z{k}")
        np.testing.assert_array_equal(pixels, np.moveaxis(plane, 0, -1))
    with pytest.raises(io.UnreadableImageError, match=r"a\.tif: cannot be read as an image .*Take one of its planes"):
        io.read_pixels(tmp_path / "a.tif")
    with pytest.raises(io.UnreadableImageError, match=r"a\.tif\[Z3\]: a frame is named by its place"):
        io.read_pixels(tmp_path / "a.tif", frame="Z3")


@pytest.mark.parametrize("kind", ["imagej", "compressed", "zarr", "npy"])
def test_one_frame_does_not_take_the_memory_of_the_stack(tmp_path, kind):
    stack = np.random.default_rng(0).integers(0, 4096, (64, 128, 128), dtype=np.uint16)
    name = {"zarr": "a.ome.zarr", "npy": "a.npy"}.get(kind, "a.tif")
    if kind == "zarr":
        pytest.importorskip("zarr")
        formats.write(tmp_path / name, Image(stack, "ZYX"))
    elif kind == "npy":
        np.save(tmp_path / name, stack)
    else:
        options = {"imagej": True} if kind == "imagej" else {"compression": "deflate"}
        tifffile.imwrite(tmp_path / name, stack, metadata={"axes": "ZYX"}, photometric="minisblack", **options)
    with formats.read(tmp_path / name, axes="ZYX") as image:
        frames.read(image, "Z3")  # what is imported at the first reading counts for nothing
        tracemalloc.start()
        try:
            plane = frames.read(image, "Z17")
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    np.testing.assert_array_equal(plane[..., 0], stack[17])
    assert peak < 8 * plane.nbytes  # of 64
