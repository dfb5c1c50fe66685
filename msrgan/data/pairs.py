"""tf.data: images -> endless, reproducible batches of (lr, hr) pairs.

    images -> stream -> cut -> batch -> pair
              order     patches         normalise; degrade and round, or take the acquired LR patch

The crop and the flips of a sample are drawn from its key (`data.stream`): (seed, pass, image), and the attempt.
"""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from msrgan.data.stream import WHOLE, Part, sample_seed, samples
from msrgan.intensity import PERCENTILE, Normalization, normalize

MAX_DRAWS = 4
BACKGROUND = 0.25


class Patches(NamedTuple):
    """Which patches are cut from the images, and in which units they are.

    Attributes:
        size: side of the HR patches in pixels, a multiple of `scale`.
        channels: channels of the patches; grey images are repeated.
        scale: enlargement that the pairs teach.
        crop: "random", or "grid": passes visit the tiles of each image in turn (real-time SRGAN's tiling).
            Random crops that are almost all background (standard deviation up to a quarter of the whole
            image's in every channel) are redrawn, at most three times: background stays rare, not absent.
        augment: flip and transpose at random (the eight symmetries of the square).
        normalization: per image and channel.
    """

    size: int
    channels: int
    scale: int = 4
    crop: str = "random"
    augment: bool = True
    normalization: Normalization = PERCENTILE


def sr_pairs(
    images: tf.data.Dataset,
    *,
    patch_size: int,
    batch_size: int,
    degradation: Callable[..., tf.Tensor] | None,
    seed: int,
    augment: bool = True,
    scale: int = 4,
    channels: int | None = None,
    crop: str = "random",
    normalization: Normalization = PERCENTILE,
    part: Part = WHOLE,
) -> tf.data.Dataset:
    """Make endless batches of registered low- and high-resolution patches: acquired pairs where there are, or made.

    Args:
        images: finite dataset of {"id", "image"} and, of acquired pairs, "lr"; every image at least `patch_size`
            high and wide.
        patch_size: side of the HR patches in pixels, a multiple of `scale`.
        batch_size: patches in a batch (of this worker).
        degradation: see `degraded_pairs`; not used with acquired pairs.
        seed: of order, crops and augmentation.
        augment: see `Patches`, as for `scale`, `crop` and `normalization`.
        scale: enlargement that the pairs teach.
        channels: channels of the patches (grey images are repeated); default: as the first image.
        crop: "random" or "grid".
        normalization: per image and channel.
        part: which samples this process takes.

    Returns:
        Dataset of (lr, hr), float32 (batch_size, patch_size/scale, patch_size/scale, C) and (batch_size, patch_size,
        patch_size, C), in [-1, 1]-normalised units, not clipped.

    Raises:
        ValueError: `patch_size` or `crop` is wrong, or patches are too small for the degradation.
    """
    channels = channels or next(iter(images))["image"].shape[-1]
    patches = Patches(patch_size, channels, scale, crop, augment, normalization)
    if "lr" in images.element_spec:
        return acquired_pairs(images, patches, batch_size=batch_size, seed=seed, part=part)
    return degraded_pairs(images, patches, batch_size=batch_size, degradation=degradation, seed=seed, part=part)


def degraded_pairs(
    images: tf.data.Dataset,
    patches: Patches,
    *,
    batch_size: int,
    degradation: Callable[..., tf.Tensor],
    seed: int,
    part: Part = WHOLE,
) -> tf.data.Dataset:
    """Make pairs whose LR patches are degraded HR patches, rounded and clipped as in a file of the images' dtype.

    A network that learns from LR patches in floats sees fractions of a grey level, which no file of whole numbers has.

    Args:
        images: finite dataset of {"id", "image"}.
        patches: what is cut from them.
        batch_size: patches in a batch (of this worker).
        degradation: (hr, scale=..., seed=...) -> lr of batches in [0, 1]-normalised units, see `degradation.make`;
            its seed is drawn from the key of each sample.
        seed: of order, crops and augmentation.
        part: which samples this process takes.

    Returns:
        As `sr_pairs`; errors too.
    """
    _check(patches)
    # Once here, so that its errors are told plainly and not out of a graph.
    degradation(tf.zeros((1, patches.size, patches.size, patches.channels)), scale=patches.scale, seed=[[0, 0]])

    def cut(key, example):
        place = _place(key, example, patches, step=1)
        return _patch(example["image"], example["low"], example["high"], place, patches), sample_seed(key)

    dtype = images.element_spec["image"].dtype

    def pair(hr, seeds):
        pixels, *limits = hr
        hr = normalize(pixels, *limits)
        return _as_in_file(degradation(hr, scale=patches.scale, seed=seeds), *limits, dtype), hr

    return _batches(samples(images, patches.normalization, seed=seed, part=part), cut, pair, batch_size)


