"""Degradations: high-resolution images -> the low-resolution images that a coarser acquisition would give.

All are called alike, `degrade(hr, scale=..., seed=...)`, eagerly or inside tf.data. A text names one with its
options, as in `gaussian:sigma=0.7`; `make` reads it. All but the microscope are linear and separable: one matrix
reduces the rows, the same kind of matrix the columns. So two matrix products make them, several times faster
than resizing operations.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from msrgan import options_text
from msrgan.microscope import BLUR, DEFAULTS, LIMITS, check_length, gaussian_matrix, microscope

# Stands for a degradation where LR images were acquired, not made.
ACQUIRED = "acquired"


def bicubic(hr: tf.Tensor, *, scale: int, seed=None) -> tf.Tensor:
    """Reduce with an antialiased bicubic kernel (Keys, a = -0.5, widened by `scale`), as Pillow does.

    Args:
        hr: float image (H, W, C) or batch (B, H, W, C), any value range; H and W multiples of `scale`.
        scale: reduction factor.
        seed: not used.

    Returns:
        float32 tensor (..., H/scale, W/scale, C).
    """
    return _reduce(hr, scale, lambda signals, size: tf.image.resize(signals, size, "bicubic", antialias=True))


def thesis(hr: tf.Tensor, *, scale: int, seed=None) -> tf.Tensor:
    """Reduce as the mSRGAN thesis did: TensorFlow 1's `resize_bicubic`, which does not antialias.

    That kernel samples at the pixels' corners: at an integer `scale` it takes every `scale`-th pixel of every
    `scale`-th row, so fine structure aliases, and an LR pixel shows not the centre of its HR pixels but the first of
    them (see `Degradation.offset`). Gawande, TRITA-EECS-EX-2018:10. Arguments and result as for `bicubic`.
    """
    return _reduce(hr, scale, lambda signals, size: signals[:, ::scale])


def area(hr: tf.Tensor, *, scale: int, seed=None) -> tf.Tensor:
    """Reduce by the mean over `scale` x `scale` pixels: what binning on the camera gives, noise apart.

    Arguments and result as for `bicubic`.
    """
    return _reduce(hr, scale, lambda signals, size: tf.nn.avg_pool2d(signals, (scale, 1), (scale, 1), "VALID"))


def gaussian(hr: tf.Tensor, *, scale: int, seed=None, sigma: float = 0.5) -> tf.Tensor:
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

    return _reduce(hr, scale, resize, lambda n: gaussian_matrix(n, sigma * scale))


class Degradation(NamedTuple):
    """A degradation with all its options.

    Attributes:
        name: key of `DEGRADATIONS`.
        function: (hr, scale=..., seed=..., **options) -> lr.
        options: every option with its value: a number, or a range (low, high) that is drawn from.
        limits: option -> smallest and largest value allowed.
        corner: whether an LR pixel is sampled at the first of its `scale` x `scale` HR pixels, not at their centre.
    """

    name: str
    function: Callable[..., tf.Tensor]
    options: dict[str, Any] = {}
    limits: dict[str, tuple[float, float]] = {}
    corner: bool = False

    def offset(self, scale: int) -> float:
        """Tell how far LR pixels are sampled below and right of the centres of their HR pixels, in HR pixels."""
        return (1 - scale) / 2 if self.corner else 0.0

    @property
    def spec(self) -> str:
        """The text from which `make` makes it again, with every option."""
        return options_text.render(self.name, self.options)

    def __call__(self, hr: tf.Tensor, *, scale: int, seed: tf.Tensor = (0, 0)) -> tf.Tensor:
        """Degrade an image or a batch.

        Args:
            hr: float image (H, W, C) or batch (B, H, W, C), 0 and 1 the ends of the intensity range, values beyond
                allowed; H and W multiples of `scale`.
            scale: reduction factor.
            seed: integers (2,), or (B, 2) for a batch: a random degradation is a function of it, the others do
                not use it.

        Returns:
            float32 tensor (..., H/scale, W/scale, C), not clipped.

        Raises:
            ValueError: a length among the options is too large for an image of this size.
        """
        return self.function(hr, scale=scale, seed=seed, **self.options)


DEGRADATIONS: dict[str, Degradation] = {
    known.name: known
    for known in (
        Degradation("bicubic", bicubic),
        Degradation("thesis", thesis, corner=True),
        Degradation("area", area),
        Degradation("gaussian", gaussian, {"sigma": 0.5}, {"sigma": (0, 100)}),
        Degradation("microscope", microscope, DEFAULTS, LIMITS),
    )
}


def make(text: str) -> Degradation:
    """Read a degradation from a text such as `bicubic` or `microscope:photons=50..500,motion=0`.

    Raises:
        ValueError: no degradation of that name, or an option that it lacks or whose value it does not allow.
    """
    name, given = options_text.parse(text)
    if name not in DEGRADATIONS:
        raise ValueError(f"degradation is one of {', '.join(DEGRADATIONS)}. Received: {text}.")
    known = DEGRADATIONS[name]
    options = options_text.resolve(given, known.options, of=name)
    for key, (low, high) in known.limits.items():
        values = np.atleast_1d(options[key])
        # Only a single number may be infinite: nothing can be drawn up to infinity.
        if not (low <= values[0] <= values[-1] <= high) or (values[0] != values[-1] and np.isinf(values).any()):
            raise ValueError(f"{name}:{key} lies between {low:g} and {high:g}. Received: {text}.")
    return known._replace(options=options)


def content_seed(content_hash: str) -> np.ndarray:
    """Return the seed, int64 (2,), by which an image is degraded in validation and evaluation.

    It comes from the image's own content (`images.content_hash`), so that an image is degraded alike in every
    study, whatever other images there are and in which order.
    """
    return np.frombuffer(bytes.fromhex(content_hash[:32]), "<i8")


def _reduce(hr, scale, along_columns, impulses=tf.eye):
    """Reduce both directions by the matrix that `along_columns` makes of unit impulses, blurred or not.

    `along_columns` maps (1, n, n, 1) and a size (n / scale, n) to (1, n / scale, n, 1).
    """

    def matrix(n):
        return along_columns(impulses(n)[None, :, :, None], (n // scale, n))[0, :, :, 0]

    hr = tf.convert_to_tensor(hr, tf.float32)
    height, width = tf.unstack(tf.shape(hr)[-3:-1])
    if hr.shape[-3] and hr.shape[-2]:
        height, width = hr.shape[-3], hr.shape[-2]
    rows = tf.einsum("yh,...hwc->...ywc", matrix(height), hr)
    return tf.einsum("xw,...ywc->...yxc", matrix(width), rows)
