import numpy as np
import pytest

from msrgan.io.image import Band, Image, Promised
from msrgan.io.regroup import regroup


@pytest.mark.parametrize("axes, shape", [("YX", (7, 2)), ("CYX", (3, 7, 2)), ("TZYXS", (2, 2, 7, 1, 3))])
@pytest.mark.parametrize("before", [1, 3, 7])
@pytest.mark.parametrize("after", [1, 2, 5, 7, 100])
def test_rows_keep_their_places(axes, shape, before, after):
    pixels = np.arange(np.prod(shape)).reshape(shape)
    image = Image(pixels, axes)
    bands = list(regroup(image, image.bands(before), after))
    assert {len(band.pixels) for band in bands} <= {min(after, 7), 7 % after}
    for index in image.indices():
        own = [band for band in bands if band.index == index]
        assert [band.top for band in own] == list(range(0, 7, after))
        np.testing.assert_array_equal(np.concatenate([band.pixels for band in own]), pixels[index])


def test_heights_may_vary_and_one_array_be_filled_again():
    image = Image(Promised((10, 4), np.uint16), "YX")
    buffer = np.empty((4, 4), np.uint16)

    def bands():
        for top, height in ((0, 1), (1, 4), (5, 3), (8, 2)):
            buffer[:height] = np.arange(top, top + height)[:, np.newaxis]
            yield Band((), top, buffer[:height])

    rows = np.concatenate([band.pixels for band in list(regroup(image, bands(), 3))])
    np.testing.assert_array_equal(rows[:, 0], np.arange(10))


def test_no_more_is_taken_than_needed():
    pixels = np.zeros((9, 2))
    image, taken = Image(pixels, "YX"), []

    def bands():
        for band in image.bands(2):
            taken.append(band.top)
            yield band

    groups = regroup(image, bands(), 3)
    assert not taken
    next(groups)
    assert taken == [0, 2]
    next(groups)
    assert taken == [0, 2, 4]
