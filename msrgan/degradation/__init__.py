"""Degradations: high-resolution images -> the low-resolution images that a coarser acquisition would give.

All are called alike, `degrade(hr, scale=..., seed=...)`, eagerly or inside tf.data. A text names one with its
options, as in `gaussian:sigma=0.7`; `make` reads it.

An LR pixel stands for `scale` x `scale` HR pixels. Where among them its sample lies is the grid of the LR image. Along
a row, at scale 4, with | around the HR pixels of one LR pixel and x where its sample lies:

                          LR pixel 0       LR pixel 1
    HR pixels          | 0   1   2   3 | 4   5   6   7 |
    grid "centre"      |       x       |       x       |    HR pixel p lies at (p + 1/2) / 4 - 1/2 in LR pixels
    grid "corner"      | x             | x             |    HR pixel p lies at p / 4 in LR pixels

A camera, and every degradation but `thesis`, has the samples at the centres. What enlarges an LR image (image skips of
networks, interpolation) must know its grid: the two are (scale - 1) / 2 HR pixels apart in each direction.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from msrgan import options_text
from msrgan.degradation.kernels import (
    area,
    area_matrix,
    bicubic,
    bicubic_matrix,
    gaussian,
    gaussian_blur_matrix,
    mixed,
    thesis,
    thesis_matrix,
)
from msrgan.degradation.microscope import DEFAULTS, LIMITS, microscope

# Stands for a degradation where LR images were acquired, not made.
ACQUIRED = "acquired"


class Degradation(NamedTuple):
    """A degradation with all its options.

    Attributes:
        name: key of `DEGRADATIONS`.
        function: (hr, scale=..., seed=..., **options) -> lr.
        options: every option with its value: a number, or a range (low, high) that is drawn from.
        limits: option -> smallest and largest value allowed.
        grid: where the samples of the LR pixels lie, "centre" or "corner"; drawn at the head of this module.
        matrix_function: (n, scale, **options) -> the (n / scale, n) matrix that reduces a column of n pixels, of a
            degradation that is nothing else; None of one that is random.
    """

    name: str
    function: Callable[..., tf.Tensor]
    options: dict[str, Any] = {}
    limits: dict[str, tuple[float, float]] = {}
    grid: str = "centre"
    matrix_function: Callable[..., tf.Tensor] | None = None

    @property
    def text(self) -> str:
        """The text from which `make` makes it again, with every option."""
        return options_text.render(self.name, self.options)

    def matrix(self, n: int, scale: int) -> np.ndarray:
        """Return the float64 (n / scale, n) matrix M of a degradation that has one: an image x becomes M x M'.

        Args:
            n: HR pixels of a column, a multiple of `scale`.
            scale: reduction factor.

        Raises:
            ValueError: the degradation is random.
        """
        if self.matrix_function is None:
            raise ValueError(f"A degradation that is random has no matrix. Received: {self.name}")
        return self.matrix_function(n, scale, **self.options).numpy().astype(np.float64)

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
        # GPUs may multiply float32 matrices in TF32, whose 10 bits put an LR pixel off by 1e-3. tf.data works on CPUs
        # anyway; here a study does, too.
        with tf.device("CPU:0"):
            return self.function(hr, scale=scale, seed=seed, **self.options)


DEGRADATIONS: dict[str, Degradation] = {
    known.name: known
    for known in (
        Degradation("bicubic", bicubic, matrix_function=bicubic_matrix),
        Degradation("thesis", thesis, grid="corner", matrix_function=thesis_matrix),
        Degradation("area", area, matrix_function=area_matrix),
        Degradation("gaussian", gaussian, {"sigma": 0.5}, {"sigma": (0, 100)}, matrix_function=gaussian_blur_matrix),
        Degradation("mixed", mixed, {"sigma": (0.3, 0.7), "bicubic": 1.0}, {"sigma": (0, 100), "bicubic": (0, 1000)}),
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

    It comes from the image's own content (`io.content_hash`), so that an image is degraded alike in every
    study, whatever other images there are and in which order.
    """
    return np.frombuffer(bytes.fromhex(content_hash[:32]), "<i8")
