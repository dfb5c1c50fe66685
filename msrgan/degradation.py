"""Degradations: high-resolution images -> the low-resolution images that a coarser acquisition would give.

Each degradation is linear and separable: one matrix reduces the rows, the same kind of matrix the columns. So it
commutes with the intensity normalisation (degrading a normalised image equals normalising the degraded one), and
two matrix products make it, which is several times faster than resizing operations.
"""

from collections.abc import Callable

import tensorflow as tf


def bicubic(hr: tf.Tensor, *, scale: int) -> tf.Tensor:
    """Reduce with an antialiased bicubic kernel (Keys, a = -0.5, widened by `scale`), as Pillow does.

    Args:
        hr: float image (H, W, C) or batch (B, H, W, C), any value range; H and W multiples of `scale`.
        scale: reduction factor.

    Returns:
        float32 tensor (..., H/scale, W/scale, C).
    """
    return _reduce(hr, scale, lambda signals, size: tf.image.resize(signals, size, "bicubic", antialias=True))


def thesis(hr: tf.Tensor, *, scale: int) -> tf.Tensor:
    """Reduce as the mSRGAN thesis did: TensorFlow 1's `resize_bicubic`, which does not antialias.

    That kernel samples at the pixels' corners: at an integer `scale` it takes every `scale`-th pixel of every
    `scale`-th row, so fine structure aliases. Gawande, TRITA-EECS-EX-2018:10.

    Args:
        hr: float image (H, W, C) or batch (B, H, W, C), any value range; H and W multiples of `scale`.
        scale: reduction factor.

    Returns:
        float32 tensor (..., H/scale, W/scale, C).
    """
    return _reduce(hr, scale, lambda signals, size: signals[:, ::scale])


def area(hr: tf.Tensor, *, scale: int) -> tf.Tensor:
    """Reduce by the mean over `scale` x `scale` pixels: what binning on the camera gives, noise apart.

    Args:
        hr: float image (H, W, C) or batch (B, H, W, C), any value range; H and W multiples of `scale`.
        scale: reduction factor.

    Returns:
        float32 tensor (..., H/scale, W/scale, C).
    """
    return _reduce(hr, scale, lambda signals, size: tf.nn.avg_pool2d(signals, (scale, 1), (scale, 1), "VALID"))


DEGRADATIONS: dict[str, Callable[..., tf.Tensor]] = {"bicubic": bicubic, "thesis": thesis, "area": area}


def _reduce(hr, scale, along_columns):
    """Reduce both directions by the matrix that `along_columns` makes of unit impulses.

    `along_columns` maps (1, n, n, 1) and a size (n / scale, n) to (1, n / scale, n, 1).
    """

    def matrix(n):
        return along_columns(tf.eye(n)[None, :, :, None], (n // scale, n))[0, :, :, 0]

    hr = tf.convert_to_tensor(hr, tf.float32)
    height, width = tf.unstack(tf.shape(hr)[-3:-1])
    if hr.shape[-3] and hr.shape[-2]:
        height, width = hr.shape[-3], hr.shape[-2]
    rows = tf.einsum("yh,...hwc->...ywc", matrix(height), hr)
    return tf.einsum("xw,...ywc->...yxc", matrix(width), rows)
