import numpy as np
import pytest

from msrgan.io.image import Channel, Image, PixelSize
from msrgan.upscaling import upscale


@pytest.mark.parametrize("options", [{"tile": 0}, {"tile": True}, {"tile": 2.5}, {"tile": "8"}])
def test_a_tile_is_a_whole_number(options):
    with pytest.raises(ValueError, match="tile must be a whole number of 1 or more. Received: tile="):
        upscale("bicubic", np.zeros((4, 4), np.uint8), **options)


@pytest.mark.parametrize("overlap", [1, -1, True, 2.5])
def test_the_overlap_is_the_reach_or_more(overlap):
    with pytest.raises(ValueError, match="overlap must be 2 or more, the reach of the model. Received: "):
        upscale("bicubic", np.zeros((4, 4), np.uint8), overlap=overlap)
    assert upscale("bicubic", np.zeros((4, 4), np.uint8), overlap=np.int64(3), tile=np.int64(2)).shape == (16, 16)


def reference(model, image):
    """One call of the model, of percentiles as NumPy tells them."""
    low, high = np.percentile(image.astype(np.float64), (0.1, 99.9)).astype(np.float32)
    x = ((image.astype(np.float32) - low) / (high - low))[None, ..., None]
    x = np.repeat(x, model.channels, axis=-1)
    y = model(x)[0].mean(axis=-1) * (high - low) + low
    return np.clip(np.rint(y), 0, np.iinfo(image.dtype).max).astype(image.dtype) if image.dtype.kind == "u" else y


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_single_image_is_one_call_of_the_model(tiny_upscaler, dtype, channels):
    for shape in ((3, 7), (61, 53)):
        image = (np.random.default_rng(0).random(shape) * 250).astype(dtype)
        out = upscale(tiny_upscaler(channels), image)
        assert out.dtype == dtype
        np.testing.assert_array_equal(out, reference(tiny_upscaler(channels), image))


@pytest.mark.parametrize("axes", ["TCZYX", "ZYXTC", "XYCZT", "CYXTZ"])
def test_axes_in_any_order(tiny_upscaler, axes):
    pixels = (np.random.default_rng(0).random((2, 3, 2, 11, 7)) * 200).astype(np.uint8)
    order = ["TCZYX".index(axis) for axis in axes]
    for model in (tiny_upscaler(), tiny_upscaler(3)):
        out = upscale(model, pixels.transpose(order), axes=axes)
        expected = upscale(model, pixels, axes="TCZYX")
        assert expected.shape == (2, 3, 2, 44, 28)
        np.testing.assert_array_equal(out, expected.transpose(order))
        assert out.flags.c_contiguous


@pytest.mark.parametrize("axes", ["ZY", "ZZYX", "QYX", "YX", "ZYXS", ""])
def test_axes_that_do_not_fit(axes):
    with pytest.raises(ValueError, match="`axes` are a letter for each dimension: .*Received: .*for .4, 4, 4. uint8"):
        upscale("bicubic", np.zeros((4, 4, 4), np.uint8), axes=axes)


def test_an_image_comes_back_as_an_image():
    pixels = np.random.default_rng(0).integers(0, 4000, (2, 9, 8), np.uint16)
    image = Image(pixels, "CYX", PixelSize(0.5, 0.4), channels=(Channel("DAPI"), Channel("GFP")))
    out = upscale("bicubic", image)
    assert (out.axes, out.pixel_size.x, out.channels[1].name) == ("CYX", 0.1, "GFP")
    np.testing.assert_array_equal(out.pixels, upscale("bicubic", pixels, axes="CYX"))
    with pytest.raises(ValueError, match="an image has its own, CYX. Received: ZYX"):
        upscale("bicubic", image, axes="ZYX")


def test_nan_is_refused_or_zero():
    image = np.random.default_rng(0).random((9, 8))
    image[3, 3] = np.nan
    with pytest.raises(ValueError, match="finite pixels.*set `nan` to zero"):
        upscale("bicubic", image)
    np.testing.assert_array_equal(upscale("bicubic", image, nan="zero"), upscale("bicubic", np.nan_to_num(image)))
