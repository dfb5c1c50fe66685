import numpy as np
import pytest

from msrgan.upscaling import upscale

da = pytest.importorskip("dask.array")


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("axes", "shape", "chunks"),
    [
        ("TCZYX", (2, 3, 1, 21, 17), (1, 3, 1, 16, 10)),
        ("YX", (37, 29), (7, 29)),
        ("YXC", (21, 17, 3), (12, 12, 1)),
        ("ZYXS", (2, 21, 17, 3), (1, 16, 16, 3)),
    ],
)
def test_a_dask_array_comes_back_and_is_that_of_numpy(tiny_upscaler, axes, shape, chunks, channels):
    model, pixels = tiny_upscaler(channels), (np.random.default_rng(0).random(shape) * 4000).astype(np.uint16)
    lazy = upscale(model, da.from_array(pixels, chunks), axes=axes, tile=8)
    assert isinstance(lazy, da.Array)
    assert lazy.dtype == np.uint16
    expected = upscale(model, pixels, axes=axes, tile=8)
    assert lazy.shape == expected.shape
    np.testing.assert_array_equal(lazy.compute(), expected)


def test_nothing_is_computed_before_it_is_asked_for(tiny_upscaler):
    calls = []

    def block(block_info=None):
        calls.append(block_info[None]["array-location"])
        return np.random.default_rng(len(calls)).random((20, 30))

    pixels = da.map_blocks(block, chunks=((20,) * 5, (30,)), dtype=np.float64, meta=np.empty((0, 0)))
    lazy = upscale(tiny_upscaler(), pixels, tile=8)
    assert not calls
    assert lazy.numblocks[0] > 5
    assert lazy[:4].compute(scheduler="synchronous").shape == (4, 120)
    # All are looked at once for the limits, and the first again.
    assert len(calls) == 6


def test_wrong_arguments_are_refused_at_once(tiny_upscaler):
    with pytest.raises(ValueError, match="3 channels.*Received: 2"):
        upscale(tiny_upscaler(3), da.zeros((2, 8, 8), dtype=np.uint8), axes="CYX")
    with pytest.raises(ValueError, match=r"have `axes`. Received: \(2, 2, 8, 8\) uint8"):
        upscale(tiny_upscaler(), da.zeros((2, 2, 8, 8), dtype=np.uint8))
