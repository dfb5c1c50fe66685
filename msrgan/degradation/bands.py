"""Linear reductions along an axis, as products with a matrix: whole, or by bands where the matrix would be large.

A matrix of n/scale x n numbers is fast for patches, but of 20,000 pixels it takes gigabytes. All but a band of it is
zero: an LR pixel depends on the HR pixels within a reach. So a long axis is cut into blocks, each is reduced with its
neighbours within that reach, and what these become is dropped.

          reach   block   reach
    HR  |.......|=======|.......|      ->      LR  |=====|
"""

import math
from collections.abc import Callable
from functools import cache

import tensorflow as tf

LONGEST = 4096
BLOCK = 2048


def reduce(image: tf.Tensor, matrix: Callable[[int], tf.Tensor], *, scale: int, reach: float) -> tf.Tensor:
    """Reduce the rows and the columns of images, (..., H, W, C), both by the same kind of matrix.

    Args:
        image: float32; a side that is not known beforehand is reduced as a whole.
        matrix: n -> (n / scale, n) matrix for a column of n pixels, whose interior is the same for every n.
        scale: reduction factor.
        reach: HR pixels beyond which an LR pixel depends on none.

    Returns:
        float32 (..., H/scale, W/scale, C).
    """
    image = tf.convert_to_tensor(image, tf.float32)
    height, width = tf.unstack(tf.shape(image)[-3:-1])
    height, width = image.shape[-3] or height, image.shape[-2] or width
    margin = math.ceil(reach / scale) * scale
    rows = _along(image, height, -3, "yh,...hwc->...ywc", matrix, scale, margin)
    return _along(rows, width, -2, "xw,...ywc->...yxc", matrix, scale, margin)


def _along(image, length, axis, product, matrix, scale, margin):
    if not isinstance(length, int) or length <= LONGEST:
        return tf.einsum(product, matrix(length), image)
    matrix = cache(matrix)  # blocks are of three lengths at most
    step = BLOCK // scale * scale
    reduced = []
    for start in range(0, length, step):
        stop = min(start + step, length)
        first, last = max(0, start - margin), min(stop + margin, length)
        kept = slice((start - first) // scale, (stop - first) // scale)
        pixels = tf.gather(image, tf.range(first, last), axis=axis % image.shape.rank)
        reduced.append(tf.einsum(product, matrix(last - first)[kept], pixels))
    return tf.concat(reduced, axis=axis % image.shape.rank)
