"""The augmentation of stage 1: its ranges by their extremes, each draw varied alone; a pure function of its seeds."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from msrgan.data.stream import Part
from vgg_micro import data

HEIGHT, WIDTH, SIZE = 120, 100, 64
ZOOM, CORNER, FLIP, GAMMA, BLUR = range(5)


def augmented(image, *, vary, count, size=SIZE):
    """Augment an image with many seeds of the draws `vary`, the other draws the same; (count, size, size, C)."""
    fixed = tf.random.experimental.stateless_split([7, 7], 5).numpy()
    seeds = np.repeat(fixed[None], count, axis=0)
    for draw in vary:
        seeds[:, draw, 0] = np.arange(count)
        seeds[:, draw, 1] = 1000 + draw
    return augment_all(image, seeds, size)


def augment_all(image, seeds, size):
    examples = tf.data.Dataset.from_tensor_slices(seeds)
    results = examples.map(lambda s: data.augment(image, s, image_size=size), num_parallel_calls=2, deterministic=True)
    return next(results.batch(len(seeds)).as_numpy_iterator())


@pytest.fixture(scope="module")
def picture():
    """Channels: a ramp down, a ramp to the right, a constant .5 that tells the exponent, noise."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    noise = np.random.default_rng(0).uniform(0.3, 0.7, (HEIGHT, WIDTH))
    channels = 0.1 + 0.8 * (rows + 0.5) / HEIGHT, 0.1 + 0.8 * (columns + 0.5) / WIDTH, np.full_like(noise, 0.5), noise
    return np.stack(channels, axis=-1).astype("float32")


def sharpest_of(picture):
    """Return the number of a seed of the least blur."""
    blurs = augmented(picture, vary=[BLUR], count=16)
    return int(np.argmax([np.abs(np.diff(image[..., 3], axis=0)).mean() for image in blurs]))


@pytest.fixture(scope="module")
def placed(picture):
    """Draws of window, corner and flip, in linear intensities, of the least blur; (count, size, size, C)."""
    sharpest = sharpest_of(picture)
    fixed = tf.random.experimental.stateless_split([7, 7], 5).numpy()
    seeds = np.repeat(fixed[None], 400, axis=0)
    for draw in (ZOOM, CORNER, FLIP):
        seeds[:, draw] = np.stack([np.arange(400), np.full(400, 1000 + draw)], axis=1)
    seeds[:, BLUR] = sharpest, 1000 + BLUR
    results = augment_all(picture, seeds, SIZE).astype("float64")
    exponent = np.log(results[0, 32, 32, 2]) / np.log(0.5)
    return results ** (1 / exponent)


def window(ramps, length):
    """Recover side and corner, in pixels of the image, from profiles (count, size) of its ramp, none flipped."""
    # Away from the border, where the bicubic kernel has all of its samples.
    inner = slice(10, -10)
    slopes = np.diff(ramps[:, inner], axis=1).mean(axis=1)
    sides = slopes * SIZE * length / 0.8
    centres = (ramps[:, inner].mean(axis=1) - 0.1) / 0.8 * length
    return sides, centres - sides / 2


