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
    return _reduce(hr, scale, bicubic_matrix)


def bicubic_matrix(n: int, scale: int) -> tf.Tensor:
    """Make the (n / scale, n) matrix of `bicubic` for a column of n pixels."""
    return _resized(tf.eye(n), scale, antialias=True)


def thesis(hr: tf.Tensor, *, scale: int, seed: tf.Tensor | None = None) -> tf.Tensor:
    """Reduce as the mSRGAN thesis did: TensorFlow 1's `resize_bicubic`, which does not antialias.

    That kernel samples at the pixels' corners: at an integer `scale` it takes every `scale`-th pixel of every
    `scale`-th row, so fine structure aliases, and an LR pixel shows not the centre of its HR pixels but the first of
    them: the grid "corner". Gawande, TRITA-EECS-EX-2018:10. Arguments and result as for `bicubic`.
    """
    return _reduce(hr, scale, thesis_matrix)


def thesis_matrix(n: int, scale: int) -> tf.Tensor:
    """Make the (n / scale, n) matrix of `thesis` for a column of n pixels."""
    return tf.eye(n)[::scale]


def area(hr: tf.Tensor, *, scale: int, seed: tf.Tensor | None = None) -> tf.Tensor:
    """Reduce by the mean over `scale` x `scale` pixels: what binning on the camera gives, noise apart.

    Arguments and result as for `bicubic`.
    """
    return _reduce(hr, scale, area_matrix)


def area_matrix(n: int, scale: int) -> tf.Tensor:
    """Make the (n / scale, n) matrix of `area` for a column of n pixels."""
    return tf.repeat(tf.eye(n // scale), scale, axis=1) / tf.cast(scale, tf.float32)


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
    # Two pixels more for the kernel of the resize.
    reach = TAIL * sigma * scale + 2
    return _reduce(hr, scale, lambda n, scale: gaussian_blur_matrix(n, scale, sigma=sigma), reach)


def gaussian_blur_matrix(n: int, scale: int, *, sigma: float = 0.5) -> tf.Tensor:
    """Make the (n / scale, n) matrix of `gaussian` for a column of n pixels."""
    return _resized(gaussian_matrix(n, sigma * scale), scale)


def mixed(
    hr: tf.Tensor, *, scale: int, seed: tf.Tensor, sigma: tuple[float, float] = (0.3, 0.7), bicubic: float = 1.0
) -> tf.Tensor:
    """Reduce each image by one of `bicubic`, `area` and `gaussian`, drawn at random.

    A network that learns from it does not rely on the kernel of one of them. Arguments and result as for `bicubic`.

    Args:
        hr: image or batch.
        scale: reduction factor.
        seed: integers (2,), or (B, 2) for a batch; what is drawn is a function of it.
        sigma: range from which the sigma of `gaussian` is drawn, evenly; LR pixels.
        bicubic: how many times as often `bicubic` is drawn as each of the others.
    """
    hr, seed = tf.convert_to_tensor(hr, tf.float32), tf.cast(seed, tf.int64)
    check_length("mixed:sigma", sigma[1], BLUR, hr.shape, scale)
    if hr.shape.rank == 3:
        return _mixed(hr, scale, seed, sigma, bicubic)
    one = tf.TensorSpec([None if n is None else n // scale for n in hr.shape[1:3]] + [hr.shape[3]], tf.float32)
    return tf.map_fn(
        lambda image: _mixed(image[0], scale, image[1], sigma, bicubic), (hr, seed), fn_output_signature=one
    )


def _mixed(image, scale, seed, sigma, weight):
    """Do what `mixed` does with one image (H, W, C)."""
    of_kind, of_sigma = tf.unstack(tf.random.split(seed, 2))
    # From 0 to the weight bicubic, area in the unit after it, gaussian in the last.
    kind = tf.cast(tf.maximum(tf.random.stateless_uniform([], of_kind, 0, weight + 2) - weight + 1, 0), tf.int32)
    drawn = tf.random.stateless_uniform([], of_sigma, *sigma)

    def matrix(n):
        kinds = [bicubic_matrix, area_matrix, lambda n, scale: gaussian_blur_matrix(n, scale, sigma=drawn)]
        return tf.switch_case(kind, [lambda make=make: make(n, scale) for make in kinds])

    return reduce(image, matrix, scale=scale, reach=TAIL * sigma[1] * scale + 3 * scale)


def _resized(signals, scale, **options):
    """Resize the columns of a matrix (n, n) to n / scale pixels by a bicubic kernel."""
    n = tf.shape(signals)[0]
    return tf.image.resize(signals[None, :, :, None], (n // scale, n), "bicubic", **options)[0, :, :, 0]


def _reduce(hr, scale, matrix, reach=None):
    """Reduce both directions by (n, scale) -> matrix.

    `reach` is that of `reduce`; by default two LR pixels, as far as a bicubic kernel goes.
    """
    # One more, as pixels are measured from their centres.
    reach = (2 * scale if reach is None else reach) + scale
    return reduce(hr, lambda n: matrix(n, scale), scale=scale, reach=reach)
