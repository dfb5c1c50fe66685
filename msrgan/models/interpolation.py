"""Null models: plain interpolation, to compare trained models with."""

import tensorflow as tf

from msrgan.models import card
from msrgan.models.upscaler import Upscaler

METHODS = {"nearest": ("nearest", 1), "bicubic": ("bicubic", 2), "lanczos": ("lanczos3", 3)}


def interpolation(name: str, scale: int, offset: float = 0.0) -> Upscaler:
    """Make a null model.

    Args:
        name: "nearest", "bicubic" (Keys, a = -0.5) or "lanczos" (3 lobes).
        scale: enlargement.
        offset: how far the samples of the LR pixels lie below and right of the centres of the blocks of scale x scale
            pixels that they become, in HR pixels (see `degradation.Degradation.offset`).
    """
    method, radius = METHODS[name]

    def nearest(batch, axis):
        positions = (tf.range(scale * batch.shape[axis], dtype=tf.float32) + 0.5 - offset) / scale
        chosen = tf.clip_by_value(tf.cast(tf.floor(positions), tf.int32), 0, batch.shape[axis] - 1)
        return tf.gather(batch, chosen, axis=axis)

    def function(batch):
        size = tf.shape(batch)[1:3] * scale
        if not offset:
            return tf.image.resize(batch, size, method)
        if name == "nearest":
            return nearest(nearest(batch, 1), 2)
        # Beyond the outermost samples the image is continued by them; the operation itself would give 0 there.
        continued = tf.pad(batch, [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC")
        grid = {"size": size, "scale": [float(scale)] * 2, "translation": [float(offset - scale)] * 2}
        kernel = "keyscubic" if name == "bicubic" else method
        return tf.raw_ops.ScaleAndTranslate(images=continued, **grid, kernel_type=kernel, antialias=False)

    sizes = {"scale": scale, "channels": None, "receptive_radius": radius}
    return Upscaler(function, sizes | card.defaults() | {"interpolation": name})