@pytest.fixture(scope="module")
def windows(placed):
    """Heights, widths, tops and lefts of the windows, and which are flipped."""
    across = placed[:, SIZE // 2, :, 1]
    flipped = across[:, 0] > across[:, -1]
    across = np.where(flipped[:, None], across[:, ::-1], across)
    heights, tops = window(placed[:, :, SIZE // 2, 0], HEIGHT)
    widths, lefts = window(across, WIDTH)
    return heights, widths, tops, lefts, flipped


def test_windows_are_of_90_to_100_percent_and_reach_both(windows):
    for sides, length in zip(windows[:2], (HEIGHT, WIDTH), strict=True):
        np.testing.assert_allclose(sides, np.rint(sides), atol=0.1)
        assert 0.9 * length <= np.rint(sides).min() <= 0.9 * length + 1
        assert length - 2 <= np.rint(sides).max() <= length
        assert np.mean(sides) / length == pytest.approx(0.95, abs=0.01)


def test_height_and_width_of_a_window_are_drawn_apart(windows):
    assert abs(np.corrcoef(windows[0], windows[1])[0, 1]) < 0.2


def test_windows_lie_anywhere_in_the_image(windows):
    heights, widths, tops, lefts, _ = windows
    for sides, corners, length in ((heights, tops, HEIGHT), (widths, lefts, WIDTH)):
        room = length - np.rint(sides)
        assert np.rint(corners).min() == 0
        assert np.all(np.rint(corners) <= room)
        assert np.any((np.rint(corners) == room) & (room >= 5))
        wide = room >= 5
        assert np.mean(corners[wide] / room[wide]) == pytest.approx(0.5, abs=0.06)


def test_half_of_the_images_are_flipped_horizontally_and_none_vertically(placed, windows):
    assert np.mean(windows[4]) == pytest.approx(0.5, abs=0.06)
    down = placed[:, :, SIZE // 2, 0]
    assert np.all(down[:, 0] < down[:, -1])


@pytest.mark.parametrize("size", [160, 48])
def test_windows_are_resized_by_the_antialiased_bicubic_kernel_of_pillow(size, picture, windows):
    heights, widths, tops, lefts, flipped = (np.rint(values).astype(int) for values in windows)
    sharpest = sharpest_of(picture)
    for k in range(3):
        seeds = tf.random.experimental.stateless_split([7, 7], 5).numpy()
        for draw, number in ((ZOOM, k), (CORNER, k), (FLIP, k), (BLUR, sharpest)):
            seeds[draw] = number, 1000 + draw
        result = data.augment(picture, seeds, image_size=size).numpy().astype("float64")
        linear = result ** (np.log(0.5) / np.log(result[5, 5, 2]))
        cut = picture[tops[k] : tops[k] + heights[k], lefts[k] : lefts[k] + widths[k], 3]
        expected = np.asarray(Image.fromarray(cut).resize((size, size), Image.Resampling.BICUBIC))
        np.testing.assert_allclose(linear[..., 3], expected[:, ::-1] if flipped[k] else expected, atol=2e-4)


def test_gamma_is_one_over_a_uniform_number_between_a_half_and_two():
    flat = np.full((16, 16, 1), 0.5, "float32")
    results = augmented(flat, vary=[GAMMA], count=1000, size=8)
    assert np.ptp(results, axis=(1, 2)).max() < 1e-5
    u = np.sort(np.log(0.5) / np.log(results[:, 4, 4, 0]))
    assert 0.5 - 1e-4 <= u[0] < 0.51
    assert 1.99 < u[-1] <= 2 + 1e-4
    # Kolmogorov-Smirnov: of 1,000 uniform numbers the largest deviation stays below 1.63 / sqrt(1000) in 99 %.
    assert np.abs((u - 0.5) / 1.5 - (np.arange(1000) + 0.5) / 1000).max() < 0.052


def test_intensities_beyond_the_range_are_clipped_before_the_gamma():
    image = np.tile(np.float32([-0.5, 1.7, 0.5]), (24, 24, 1))
    image[8:16, 8:16] = 1.2, -0.3, 0.9
    results = augmented(image, vary=[ZOOM, CORNER, FLIP, GAMMA, BLUR], count=60, size=20)
    assert np.isfinite(results).all()
    assert results.min() == 0
    assert results.max() == 1
    np.testing.assert_array_equal(results[:, 0, 0, :2], np.tile([0.0, 1.0], (60, 1)))


def box(image, side):
    """Average boxes of `side` pixels, of those pixels that lie inside the image; an even box reaches on down right."""
    before, size = (side - 1) // 2, len(image)
    spans = [slice(max(0, k - before), min(size, k - before + side)) for k in range(size)]
    return np.array([[image[rows, columns].mean(axis=(0, 1)) for columns in spans] for rows in spans])


def test_blur_is_a_box_of_one_to_four_pixels_each_as_often():
    noise = np.random.default_rng(1).uniform(size=(20, 20, 2)).astype("float32")
    results = augmented(noise, vary=[BLUR], count=200, size=20).astype("float64")
    sharp = max(results, key=lambda image: np.abs(np.diff(image, axis=0)).mean())
    references = np.stack([box(sharp, side) for side in (1, 2, 3, 4)])
    errors = np.abs(results[:, None] - references[None]).max(axis=(2, 3, 4))
    assert errors.min(axis=1).max() < 1e-5
    shares = np.bincount(errors.argmin(axis=1), minlength=4) / 200
    assert np.all((shares > 0.17) & (shares < 0.33)), shares


def labelled(count=6, **arguments):
    pictures = np.random.default_rng(3).integers(0, 3000, (count, 16, 16, 1)).astype("uint16")
    images = tf.data.Dataset.from_tensor_slices({"image": pictures, "label": np.arange(count)})
    settings = {"image_size": 12, "channels": 1, "batch_size": 1, "seed": 5}
    return data.labelled(images, **settings | arguments)


def test_batches_are_in_range_and_the_labels_are_those_of_every_image_once_a_pass():
    taken = list(labelled().take(18).as_numpy_iterator())
    assert all(image.min() >= -1 and image.max() <= 1 for image, _ in taken)
    assert min(image.min() for image, _ in taken) < -0.5
    assert max(image.max() for image, _ in taken) > 0.5
    order = np.array([label[0] for _, label in taken]).reshape(3, 6)
    assert all(sorted(one) == list(range(6)) for one in order)
    assert len({tuple(one) for one in order}) > 1
    assert len({image.tobytes() for image, _ in taken}) == 18  # augmented anew in every pass


@pytest.mark.parametrize("start", [1, 8])
def test_a_late_start_continues_the_stream(start):
    whole = list(labelled().take(start + 4).as_numpy_iterator())
    late = list(labelled(part=Part(start=start)).take(4).as_numpy_iterator())
    for (image, label), (expected, true) in zip(late, whole[start:], strict=True):
        np.testing.assert_array_equal(label, true)
        np.testing.assert_array_equal(image, expected)


def test_workers_take_turns():
    whole = [int(label[0]) for _, label in labelled().take(9)]
    shares = [[int(label[0]) for _, label in labelled(part=Part(shard=(3, k))).take(3)] for k in range(3)]
    assert [label for turn in zip(*shares, strict=True) for label in turn] == whole


def test_validation_images_are_resized_and_clipped_and_otherwise_as_they_are():
    rows, columns = np.mgrid[:30, :24]  # a board, beyond whose edges the bicubic kernel overshoots
    picture = np.where((rows // 10 + columns // 8) % 2, 4000, 100).astype("uint16")[..., None]
    images = tf.data.Dataset.from_tensors({"image": picture, "label": 1})
    ((result, label),) = data.evaluation(images, image_size=40, channels=3, batch_size=4).as_numpy_iterator()
    low, high = np.percentile(picture, (0.1, 99.9))
    normalized = ((picture[..., 0] - low) / (high - low)).astype("float32")
    expected = np.asarray(Image.fromarray(normalized).resize((40, 40), Image.Resampling.BICUBIC))
    assert expected.min() < -0.05
    expected = expected.clip(0, 1) * 2 - 1
    np.testing.assert_allclose(result, np.repeat(expected[None, ..., None], 3, axis=-1), atol=1e-5)
    assert label.tolist() == [1]


AUGMENT = tf.function(data.augment)  # many times faster than eagerly


def seeds(number):
    return tf.random.experimental.stateless_split([number, 0], 5)


def test_augmentation_is_a_pure_function_of_its_seeds():
    image = np.random.default_rng(0).uniform(size=(40, 50, 2)).astype("float32")
    results = [AUGMENT(image, seeds(k), image_size=32).numpy() for k in range(30)]
    np.testing.assert_array_equal(results[3], data.augment(image, seeds(3), image_size=32))
    assert all(r.shape == (32, 32, 2) and r.min() >= 0 and r.max() <= 1 for r in results)
    assert len({r.tobytes() for r in results}) == 30


def test_gamma_keeps_a_flat_image_flat_and_in_the_documented_range():
    flat = np.full((32, 32, 1), 0.5, "float32")
    exponents = []
    for k in range(200):
        result = AUGMENT(flat, seeds(k), image_size=16).numpy()
        np.testing.assert_allclose(result, result[0, 0, 0], atol=1e-5)
        exponents.append(np.log(result[0, 0, 0]) / np.log(0.5))
    assert 0.5 <= min(exponents) < 0.6
    assert 1.8 < max(exponents) <= 2.0 + 1e-3
    assert np.mean(1 / np.array(exponents)) == pytest.approx(1.25, abs=0.1)


def test_zoom_blur_and_flip_occur():
    ramp = np.tile(np.linspace(0.2, 0.8, 64, dtype="float32"), (64, 1))[..., None]
    slopes = [float(np.diff(AUGMENT(ramp, seeds(k), image_size=64)[32, :, 0]).mean()) for k in range(100)]
    assert 0.3 < np.mean([s < 0 for s in slopes]) < 0.7
    rng = np.random.default_rng(0)
    noise = (rng.uniform(size=(64, 64, 1)) > 0.5).astype("float32")  # gamma leaves 0 and 1 alone
    sharpness = [float(np.abs(np.diff(AUGMENT(noise, seeds(k), image_size=64), axis=0)).mean()) for k in range(100)]
    # A box of side 1, 2, 3 or 4: about a quarter of the images each.
    assert np.mean(np.array(sharpness) > 0.25) == pytest.approx(0.25, abs=0.12)


def test_box_blur_is_a_mean_and_keeps_edges():
    image = tf.constant(np.arange(16, dtype="float32").reshape(4, 4, 1))
    np.testing.assert_array_equal(data._box_blur(image, 1), image)
    three = data._box_blur(image, 3)[..., 0].numpy()
    assert three[1, 1] == pytest.approx(np.mean([0, 1, 2, 4, 5, 6, 8, 9, 10]))
    assert three[0, 0] == pytest.approx(np.mean([0, 1, 4, 5]))
