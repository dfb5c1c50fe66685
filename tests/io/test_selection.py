import numpy as np
import pytest

from msrgan.io.image import Channel, Image
from msrgan.io.selection import select_channels

PIXELS = np.arange(2 * 4 * 3 * 5 * 6).reshape(2, 4, 3, 5, 6)
CHANNELS = tuple(map(Channel, ("DAPI", "GFP", "2", "GFP")))


@pytest.mark.parametrize(
    ("text", "places"), [("0", [0]), ("2,0", [2, 0]), ("DAPI", [0]), (" DAPI , 3", [0, 3]), ("2", [2])]
)
def test_channels_are_chosen_by_number_or_name(text, places):
    image = select_channels(Image(PIXELS, "TCZYX", channels=CHANNELS), text)
    assert image.channels == tuple(CHANNELS[place] for place in places)
    chosen = PIXELS[:, places]
    assert image.pixels.shape == chosen.shape
    for index in image.indices():
        np.testing.assert_array_equal(image.read(index, slice(1, 3), slice(2)), chosen[(*index, slice(1, 3), slice(2))])
    key = (slice(None), slice(None), 1, slice(4), slice(None))
    np.testing.assert_array_equal(image.pixels[key], chosen[key])


@pytest.mark.parametrize("text", ["4", "-1", "Cy5", "GFP", "", "0,,1"])
def test_channels_that_are_not_there_or_not_one_are_refused(text):
    with pytest.raises(ValueError, match="`channels` are numbers from 0 to 3 or names, each of one channel, 0 is DAPI"):
        select_channels(Image(PIXELS, "TCZYX", channels=CHANNELS), text)


def test_rgb_has_no_channels():
    with pytest.raises(ValueError, match="along an axis C. Received: 0 for an RGB image"):
        select_channels(Image(np.zeros((5, 6, 3)), "YXS"), "0")


def test_labels_of_planes_follow_their_channels():
    labels = [f"t{t}c{c}z{z}" for t in range(2) for c in range(4) for z in range(3)]
    image = Image(PIXELS, "TCZYX", extra={"imagej": {"Labels": labels, "Info": "kept"}, "description": "kept"})
    extra = select_channels(image, "3,1").extra
    assert extra["imagej"]["Labels"] == [f"t{t}c{c}z{z}" for t in range(2) for c in (3, 1) for z in range(3)]
    assert (extra["imagej"]["Info"], extra["description"]) == ("kept", "kept")


def test_a_single_channel_is_number_0_or_its_name():
    image = Image(PIXELS[0, 0], "ZYX", channels=(Channel("DAPI"),))
    for text in ("0", "DAPI"):
        assert select_channels(image, text) is image
    with pytest.raises(ValueError, match="`channels` are numbers from 0 to 0 or names.*Received: 1"):
        select_channels(image, "1")
