"""Degradations: high-resolution images -> the low-resolution images that a coarser acquisition would give.

Each degradation is a linear function of the image, so it commutes with the intensity normalisation:
degrading a normalised image equals normalising the degraded one.
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
    return tf.image.resize(hr, _reduced(hr, scale), method="bicubic", antialias=True)


def thesis(hr: tf.Tensor, *, scale: int) -> tf.Tensor:
    """Reduce as the mSRGAN thesis did: TensorFlow 1's `resize_bicubic`, which does not antialias.

    The kernel is Keys's with a = -0.75 at its original width, sampled at the pixel corners: at an integer
    `scale` it returns every `scale`-th pixel, so fine structure aliases. Gawande, TRITA-EECS-EX-2018:10.

    Args:
        hr: float image (H, W, C) or batch (B, H, W, C), any value range; H and W multiples of `scale`.
        scale: reduction factor.

    Returns:
        float32 tensor (..., H/scale, W/scale, C).
    """
    return _batched(tf.compat.v1.image.resize_bicubic, hr, _reduced(hr, scale))


def area(hr: tf.Tensor, *, scale: int) -> tf.Tensor:
    """Reduce by the mean over `scale` x `scale` pixels: what binning on the camera gives, noise apart.

    Args:
        hr: float image (H, W, C) or batch (B, H, W, C), any value range; H and W multiples of `scale`.
        scale: reduction factor.

    Returns:
        float32 tensor (..., H/scale, W/scale, C).
    """
    return _batched(lambda x, _: tf.nn.avg_pool2d(x, scale, scale, "VALID"), hr, None)


DEGRADATIONS: dict[str, Callable[..., tf.Tensor]] = {"bicubic": bicubic, "thesis": thesis, "area": area}


def _reduced(hr, scale):
    return tf.shape(hr)[-3:-1] // scale


def _batched(function, images, size):
    """Apply a function of a batch (B, H, W, C) to a batch or to one image (H, W, C)."""
    images = tf.cast(images, tf.float32)
    if images.shape.rank == 3:
        return function(images[None], size)[0]
    return function(images, size)
