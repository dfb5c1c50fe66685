"""Acquired pairs on their way into training: crops, ranges, channels."""

import numpy as np
import pytest
import tensorflow as tf
from conftest import binned, blocky, make_pairs, write_pairs

from msrgan import datasets
from msrgan.data.pairs import sr_pairs
from msrgan.data.survey import check_pairs, survey
from msrgan.intensity import RANGE


@pytest.mark.parametrize("crop", ["random", "grid"])
@pytest.mark.parametrize(("dtype", "channels"), [(np.uint8, 1), (np.uint8, 3), (np.uint16, 1), (np.uint16, 3)])
def test_crops_of_acquired_pairs_are_registered(crop, dtype, channels, tmp_path):
    """The LR images are exact reductions of the HR images, and so must be their crops."""
    write_pairs(tmp_path, make_pairs(3, dtype=dtype, channels=channels))
    surveyed = survey(datasets.load(tmp_path, "all"))
    check_pairs([surveyed], 2)
    batches = sr_pairs(
        surveyed.images, patch_size=12, batch_size=4, degradation=None, seed=1, scale=2, crop=crop, normalization=RANGE
    )
    corners = set()
    fields = np.stack([blocky(k, dtype=dtype, channels=channels) for k in range(3)])
    for lr, hr in batches.take(10).as_numpy_iterator():
        assert lr.shape == (4, 6, 6, channels)
        assert hr.shape == (4, 12, 12, channels)
        for small, large in zip(lr, hr, strict=True):
            np.testing.assert_allclose(small, binned(large), atol=1e-5)
            corners.add(tuple(np.argwhere(_raw(large, dtype)[0, 0, 0] == fields[..., 0])[0]))
    assert len(corners) > 5  # and they are not all the same


def _raw(normalized, dtype):
    return np.rint((normalized + 1) / 2 * np.iinfo(dtype).max).astype(dtype)


@pytest.mark.parametrize("scale", [2, 4])
def test_hr_corners_lie_on_the_lr_grid(scale):
    size = 32
    rows, columns = np.mgrid[:size, :size]
    hr = (rows * 100 + columns).astype("uint16")[..., None]
    lr = hr[::scale, ::scale]
    pairs = tf.data.Dataset.from_tensors({"id": "a", "image": hr, "lr": lr})
    settings = {"patch_size": 8, "batch_size": 30, "degradation": None, "augment": False, "seed": 0, "scale": scale}
    small, large = next(iter(sr_pairs(pairs, normalization=RANGE, **settings)))
    corners = _raw(large[:, 0, 0, 0].numpy(), np.uint16)
    np.testing.assert_array_equal(corners, _raw(small[:, 0, 0, 0].numpy(), np.uint16))
    assert {int(c) // 100 % scale for c in corners} == {int(c) % 100 % scale for c in corners} == {0}
    assert {int(c) // 100 for c in corners} == set(range(0, size - 8 + 1, scale))


def test_each_image_is_normalised_by_its_own_range():
    hr = blocky(5, size=64)
    lr = (binned(hr) * 0.2 + 900).astype(np.float32)  # another exposure, another dtype
    pairs = tf.data.Dataset.from_tensors({"id": "a", "image": hr, "lr": lr})
    settings = {"patch_size": 64, "batch_size": 1, "degradation": None, "augment": False, "seed": 0, "scale": 2}
    small, large = next(iter(sr_pairs(pairs, **settings)))
    for image, normalized in ((hr, large), (lr, small)):
        low, high = np.percentile(image, (0.1, 99.9))
        np.testing.assert_allclose((normalized[0] + 1) / 2, (image - low) / (high - low), atol=1e-4)


def test_grey_pairs_are_repeated_for_colour():
    hr = blocky(5)
    pairs = tf.data.Dataset.from_tensors({"id": "a", "image": hr, "lr": binned(hr)})
    settings = {"patch_size": 16, "batch_size": 1, "degradation": None, "seed": 0, "scale": 2, "channels": 3}
    lr, hr = next(iter(sr_pairs(pairs, **settings)))
    assert (lr.shape, hr.shape) == ((1, 8, 8, 3), (1, 16, 16, 3))