def acquired_pairs(
    images: tf.data.Dataset, patches: Patches, *, batch_size: int, seed: int, part: Part = WHOLE
) -> tf.data.Dataset:
    """Make pairs of acquired LR and HR images, cropped together, each normalised by its own range.

    Args:
        images: finite dataset of {"id", "image", "lr"}, "lr" exactly 1/scale of "image" (`survey.check_pairs`).
        patches: what is cut from them.
        batch_size: patches in a batch (of this worker).
        seed: of order, crops and augmentation.
        part: which samples this process takes.

    Returns:
        As `sr_pairs`.

    Raises:
        ValueError: the size of the patches or their crop is wrong.
    """
    _check(patches)

    def cut(key, example):
        place = _place(key, example, patches, step=patches.scale)
        hr = _patch(example["image"], example["low"], example["high"], place, patches)
        lr = _patch(example["lr"], example["lr_low"], example["lr_high"], place, patches, reduction=patches.scale)
        return hr, lr

    def pair(hr, lr):
        return normalize(*lr), normalize(*hr)

    return _batches(samples(images, patches.normalization, seed=seed, part=part), cut, pair, batch_size)


def _as_in_file(x, low, high, dtype):
    """Round normalised pixels to what a file of a dtype holds (`Limits.denormalize`), and normalise them again."""
    if not dtype.is_integer:
        return x
    return normalize(tf.clip_by_value(tf.round(x * (high - low) + low), dtype.min, dtype.max), low, high)


def _check(patches):
    size, scale = patches.size, patches.scale
    if size % scale:
        raise ValueError(
            f"`patch_size` must be a multiple of `scale`. Received: {size} and {scale}. "
            f"Use {max(1, size // scale) * scale}."
        )
    if patches.crop not in CROPS:
        raise ValueError(f"`crop` must be one of {', '.join(sorted(CROPS))}. Received: {patches.crop!r}.")


def _batches(stream, cut, pair, batch_size):
    """Cut the samples of a stream, pair them by batches, and map [0, 1] to [-1, 1]."""

    def finish(first, second):
        lr, hr = pair(first, second)
        return lr * 2 - 1, hr * 2 - 1

    cuts = stream.map(cut, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return cuts.batch(batch_size, drop_remainder=True).map(finish, num_parallel_calls=tf.data.AUTOTUNE).prefetch(4)


def _place(key, example, patches, step):
    """Draw the place of a patch: its corner, int32 (2,), a multiple of `step`, and its symmetry, bool (3,)."""
    draws = tf.random.stateless_uniform([MAX_DRAWS + 2, 2], sample_seed(key))
    corner = CROPS[patches.crop](example, key, draws[:MAX_DRAWS], patches.size, step)
    return corner, tf.reshape(draws[MAX_DRAWS:] < 0.5, [-1])[:3]


def _patch(image, low, high, place, patches, reduction=1):
    """Cut a patch of an image that is 1/reduction of the HR image; return its pixels and its limits, (1, 1, C)."""
    corner, symmetry = place
    side = patches.size // reduction
    pixels = _window(image, corner // reduction, side)
    pixels = tf.broadcast_to(_flip(pixels, symmetry) if patches.augment else pixels, (side, side, patches.channels))
    limits = (tf.broadcast_to(limit, (1, 1, patches.channels)) for limit in (low, high))
    return tf.cast(pixels, tf.float32), *limits


def _random_crop(example, key, draws, size, step):
    """Return the corner of a crop, int32 (2,), a multiple of `step`, as `_grid_crop` does."""
    image = example["image"]
    room = tf.cast((tf.shape(image)[:2] - size) // step + 1, tf.float32)
    corners = tf.cast(draws * room, tf.int32) * step

    def background(attempt):
        window = tf.cast(_window(image, corners[attempt], size), tf.float32)
        # Measured from the first pixel, the deviation of a constant channel is exactly 0, as in the whole image.
        deviation = tf.math.reduce_std(window - window[0, 0], axis=(0, 1))
        empty = tf.reduce_all(deviation <= BACKGROUND * example["std"])
        return (attempt < MAX_DRAWS - 1) & empty

    return corners[tf.while_loop(background, lambda attempt: [attempt + 1], [tf.constant(0)])[0]]


def _grid_crop(example, key, draws, size, step):
    # Tiles are visited in a new order whenever all of them were seen; tiles of the last row and column
    # move inwards to fit, by whole steps since sides and size are multiples of it.
    image = example["image"]
    limit = tf.cast(tf.shape(image)[:2], tf.int64) - size
    rows, columns = tf.unstack(-(-limit // size) + 1)
    seed, number, index = tf.unstack(key)
    tiles = rows * columns
    order = tf.random.stateless_uniform(
        [2], sample_seed(tf.stack([seed, number // tiles, index])), minval=None, maxval=None, dtype=tf.int32
    )
    tile = tf.random.experimental.index_shuffle(number % tiles, order, tiles - 1)
    corner = tf.minimum(tf.stack([tile // columns, tile % columns]) * size, limit)
    return tf.cast(corner, tf.int32)


CROPS = {"random": _random_crop, "grid": _grid_crop}


def _window(image, corner, side):
    window = tf.slice(image, tf.concat([corner, [0]], 0), [side, side, -1])
    return tf.ensure_shape(window, [side, side, image.shape[-1]])


def _flip(image, symmetry):
    down, across, transposed = tf.unstack(symmetry)
    image = tf.where(down, image[::-1], image)
    image = tf.where(across, image[:, ::-1], image)
    return tf.where(transposed, tf.transpose(image, (1, 0, 2)), image)
