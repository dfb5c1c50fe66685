"""tf.data for stage 1: labelled images -> endless, reproducible batches, augmented as in the thesis."""

import tensorflow as tf

from msrgan.data.stream import WHOLE, Part, measure, sample_seed, samples
from msrgan.intensity import PERCENTILE, normalize


def labelled(
    images: tf.data.Dataset,
    *,
    image_size: int,
    channels: int,
    batch_size: int,
    seed: int,
    part: Part = WHOLE,
) -> tf.data.Dataset:
    """Make endless batches of augmented images and labels.

    Args:
        images: finite dataset of {"id", "image", "label"}, label a number or a vector of 0 and 1.
        image_size: side of the images in pixels.
        channels: their channels; grey images are repeated.
        batch_size: images in a batch (of this worker).
        seed: of order and augmentation.
        part: which samples this process takes.

    Returns:
        Dataset of (image, label): float32 (batch_size, image_size, image_size, channels) in [-1, 1], percentile
        normalised per image and channel; int64 (batch_size,) or (batch_size, classes).
    """

    def prepare(key, example):
        seeds = tf.random.experimental.stateless_split(sample_seed(key), 5)
        image = augment(_normalized(example, channels), seeds, image_size=image_size)
        return image * 2 - 1, example["label"]

    stream = samples(images, PERCENTILE, seed=seed, part=part)
    examples = stream.map(prepare, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return examples.batch(batch_size, drop_remainder=True).prefetch(4)


def evaluation(images: tf.data.Dataset, *, image_size: int, channels: int, batch_size: int) -> tf.data.Dataset:
    """Make one pass over labelled images in order, not augmented; the last batch may be smaller.

    Arguments and result as for `labelled`.
    """

    def prepare(example):
        # Clipped like the training images, whose gamma needs it.
        normalized = _normalized(measure(example, PERCENTILE), channels)
        image = tf.clip_by_value(_resized(normalized, image_size), 0.0, 1.0)
        return image * 2 - 1, example["label"]

    return images.map(prepare, num_parallel_calls=tf.data.AUTOTUNE).batch(batch_size).prefetch(2)


def augment(image: tf.Tensor, seeds: tf.Tensor, *, image_size: int) -> tf.Tensor:
    """Apply the four augmentations of the thesis and resize.

    Crop and zoom: a window of 90 to 100 % of either side, resized to `image_size` (bicubic). Horizontal flip, one
    time in two. Gamma: exponent 1/u, u uniform in (0.5, 2); the thesis draws it in (0, 2), where small u turn
    the image black. Box blur of 1 to 4 pixels.

    Args:
        image: float32 (H, W, C), [0, 1]; values beyond are clipped.
        seeds: int32 (5, 2), a stateless seed for each draw.
        image_size: side of the result in pixels.

    Returns:
        float32 (image_size, image_size, C) in [0, 1].
    """
    shape = tf.shape(image)
    window = tf.cast(tf.random.stateless_uniform([2], seeds[0], 0.9, 1.0) * tf.cast(shape[:2], tf.float32), tf.int32)
    room = tf.cast(shape[:2] - window + 1, tf.float32)
    corner = tf.cast(tf.random.stateless_uniform([2], seeds[1]) * room, tf.int32)
    image = tf.slice(image, tf.concat([corner, [0]], 0), tf.concat([window, [-1]], 0))
    image = tf.clip_by_value(_resized(image, image_size), 0.0, 1.0)
    flipped = tf.random.stateless_uniform([], seeds[2]) < 0.5
    image = tf.where(flipped, image[:, ::-1], image)
    image = image ** (1 / tf.random.stateless_uniform([], seeds[3], 0.5, 2.0))
    side = tf.random.stateless_uniform([], seeds[4], maxval=4, dtype=tf.int32)
    return tf.switch_case(side, [lambda k=k: _box_blur(image, k) for k in (1, 2, 3, 4)])


def _resized(image, image_size):
    return tf.image.resize(image, (image_size, image_size), "bicubic", antialias=True)


def _box_blur(image, side):
    # Average pooling divides by the pixels inside the image: edges are not darkened.
    return tf.nn.avg_pool2d(image[None], side, 1, "SAME")[0]


def _normalized(example, channels):
    image = normalize(tf.cast(example["image"], tf.float32), example["low"], example["high"])
    return tf.broadcast_to(image, tf.concat([tf.shape(image)[:2], [channels]], 0))
