import itertools

import numpy as np
import pytest
import tensorflow as tf
from conftest import image_dataset, spots

from msrgan.data.pairs import sr_pairs
from msrgan.data.stream import Part
from msrgan.degradation import make
from msrgan.degradation.kernels import area
from msrgan.intensity import PERCENTILE, RANGE


def numbered(count=3, size=16):
    """Images whose every pixel tells the image, the row and the column."""
    rows, columns = np.mgrid[:size, :size]
    return [(k * 10000 + rows * 100 + columns).astype("uint16")[..., None] for k in range(count)]


def pairs(images, count, **arguments):
    settings = {"patch_size": 8, "batch_size": 2, "degradation": area, "augment": False, "seed": 0, "scale": 2}
    return list(sr_pairs(image_dataset(images), **(settings | arguments)).take(count).as_numpy_iterator())


def origins(hr, images):
    """Recover (image, row, column) of patches normalised by dtype range."""
    values = np.rint((hr[:, 0, 0, 0] + 1) / 2 * 65535).astype(int)
    return [(v // 10000, v % 10000 // 100, v % 100) for v in values]


def test_pairs_are_registered_and_in_range():
    images = numbered()
    lr, hr = pairs(images, 1, normalization=RANGE)[0]
    assert lr.shape == (2, 4, 4, 1)
    assert hr.shape == (2, 8, 8, 1)
    means = np.rint((hr + 1) / 2 * 65535).reshape(2, 4, 2, 4, 2, 1).mean(axis=(2, 4))
    levels = (lr + 1) / 2 * 65535
    np.testing.assert_allclose(levels, np.rint(levels), atol=0.01)
    assert np.abs(levels - means).max() <= 0.51  # a half is rounded up or down
    for patch, (k, row, column) in zip(hr, origins(hr, images), strict=True):
        raw = images[k][row : row + 8, column : column + 8] / 65535
        np.testing.assert_allclose((patch + 1) / 2, raw, atol=1e-5)


@pytest.mark.parametrize("crop", ["random", "grid"])
def test_images_of_a_size_known_beforehand(crop):
    """As registered sets have it."""
    images = np.stack([spots(k, size=16) for k in range(3)])
    known = tf.data.Dataset.from_tensor_slices({"id": ["a", "b", "c"], "image": images})
    settings = {"patch_size": 8, "batch_size": 2, "degradation": area, "seed": 0, "scale": 2, "crop": crop}
    unknown = sr_pairs(image_dataset(list(images)), **settings)
    for (_, a), (_, b) in zip(sr_pairs(known, **settings).take(3), unknown.take(3), strict=True):
        np.testing.assert_array_equal(a, b)


def test_percentile_normalisation_is_of_the_whole_image_and_unclipped():
    image = np.zeros((32, 32, 1), np.uint16)
    image[8:24, 8:24] = 4095  # 12 bits in 16
    image[16, 16] = 60000
    hr = np.concatenate([hr for _, hr in pairs([image], 80, batch_size=1)])
    np.testing.assert_allclose(hr.min(), -1, atol=1e-5)
    assert np.isclose(hr, 1, atol=1e-5).any()
    assert hr.max() > 20


def test_every_pass_visits_every_image_in_a_new_order():
    images = numbered(count=5)
    batches = pairs(images, 20, batch_size=1, normalization=RANGE)
    order = [origins(hr, images)[0][0] for _, hr in batches]
    passes = [tuple(order[i : i + 5]) for i in range(0, 20, 5)]
    assert all(sorted(p) == [0, 1, 2, 3, 4] for p in passes)
    assert len(set(passes)) > 1


@pytest.mark.parametrize("start", [1, 5, 13])
def test_starting_late_continues_the_same_stream(start):
    images = numbered(count=5)
    whole = pairs(images, 20, batch_size=1, augment=True)
    late = pairs(images, 20 - start, batch_size=1, augment=True, part=Part(start=start))
    for (_, expected), (_, hr) in zip(whole[start:], late, strict=True):
        np.testing.assert_array_equal(hr, expected)


def test_seed_decides_and_the_process_wide_seed_does_not():
    images = numbered(count=4)
    first = pairs(images, 8)
    tf.random.set_seed(0)
    again = pairs(images, 8)
    other = pairs(images, 8, seed=1)
    tf.random.set_seed(None)
    assert all(np.array_equal(a[1], b[1]) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a[1], b[1]) for a, b in zip(first, other, strict=True))


def test_workers_share_every_batch():
    images = numbered(count=5)
    whole = pairs(images, 3, batch_size=4, normalization=RANGE)
    shares = [pairs(images, 3, batch_size=2, normalization=RANGE, part=Part(shard=(2, k))) for k in range(2)]
    for step, (_, hr) in enumerate(whole):
        together = [o for share in shares for o in origins(share[step][1], images)]
        assert sorted(together) == sorted(origins(hr, images))


def test_augmentation_draws_all_eight_symmetries():
    image = np.arange(64, dtype=np.uint16).reshape(8, 8, 1)
    seen = {hr.tobytes() for _, hr in pairs([image], 60, batch_size=1, augment=True)}
    assert len(seen) == 8


def test_grid_visits_every_tile_before_any_twice():
    images = numbered(count=1, size=20)
    batches = pairs(images, 18, batch_size=1, crop="grid", normalization=RANGE)
    places = [origins(hr, images)[0][1:] for _, hr in batches]
    tiles = set(itertools.product((0, 8, 12), repeat=2))
    assert set(places[:9]) == set(places[9:]) == tiles
    assert places[:9] != places[9:]


def test_background_crops_are_redrawn_and_few_remain():
    image = np.full((64, 64, 1), 100, np.uint16)
    image[:16, :16] += np.random.default_rng(0).integers(0, 4000, (16, 16, 1), dtype=np.uint16)
    empty = np.mean([np.ptp(hr) == 0 for _, hr in pairs([image], 300, batch_size=1)])
    blind = ((64 - 8 + 1) ** 2 - 16**2) / (64 - 8 + 1) ** 2
    # One draw in `blind` is empty; four draws in a row in its fourth power.
    assert empty == pytest.approx(blind**4, abs=0.08)


def test_empty_channels_count_as_background():
    """Whatever rounding there is in the mean of the other constant channel."""
    image = np.full((64, 64, 3), (100, 0, 12345), np.uint16)
    image[:16, :16, 0] += np.random.default_rng(0).integers(0, 4000, (16, 16), dtype=np.uint16)
    empty = np.mean([np.ptp(hr[..., 0]) == 0 for _, hr in pairs([image], 300, batch_size=1)])
    blind = ((64 - 8 + 1) ** 2 - 16**2) / (64 - 8 + 1) ** 2
    assert empty == pytest.approx(blind**4, abs=0.08)


def test_constant_images_are_drawn_from_too():
    assert len(pairs([np.full((16, 16, 2), 7, np.uint16)], 3)) == 3


def test_patches_too_small_for_the_degradation():
    with pytest.raises(
        ValueError, match="^microscope:motion is at most 2 for images of 4 LR pixels a side.*larger images$"
    ):
        pairs(numbered(), 1, degradation=make("microscope:motion=60"))


def test_grey_images_are_repeated_for_colour():
    grey = numbered(count=1)
    colour = [np.repeat(grey[0], 3, axis=-1)]
    _, hr = pairs(grey, 1, channels=3)[0]
    np.testing.assert_array_equal(hr, pairs(colour, 1)[0][1])


def test_grey_and_colour_images_share_batches():
    grey, colour = spots(1, size=16, channels=1), spots(2, size=16)
    for lr, hr in pairs([grey, colour], 3, channels=3):
        assert lr.shape == (2, 4, 4, 3)
        flat = [np.ptp(patch, axis=-1).max() for patch in hr]
        assert min(flat) == 0 < max(flat)


def test_a_window_needs_no_memory_and_loses_no_image():
    images = numbered(count=6)
    batches = pairs(images, 6, batch_size=1, normalization=RANGE, part=Part(window=2))
    assert sorted(origins(hr, images)[0][0] for _, hr in batches) == [0, 1, 2, 3, 4, 5]


def test_degradations_get_normalised_units():
    image = spots(0, size=16, channels=1, dtype=np.uint16)

    def half(hr, *, scale, seed):
        return area(tf.clip_by_value(hr, 0, 0.5), scale=scale)

    (lr, hr), *_ = pairs([image], 1, batch_size=1, degradation=half)
    units = np.clip((hr + 1) / 2, 0, 0.5)
    np.testing.assert_allclose((lr + 1) / 2, units.reshape(1, 4, 2, 4, 2, 1).mean(axis=(2, 4)), atol=1e-5)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_coarse_pixels_are_rounded_and_clipped_as_in_a_file(dtype):
    image = (np.random.default_rng(0).random((8, 8, 1)) * 250).astype(dtype)

    def darker(hr, *, scale, seed):
        return area(hr, scale=scale) * 1.5 - 0.5  # below 0, too

    (lr, _), *_ = pairs([image], 1, batch_size=1, degradation=darker)
    limits = PERCENTILE.limits(image)
    exact = limits.normalize(image).reshape(4, 2, 4, 2, 1).mean(axis=(1, 3)) * 1.5 - 0.5
    in_file = limits.normalize(limits.denormalize(exact, dtype))
    np.testing.assert_allclose((lr[0] + 1) / 2, in_file, atol=1e-5)
    assert (np.abs(in_file - exact).max() > 0.1) == (dtype == np.uint8)


def test_random_degradations_are_new_in_every_pass_and_the_same_in_every_run():
    image = np.random.default_rng(0).integers(20000, 40000, (8, 8, 1), np.uint16)  # a single crop
    microscope = make("microscope:photons=100,distortion=0,crosstalk=0,motion=0")  # what is off is not traced
    first = pairs([image], 6, batch_size=1, degradation=microscope)
    for (lr, hr), (again, _) in zip(first, pairs([image], 6, batch_size=1, degradation=microscope), strict=True):
        np.testing.assert_array_equal(lr, again)
        np.testing.assert_array_equal(hr, first[0][1])
    assert len({lr.tobytes() for lr, _ in first}) == 6
    late = pairs([image], 2, batch_size=2, degradation=microscope, part=Part(start=2))
    # In a batch of another size a sum may be rounded the other way: by a level of 16 bits, 3.1e-5 of [-1, 1].
    np.testing.assert_allclose(np.concatenate([lr for lr, _ in late]), [lr[0] for lr, _ in first[2:]], atol=4e-5)


def test_patch_must_be_a_multiple_of_the_scale():
    with pytest.raises(ValueError, match="`patch_size` must be a multiple of `scale`. Received: 10 and 4. Use 8."):
        pairs(numbered(), 1, patch_size=10, scale=4)
