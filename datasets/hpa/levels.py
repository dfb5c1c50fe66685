"""The levels of real-time SRGAN for microscopy (arXiv 2010.04634): the first structures of an image in colour."""

import tensorflow as tf

from msrgan.datasets.atlas import COLOURS

# The level from which a colour is seen: microtubules, nucleus, protein, endoplasmic reticulum.
FIRST_LEVEL = {"red": 1, "blue": 2, "green": 3, "yellow": 4}


def compose(image: tf.Tensor, level: int | tf.Tensor) -> tf.Tensor:
    """Show the first structures of an image in their colours, as real-time SRGAN does (arXiv 2010.04634).

    Level 1 shows the microtubules in red, 2 adds the nucleus in blue, 3 the protein in green, 4 the endoplasmic
    reticulum in yellow, which is red and green in equal parts: R = red + yellow, G = green + yellow, B = blue. Sums
    are of whole numbers, so nothing is rounded; they saturate at the largest value of the type.

    Args:
        image: uint8 or uint16 (..., H, W, 4), channels as `atlas.COLOURS`.
        level: 1 to 4, a number or a scalar tensor.

    Returns:
        RGB of the type of `image`, (..., H, W, 3).
    """
    image = tf.convert_to_tensor(image)
    seen = tf.cast(level, tf.int32) >= tf.constant([FIRST_LEVEL[colour] for colour in COLOURS])
    planes = tf.where(seen, tf.cast(image, tf.int32), 0)
    rgb = planes[..., :3] + planes[..., 3:] * tf.constant([1, 1, 0])
    return tf.cast(tf.minimum(rgb, image.dtype.max), image.dtype)


def random_level(name: tf.Tensor, seed: int) -> tf.Tensor:
    """Draw a level from 1 to 4, an int32 scalar: a pure function of the name of an image and the seed."""
    return 1 + tf.cast(tf.strings.to_hash_bucket_strong(name, 4, key=[seed, 0]), tf.int32)
