"""tf.data: images -> endless, reproducible batches of (lr, hr) pairs.

The crop and the flips of a sample are drawn from its key (`data.stream`): (seed, pass, image), and the attempt.
"""

from collections.abc import Callable

import tensorflow as tf

from msrgan.data.stream import measure, sample_seed, stream
from msrgan.intensity import PERCENTILE, Normalization, normalize

MAX_DRAWS = 4
BACKGROUND = 0.25


def sr_pairs(
    images: tf.data.Dataset,
    *,
    patch: int,
    batch: int,
    degradation: Callable[..., tf.Tensor],
    augment: bool = True,
    seed: int,
    scale: int = 4,
    channels: int | None = None,
    crop: str = "random",
    normalization: Normalization = PERCENTILE,
    start: int = 0,
    shard: tuple[int, int] = (1, 0),
    window: int | None = None,
) -> tf.data.Dataset:
    """Make endless batches of registered low- and high-resolution patches.

    Args:
        images: finite dataset of {"id", "image"} and, of acquired pairs, "lr"; every image at least `patch` high
            and wide. An acquired "lr" is exactly 1/scale of "image" (see `data.survey.check_pairs`); both are cropped
            together, and each is normalised by its own range.
        patch: side of the HR patches in pixels, a multiple of `scale`.
        batch: patches in a batch (of this worker).
        degradation: (hr, scale=..., seed=...) -> lr of batches in [0, 1]-normalised units, see `degradation.make`;
            its seed is drawn from the key of each sample. Not used with acquired pairs.
        augment: flip and transpose at random (the eight symmetries of the square).
        seed: of order, crops and augmentation.
        scale: enlargement that the pairs teach.
        channels: channels of the patches (grey images are repeated); default: those of the first image.
        crop: "random", or "grid": passes visit the tiles of each image in turn (real-time SRGAN's tiling).
            Random crops that are almost all background (standard deviation up to a quarter of the whole
            image's in every channel) are redrawn, at most three times: background stays rare, not absent.
        normalization: per image and channel.
        start: position in the stream of samples, to resume.
        shard: (number of workers, index of this one): each takes its share of every global batch.
        window: None keeps all decoded images in memory; a number decodes them anew on every pass and
            shuffles within a window of so many (see `survey.shuffle_window`).

    Returns:
        Dataset of (lr, hr), float32 (batch, patch/scale, patch/scale, C) and (batch, patch, patch, C), in
        [-1, 1]-normalised units, not clipped.

    Raises:
        ValueError: `patch` or `crop` is wrong, or patches are too small for the degradation.
    """
    if patch % scale:
        raise ValueError(f"The patch size must be a multiple of the scale. Received: patch={patch}, scale={scale}.")
    if crop not in CROPS:
        raise ValueError(f"crop must be one of {sorted(CROPS)}. Received: crop={crop!r}.")
    channels = channels or next(iter(images))["image"].shape[-1]
    paired = "lr" in images.element_spec
    step = scale if paired else 1
    if not paired:
        # Once here, so that its errors are told plainly and not out of a graph.
        degradation(tf.zeros((1, patch, patch, channels)), scale=scale, seed=[[0, 0]])

    def cut(key, example):
        draws = tf.random.stateless_uniform([MAX_DRAWS + 2, 2], sample_seed(key))
        corner = CROPS[crop](example, key, draws, patch, step)

        def part(image, low, high, reduction):
            side = patch // reduction
            pixels = _window(image, corner // reduction, side)
            pixels = tf.broadcast_to(_flip(pixels, draws) if augment else pixels, (side, side, channels))
            return tf.cast(pixels, tf.float32), *(tf.broadcast_to(limit, (1, 1, channels)) for limit in (low, high))

        hr = part(example["image"], example["low"], example["high"], 1)
        if paired:
            return hr, part(example["lr"], example["lr_low"], example["lr_high"], scale)
        return hr, sample_seed(key)

    def pair(hr, other):
        hr = normalize(*hr)
        lr = normalize(*other) if paired else degradation(hr, scale=scale, seed=other)
        return lr * 2 - 1, hr * 2 - 1

    measured = images.map(lambda e: measure(e, normalization), num_parallel_calls=tf.data.AUTOTUNE)
    samples = stream(measured, seed=seed, start=start, window=window).shard(*shard)
    patches = samples.map(cut, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return patches.batch(batch, drop_remainder=True).map(pair, num_parallel_calls=tf.data.AUTOTUNE).prefetch(4)


def _random_crop(example, key, draws, patch, step):
    """Return the corner of a crop, int32 (2,), a multiple of `step`, as `_grid_crop` does."""
    image = example["image"]
    room = tf.cast((tf.shape(image)[:2] - patch) // step + 1, tf.float32)
    corners = tf.cast(draws[:MAX_DRAWS] * room, tf.int32) * step

    def background(attempt):
        window = tf.cast(_window(image, corners[attempt], patch), tf.float32)
        # Measured from the first pixel, the deviation of a constant channel is exactly 0, as in the whole image.
        deviation = tf.math.reduce_std(window - window[0, 0], axis=(0, 1))
        empty = tf.reduce_all(deviation <= BACKGROUND * example["std"])
        return (attempt < MAX_DRAWS - 1) & empty

    return corners[tf.while_loop(background, lambda attempt: [attempt + 1], [tf.constant(0)])[0]]


def _grid_crop(example, key, draws, patch, step):
    # Tiles are visited in a new order whenever all of them were seen; those of the last row and column move
    # inwards to fit, by whole steps since sides and patch are multiples of it.
    image = example["image"]
    limit = tf.cast(tf.shape(image)[:2], tf.int64) - patch
    rows, columns = tf.unstack(-(-limit // patch) + 1)
    seed, number, index = tf.unstack(key)
    tiles = rows * columns
    order = tf.random.stateless_uniform(
        [2], sample_seed(tf.stack([seed, number // tiles, index])), minval=None, maxval=None, dtype=tf.int32
    )
    tile = tf.random.experimental.index_shuffle(number % tiles, order, tiles - 1)
    corner = tf.minimum(tf.stack([tile // columns, tile % columns]) * patch, limit)
    return tf.cast(corner, tf.int32)


CROPS = {"random": _random_crop, "grid": _grid_crop}


def _window(image, corner, patch):
    window = tf.slice(image, tf.concat([corner, [0]], 0), [patch, patch, -1])
    return tf.ensure_shape(window, [patch, patch, image.shape[-1]])


def _flip(image, draws):
    down, across, transposed, _ = tf.unstack(tf.reshape(draws[MAX_DRAWS:] < 0.5, [-1]))
    image = tf.where(down, image[::-1], image)
    image = tf.where(across, image[:, ::-1], image)
    return tf.where(transposed, tf.transpose(image, (1, 0, 2)), image)
