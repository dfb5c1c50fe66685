"""Linear, separable degradations: one matrix reduces the rows, the same kind of matrix the columns.

So two matrix products make them, several times faster than resizing operations.
"""

import tensorflow as tf

from msrgan.degradation.bands import reduce
from msrgan.degradation.microscope import BLUR, TAIL, check_length, gaussian_matrix


def bicubic(hr: tf.Tensor, *, scale: int, seed: tf.Tensor | None = None) -> tf.Tensor:
    """Reduce with an antialiased bicubic kernel (Keys, a = -0.5, widened by `scale`), as Pillow does.

    Args:
        hr: float image (H, W, C) or batch (B, H, W, C), any value range; H and W multiples of `scale`.
        scale: reduction factor.
        seed: not used.

    Returns:
        float32 tensor (..., H/scale, W/scale, C).
    """
    return _reduce(hr, scale, lambda signals, size: tf.image.resize(signals, size, "bicubic", antialias=True))


def thesis(hr: tf.Tensor, *, scale: int, seed: tf.Tensor | None = None) -> tf.Tensor:
    """Reduce as the mSRGAN thesis did: TensorFlow 1's `resize_bicubic`, which does not antialias.

    That kernel samples at the pixels' corners: at an integer `scale` it takes every `scale`-th pixel of every
    `scale`-th row, so fine structure aliases, and an LR pixel shows not the centre of its HR pixels but the first of
    them: the grid "corner". Gawande, TRITA-EECS-EX-2018:10. Arguments and result as for `bicubic`.
    """
    return _reduce(hr, scale, lambda signals, size: signals[:, ::scale])


def area(hr: tf.Tensor, *, scale: int, seed: tf.Tensor | None = None) -> tf.Tensor:
    """Reduce by the mean over `scale` x `scale` pixels: what binning on the camera gives, noise apart.

    Arguments and result as for `bicubic`.
    """
    return _reduce(hr, scale, lambda signals, size: tf.nn.avg_pool2d(signals, (scale, 1), (scale, 1), "VALID"))


def gaussian(hr: tf.Tensor, *, scale: int, seed: tf.Tensor | None = None, sigma: float = 0.5) -> tf.Tensor:
    """Blur by a Gaussian, then resize by a bicubic kernel (Keys, a = -0.5) without antialiasing: the MRI lineage.

    The image is continued beyond its border by reflection. Arguments and result as for `bicubic`.

    Args:
        hr: image or batch.
        scale: reduction factor.
        seed: not used.
        sigma: standard deviation of the blur in LR pixels (of `scale` HR pixels), at most half the image's side.
    """
    hr = tf.convert_to_tensor(hr, tf.float32)
    check_length("gaussian:sigma", sigma, BLUR, hr.shape, scale)

    def resize(signals, size):
        return tf.image.resize(signals, size, "bicubic")

    # Two pixels more for the kernel of the resize.
    return _reduce(hr, scale, resize, lambda n: gaussian_matrix(n, sigma * scale), reach=TAIL * sigma * scale + 2)


def _reduce(hr, scale, along_columns, impulses=tf.eye, reach=None):
    """Reduce both directions by the matrix that `along_columns` makes of unit impulses, blurred or not.

    `along_columns` maps (1, n, n, 1) and a size (n / scale, n) to (1, n / scale, n, 1). `reach` is that of `reduce`;
    by default two LR pixels, as far as a bicubic kernel goes.
    """

    def matrix(n):
        return along_columns(impulses(n)[None, :, :, None], (n // scale, n))[0, :, :, 0]

    # One more, as pixels are measured from their centres.
    reach = (2 * scale if reach is None else reach) + scale
    return reduce(hr, matrix, scale=scale, reach=reach)
