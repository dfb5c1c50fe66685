"""Crops: shares of workers, places, background, symmetries; acquired pairs are cropped and turned alike."""

import numpy as np
import pytest
import tensorflow as tf

from msrgan.data import pairs as crops
from msrgan.data.stream import Part
from msrgan.degradation.kernels import area
from msrgan.intensity import RANGE


def patches(images, count, **arguments):
    """Take patches of 8x8 pixels in the units of the images, uint16, (count, 8, 8, C)."""
    known = tf.data.Dataset.from_tensor_slices({"id": [str(k) for k in range(len(images))], "image": images})
    settings = {"patch_size": 8, "batch_size": 50, "degradation": area, "augment": False, "seed": 0, "scale": 2}
    made = crops.sr_pairs(known, **settings | {"normalization": RANGE} | arguments)
    return np.concatenate([hr for _, hr in made.take(count // 50).as_numpy_iterator()]) * 32767.5 + 32767.5


def test_workers_take_turns_and_miss_nothing():
    images = np.arange(5, dtype=np.uint16)[:, None, None, None] * 1000 + np.zeros((1, 8, 8, 1), np.uint16)

    def order(count, **arguments):
        known = tf.data.Dataset.from_tensor_slices({"id": list("abcde"), "image": images})
        settings = {"patch_size": 8, "degradation": area, "seed": 0, "scale": 2, "normalization": RANGE}
        made = crops.sr_pairs(known, **settings, **arguments).take(count)
        return [round(float(x) * 32.7675 + 32.7675) for _, hr in made.as_numpy_iterator() for x in hr[:, 0, 0, 0]]

    whole = order(3, batch_size=4)
    shares = [order(3, batch_size=2, part=Part(shard=(2, 0))), order(2, batch_size=2, part=Part(start=4, shard=(2, 1)))]
    assert shares == [whole[::2], whole[5::2]]


def checkered(height, contrast):
    """A board of +-10000 in the left half, in the right half of the contrast, a part of the whole's deviation."""
    rows, columns = np.mgrid[:height, :64]
    # whole^2 = (10000^2 + right^2) / 2, right = contrast * whole
    right = 10000 * contrast / np.sqrt(2 - contrast**2)
    board = np.where((rows + columns) % 2, 1, -1) * np.where(columns < 32, 10000, right)
    return (board + 30000).astype(np.uint16)[None, ..., None]


# 25 of the 57 places across lie in the right half.
CHANCE = 25 / 57


def share_right(image, count=3000):
    taken = patches(image, count)
    return np.mean(np.ptp(taken, axis=(1, 2, 3)) < 15000)


def test_background_is_redrawn_three_times_at_most():
    # Of one draw .439 is background; of 3, 4 and 5 in a row .084, .037 and .016, with a deviation of .0035.
    assert share_right(checkered(64, 0.2)) == pytest.approx(CHANCE**4, abs=0.011)


@pytest.mark.parametrize(("contrast", "share"), [(0.235, CHANCE**4), (0.265, CHANCE)])
def test_background_deviates_by_a_quarter_of_the_whole_image(contrast, share):
    assert share_right(checkered(64, contrast), 1000) == pytest.approx(share, abs=0.04)


def test_crops_lie_anywhere():
    rows, columns = np.mgrid[:20, :12]
    image = (1000 * rows + 10 * columns).astype(np.uint16)[None, ..., None]
    corners = np.rint(patches(image, 2000)[:, 0, 0, 0])
    tops, lefts = corners // 1000, corners % 1000 / 10
    assert np.bincount(tops.astype(int)).tolist() == pytest.approx([2000 / 13] * 13, abs=55)
    assert np.bincount(lefts.astype(int)).tolist() == pytest.approx([400] * 5, abs=80)


def symmetries(image):
    turned = [np.rot90(image, k) for k in range(4)]
    return turned + [one[:, ::-1] for one in turned]


@pytest.fixture(scope="module")
def pairs():
    """Acquired pairs of noise, HR 8x8 and LR 4x4 with no relation between them, as patches in units of 65535."""
    rng = np.random.default_rng(2)
    hr, lr = rng.integers(0, 65536, (8, 8, 1), np.uint16), rng.integers(0, 65536, (4, 4, 1), np.uint16)
    known = tf.data.Dataset.from_tensors({"id": "a", "image": hr, "lr": lr})
    made = crops.sr_pairs(
        known, patch_size=8, batch_size=400, degradation=area, seed=0, scale=2, normalization=RANGE
    )  # fmt: skip
    small, large = next(made.as_numpy_iterator())
    return hr / 65535, lr / 65535, (large + 1) / 2, (small + 1) / 2


def test_all_eight_symmetries_occur_alike(pairs):
    hr, _, large, _ = pairs
    matches = np.array([[np.allclose(patch, one, atol=1e-5) for one in symmetries(hr)] for patch in large])
    assert np.all(matches.sum(axis=1) == 1)
    np.testing.assert_allclose(matches.mean(axis=0), 1 / 8, atol=0.05)


def test_both_images_of_an_acquired_pair_are_turned_alike(pairs):
    hr, lr, large, small = pairs
    for patch, low in zip(large, small, strict=True):
        kind = [np.allclose(patch, one, atol=1e-5) for one in symmetries(hr)].index(True)
        np.testing.assert_allclose(low, symmetries(lr)[kind], atol=1e-5)


@pytest.mark.parametrize("crop", ["random", "grid"])
def test_both_images_of_an_acquired_pair_are_cropped_at_one_place(crop):
    # Every pixel tells its place; an LR pixel that of the first of its HR pixels.
    rows, columns = np.mgrid[:20, :28]
    hr = (1000 * rows + 10 * columns).astype(np.uint16)[..., None]
    known = tf.data.Dataset.from_tensors({"id": "a", "image": hr, "lr": hr[::2, ::2]})
    settings = {
        "patch_size": 8,
        "batch_size": 200,
        "degradation": area,
        "augment": False,
        "seed": 0,
        "scale": 2,
        "crop": crop,
    }
    small, large = next(crops.sr_pairs(known, **settings, normalization=RANGE).as_numpy_iterator())
    np.testing.assert_allclose(small, large[:, ::2, ::2], atol=1e-5)
    corners = set(np.rint((large[:, 0, 0, 0] + 1) * 32767.5).astype(int))
    places = {1000 * y + 10 * x for y in range(0, 13, 2) for x in range(0, 21, 2)}
    tiles = {1000 * y + 10 * x for y in (0, 8, 12) for x in (0, 8, 16, 20)}
    assert corners <= places
    assert len(corners) > 60 if crop == "random" else corners == tiles
