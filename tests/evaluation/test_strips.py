import numpy as np
import PIL.Image
import pytest
from conftest import smooth

from msrgan import io
from msrgan.evaluation import stack, strip


def test_strip_shows_the_most_varied_region():
    hr = np.full((256, 512, 1), 0.5, np.float32)
    hr[:, :160] = 20  # bright, but even
    hr[64:192, 320:448] += np.random.default_rng(0).normal(scale=11, size=(128, 128, 1))
    lr = hr[::4, ::4]
    bicubic, sr = hr * 0.5, hr
    drawn = strip(lr, bicubic, sr, hr)
    panels = np.split(drawn[24:, np.arange(drawn.shape[1]) % 262 < 256], 4, axis=1)
    assert all(panel.shape == (256, 256, 3) for panel in panels)
    low, high = np.percentile(hr[64:192, 320:448], (0.1, 99.9))
    expected = np.clip(np.rint((hr[64:192, 320:448] - low) / (high - low) * 255), 0, 255)
    for panel in panels[2:]:
        np.testing.assert_array_equal(panel[::2, ::2, :1], expected)
    assert np.abs(panels[1].astype(int) - panels[3]).max() > 20  # equal contrast shows unequal intensities
    blocks = panels[0].reshape(32, 8, 32, 8, 3)
    assert (blocks == blocks[:, :1, :, :1]).all()


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_strip_of_any_channels_and_size(channels):
    hr = smooth((40, 24, channels))
    drawn = strip(hr[::4, ::4], hr, hr, hr)
    assert drawn.shape == (24 + 24 * 11, 4 * 24 * 11 + 18, 3)
    assert drawn.dtype == np.uint8


@pytest.mark.parametrize(("channels", "colours"), [(1, [0, 0, 0]), (2, [0, 1, None]), (3, [0, 1, 2]), (5, [0, 1, 2])])
def test_channels_are_shown_as_colours_in_their_order(channels, colours, tmp_path):
    """In a file too: PNG holds colours, which some programs write backwards."""
    hr = np.random.default_rng(0).integers(0, 256, (128, 128, channels), np.uint8)
    hr[0, 0], hr[0, 1] = 0, 255  # the ends of the contrast
    io.write_pixels(tmp_path / "strip.png", strip(hr, hr, hr, hr))
    with PIL.Image.open(tmp_path / "strip.png") as picture:
        assert picture.mode == "RGB"
        drawn = np.asarray(picture)[24::2, :256:2]
    low, high = np.percentile(hr, (0.1, 99.9), axis=(0, 1))
    levels = np.rint(255 * np.clip((hr - low.min()) / (high.max() - low.min()), 0, 1))
    expected = [np.zeros((128, 128)) if k is None else levels[..., k] for k in colours]
    np.testing.assert_array_equal(drawn, np.stack(expected, axis=-1))


def test_strip_checks_sizes():
    hr = smooth((40, 24, 1))
    with pytest.raises(ValueError, match="one shape"):
        strip(hr[::4, ::4], hr, hr[:-1], hr)


def test_stack_pads_to_the_widest():
    wide, narrow = np.zeros((10, 60, 3), np.uint8), np.zeros((12, 40, 3), np.uint8)
    drawn = stack([wide, narrow], ["one", "a caption that is far too long for it"])
    assert drawn.shape == (10 + 12 + 48, 60, 3)
    assert (drawn[-12:, 40:] == 255).all()
