"""Fields of the Human Protein Atlas as files: channels and their tables."""

import cv2
import numpy as np
import pytest
import tifffile

from msrgan.datasets.atlas import class_index, merge


def channels(folder, *planes):
    paths = [folder / f"1_A_1_{colour}.tif" for colour in ("red", "green", "blue")]
    for path, plane in zip(paths, planes, strict=True):
        tifffile.imwrite(path, plane, photometric="minisblack" if plane.ndim == 2 else "rgb")
    return paths


def test_channels_are_merged_in_their_order(tmp_path):
    planes = [np.random.default_rng(k).integers(0, 65535, (8, 6), np.uint16) for k in range(3)]
    merged = merge(channels(tmp_path, *planes))
    assert merged.dtype == np.uint16
    np.testing.assert_array_equal(merged, np.dstack(planes))


@pytest.mark.parametrize(
    ("blue", "words"),
    [
        (
            np.zeros((24, 24), np.uint8),
            "1_A_1_blue.tif is 24x24 uint8, 1_A_1_red.tif is 20x20 uint8. Channels must",
        ),
        (np.zeros((20, 20), np.uint16), "1_A_1_blue.tif is 20x20 uint16, 1_A_1_red.tif is 20x20 uint8"),
    ],
)
def test_channels_of_different_size_or_depth_are_named(blue, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        merge(channels(tmp_path, *np.zeros((2, 20, 20), np.uint8), blue))


def test_a_channel_in_its_colour_is_grey_and_a_composite_is_none(tmp_path):
    grey = np.random.default_rng(0).integers(1, 255, (20, 20), np.uint8)
    empty = np.zeros_like(grey)
    for planes in ((grey, empty, empty), (grey, grey, empty), (grey, grey, grey)):
        np.testing.assert_array_equal(merge(channels(tmp_path, grey, np.dstack(planes), grey))[..., 1], grey)
    black = merge(channels(tmp_path, grey, np.dstack([empty] * 3), grey))
    assert not black[..., 1].any()
    with pytest.raises(ValueError, match="1_A_1_green.tif has 3 different planes. A channel is one grey image"):
        merge(channels(tmp_path, grey, np.dstack([grey, 255 - grey, empty]), grey))


def test_a_packed_channel_that_is_cut_is_named(tmp_path):
    path = tmp_path / "1_A_1_red.tif.gz"
    path.write_bytes(b"\x1f\x8b\x08\x00")
    with pytest.raises(ValueError, match="1_A_1_red.tif.gz: cannot be unpacked"):
        merge([path])


def test_channels_of_png_files(tmp_path):
    cv2.imwrite(str(tmp_path / "a_red.png"), np.full((3, 4), 7, np.uint8))
    assert merge([tmp_path / "a_red.png"]).tolist() == np.full((3, 4, 1), 7).tolist()


def test_a_class_is_a_name_or_a_number():
    assert [class_index(text, ("a", "b", "3")) for text in ("b", "0", "2", "3")] == [1, 0, 2, 2]
    for text in ("c", "4", "-1", "1.0", "²", ""):
        with pytest.raises(ValueError, match="none of the 3 classes, a name or a number from 0 on"):
            class_index(text, ("a", "b", "3"))
