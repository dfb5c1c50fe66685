import numpy as np
import pytest

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
