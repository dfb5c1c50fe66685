"""tf.data: images -> endless, reproducible batches of (lr, hr) pairs.

Sample k of a run is a pure function of (seed, k): pass k // n over the n images visits them in an order
drawn from (seed, pass), and the crop and flips of an image are drawn from (seed, pass, image, attempt). So a
run resumed at any step sees what the uninterrupted run would have seen, and workers can share a batch by
position.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from msrgan import images as files

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
    normalization: str = "percentile",
    start: int = 0,
    shard: tuple[int, int] = (1, 0),
    window: int | None = None,
) -> tf.data.Dataset:
    """Make endless batches of registered low- and high-resolution patches.

    Args:
        images: finite dataset of {"id", "image"}; every image at least `patch` high and wide.
        patch: side of the HR patches in pixels, a multiple of `scale`.
        batch: patches in a batch (of this worker).
        degradation: (hr, scale=...) -> lr, see `degradation.DEGRADATIONS`.
        augment: flip and transpose at random (the eight symmetries of the square).
        seed: of order, crops and augmentation.
        scale: enlargement that the pairs teach.
        channels: channels of the patches (grey images are repeated); default: those of the first image.
        crop: "random", or "grid": passes visit the tiles of each image in turn (real-time SRGAN's tiling).
            Random crops that are almost all background (standard deviation below a quarter of the whole
            image's in every channel) are redrawn, at most three times: background stays rare, not absent.
        normalization: "percentile" or "range", per image and channel, see `images`.
        start: position in the stream of samples, to resume.
        shard: (number of workers, index of this one): each takes its share of every global batch.
        window: None keeps all decoded images in memory; a number decodes them anew on every pass and
            shuffles within a window of so many (see `survey.shuffle_window`).

    Returns:
        Dataset of (lr, hr), float32 (batch, patch/scale, patch/scale, C) and (batch, patch, patch, C), in
        [-1, 1]-normalised units, not clipped.
    """
    if patch % scale:
        raise ValueError(
            f"The patch size must be a multiple of the scale. Received: patch={patch}, scale={scale}."
        )
    if crop not in CROPS:
        raise ValueError(f"crop must be one of {sorted(CROPS)}. Received: crop={crop!r}.")
    first = next(iter(images.take(1)))["image"]
    channels = channels or first.shape[-1]

    def cut(key, example):
        hr = CROPS[crop](example, key, patch)
        hr = (tf.cast(hr, tf.float32) - example["low"]) / (example["high"] - example["low"])
        hr = tf.broadcast_to(hr * 2 - 1, (patch, patch, channels))
        return _flip(hr, key) if augment else hr

    def pair(hr):
        return degradation(hr, scale=scale), hr

    measured = images.map(lambda e: measure(e, normalization), num_parallel_calls=tf.data.AUTOTUNE)
    samples = stream(measured, seed=seed, start=start, window=window)
    hr = samples.shard(*shard).map(cut, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return hr.batch(batch, drop_remainder=True).map(pair, num_parallel_calls=tf.data.AUTOTUNE).prefetch(4)


def stream(
    examples: tf.data.Dataset, *, seed: int, start: int = 0, window: int | None = None
) -> tf.data.Dataset:
    """Repeat a finite dataset for ever, each pass in an order drawn from (seed, pass).

    Args:
        examples: finite dataset; it is counted by one reading if its cardinality is not known.
        seed: of the order.
        start: number of samples to skip.
        window: as for `sr_pairs`.

    Returns:
        Dataset of (key, example), key int64 (seed, pass, index of the example in `examples`).
    """
    count = int(examples.cardinality())
    if count < 0:
        count = int(examples.reduce(0, lambda n, _: n + 1))
    indexed = examples.enumerate()
    if window is None:
        indexed, window = indexed.cache(), count

    def one_pass(number):
        # In the graph of this function only: tf.data mixes the process-wide seed, if there is one, with ours.
        tf.random.set_seed(None)
        # The seed of a shuffle must be one number: hash (seed, pass) into it.
        order = tf.random.stateless_uniform([], tf.stack([seed, number]), maxval=2**62, dtype=tf.int64)
        shuffled = indexed.shuffle(window, seed=order, reshuffle_each_iteration=False)
        return shuffled.map(lambda index, example: (tf.stack([seed, number, index]), example))

    seed = tf.constant(seed, tf.int64)
    passes = tf.data.Dataset.range(start // count, np.iinfo(np.int64).max)
    return passes.flat_map(one_pass).skip(start % count)


def measure(example: dict[str, tf.Tensor], normalization: str) -> dict[str, tf.Tensor]:
    """Add what normalisation and the background rule need of the whole image: "low", "high", "std" (C,)."""
    limits = files.percentiles if normalization == "percentile" else files.dtype_range

    def statistics(image):
        low, high = limits(image)
        return low, high, image.std(axis=(0, 1), dtype=np.float64).astype(np.float32)

    low, high, std = tf.numpy_function(statistics, [example["image"]], [tf.float32] * 3, stateful=False)
    shape = [example["image"].shape[-1]]
    return example | {k: tf.ensure_shape(v, shape) for k, v in (("low", low), ("high", high), ("std", std))}


def _random_crop(example, key, patch):
    image = example["image"]
    last = tf.shape(image)[:2] - patch

    def draw(attempt):
        offset = tf.random.stateless_uniform([2], _seed(key, attempt), maxval=2**31 - 1, dtype=tf.int32) % (
            last + 1
        )
        return _window(image, offset, patch)

    def background(attempt, window):
        std = tf.math.reduce_std(tf.cast(window, tf.float32), axis=(0, 1))
        return (attempt < MAX_DRAWS) & tf.reduce_all(std < BACKGROUND * example["std"])

    shape = tf.TensorShape([patch, patch, image.shape[-1]])
    _, window = tf.while_loop(
        background,
        lambda attempt, _: (attempt + 1, draw(attempt)),
        (tf.constant(1), draw(tf.constant(0))),
        shape_invariants=(tf.TensorShape([]), shape),
    )
    return window


def _grid_crop(example, key, patch):
    # Tiles are visited in a new order whenever all of them were seen; those of the last row and column move
    # inwards to fit.
    image = example["image"]
    height, width = tf.unstack(tf.cast(tf.shape(image)[:2], tf.int64))
    rows, columns = -(-height // patch), -(-width // patch)
    seed, number, index = tf.unstack(key)
    tiles = rows * columns
    round_seed = _seed(tf.stack([seed, number // tiles, index]), 0)
    order = tf.random.stateless_uniform([2], round_seed, minval=None, maxval=None, dtype=tf.int32)
    tile = tf.random.experimental.index_shuffle(number % tiles, order, tiles - 1)
    corner = tf.stack(
        [
            tf.minimum(tile // columns * patch, height - patch),
            tf.minimum(tile % columns * patch, width - patch),
        ]
    )
    return _window(image, tf.cast(corner, tf.int32), patch)


CROPS = {"random": _random_crop, "grid": _grid_crop}


def _window(image, offset, patch):
    return tf.slice(image, tf.concat([offset, [0]], 0), [patch, patch, -1])


def _seed(key, attempt):
    """A stateless seed for one draw of one sample: all of (seed, pass, index) and the number of the draw."""
    return tf.random.experimental.stateless_fold_in(
        tf.random.experimental.stateless_fold_in(key[:2], key[2]), tf.cast(attempt, tf.int64)
    )


def _flip(image, key):
    down, across, transposed = tf.unstack(
        tf.random.stateless_uniform([3], _seed(key, MAX_DRAWS), maxval=2, dtype=tf.int32) > 0
    )
    image = tf.where(down, image[::-1], image)
    image = tf.where(across, image[:, ::-1], image)
    return tf.where(transposed, tf.transpose(image, (1, 0, 2)), image)
