"""SPAN: a small, fast generator of plain 3x3 convolutions whose attention has no parameters.

Wan et al., "Swift Parameter-free Attention Network for Efficient Super-Resolution", arXiv 2311.12770, figure 2; it won
the overall track of the NTIRE 2024 challenge on efficient super-resolution. It has no pooling: tiles stay exact.
"""

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from msrgan.networks.phases import DepthToSpace
from msrgan.networks.skip import add_image, one_of, output_layer

Tensor = Any
_GAIN = 2
# The paper's pixels are 0 to 255. Features about 1 or less would shrink in every block, since (x + h)(sigmoid(h) - 1/2)
# is about (x + h) h / 4.
_RANGE = 8


def span(
    *,
    channels: int = 3,
    scale: int = 4,
    filters: int = 32,
    blocks: int = 6,
    image_skip: str = "bicubic",
    grid: str = "centre",
) -> keras.Model:
    """Build a generator ``(B, H, W, C) -> (B, scale*H, scale*W, C)``, both in [-1, 1].

    A stem convolution; ``blocks`` attention blocks; the concatenation of the stem, the first block, the middle of the
    last block and the end of the body, mixed by a 1x1 convolution; one convolution and one pixel shuffle. All work is
    done on the small grid; every 3x3 kernel but the last is a `ReparameterizedConv2D`. Inside, pixels are 8 times as
    large.

    Args:
        channels: C, channels of the images.
        scale: 2, 4 or 8.
        filters: width of the body; 48 or 28 as published. Processors compute 32 faster than 28.
        blocks: number of attention blocks.
        image_skip: "bicubic": the network learns the residual to the bicubically enlarged input; "none": the paper's.
        grid: of the samples of the input, "centre" or "corner", see ``msrgan.degradation``.

    Returns:
        A ``keras.Model`` for any H and W. Its output is float32 under every dtype policy.

    Raises:
        ValueError: an argument has none of these values.
    """
    one_of("scale", scale, (2, 4, 8))
    image = keras.Input((None, None, channels), name="image")
    x = layers.Rescaling(_RANGE, name="enlarged_range")(image)
    stem = x = ReparameterizedConv2D(filters, name="stem_conv")(x)
    ends = []
    for i in range(1, blocks + 1):
        x, middle = _attention_block(x, name=f"block{i}")
        ends.append(x)
    x = ReparameterizedConv2D(filters, name="body_conv")(x)
    x = layers.Concatenate(name="body_concat")([stem, x, ends[0], middle])
    x = layers.Rescaling(1 / _RANGE, name="range")(x)
    x = layers.Conv2D(filters, 1, name="mix_conv")(x)
    x = layers.Conv2D(channels * scale**2, 3, padding="same", name="output_conv", **output_layer(image_skip))(x)
    x = DepthToSpace(scale, name="shuffle", dtype="float32")(x)
    x = add_image(x, image, image_skip=image_skip, scale=scale, grid=grid)
    return keras.Model(image, x, name="span")


def _attention_block(x, name):
    """Return (x + h) * (sigmoid(h) - 1/2), h being three convolutions of x, and the first of the three (equation 4)."""
    filters = x.shape[-1]
    first = ReparameterizedConv2D(filters, name=f"{name}_conv1")(x)
    h = _silu(first, name=f"{name}_act1")
    h = ReparameterizedConv2D(filters, name=f"{name}_conv2")(h)
    h = _silu(h, name=f"{name}_act2")
    h = ReparameterizedConv2D(filters, name=f"{name}_conv3")(h)
    attention = layers.Activation("sigmoid", name=f"{name}_sigmoid")(h)
    attention = layers.Rescaling(1.0, offset=-0.5, name=f"{name}_attention")(attention)
    total = layers.Add(name=f"{name}_add")([x, h])
    return layers.Multiply(name=f"{name}_multiply")([total, attention]), first


def _silu(x, name):
    # That of Keras takes a gradient of its own into the export, whose operations `msrgan.models.safety` does not know.
    gate = layers.Activation("sigmoid", name=f"{name}_gate")(x)
    return layers.Multiply(name=name)([x, gate])


@keras.saving.register_keras_serializable("msrgan")
class ReparameterizedConv2D(layers.Layer):
    """A 3x3 convolution, zeros around the image, whose kernel is a product of four.

    It is trained as a widening 1x1 convolution, a 3x3 and a narrowing 1x1 in a row, beside a 1x1 shortcut (section 3.3
    of the paper). All are linear, so that they are one convolution with

        kernel[u, v] = widen @ spatial[u, v] @ narrow  (+ shortcut at the centre)
        bias = (sum over u, v of widen_bias @ spatial[u, v] + spatial_bias) @ narrow + narrow_bias,

    as long as the image is padded before the first one; the bias of the shortcut is that of ``narrow``. The layer
    computes the kernel, and then convolves once: training costs hardly more than with a plain kernel, and ``folded``
    gives that plain layer.

    Args:
        filters: channels of the result.
    """

    def __init__(self, filters: int, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters

    def build(self, shape: tuple[int | None, ...]) -> None:
        """Add the four kernels and their biases."""
        inside, outside, wide_in, wide_out = shape[-1], self.filters, _GAIN * shape[-1], _GAIN * self.filters
        self.widen = self._kernel((inside, wide_in), "widen")
        self.widen_bias = self._bias(wide_in, "widen_bias")
        self.spatial = self._kernel((3, 3, wide_in, wide_out), "spatial")
        self.spatial_bias = self._bias(wide_out, "spatial_bias")
        self.narrow = self._kernel((wide_out, outside), "narrow")
        self.bias = self._bias(outside, "bias")
        self.shortcut = self._kernel((inside, outside), "shortcut")

    def _kernel(self, shape, name):
        # Half precision would round each of four kernels instead of their product alone: no autocast.
        return self.add_weight(shape, initializer="glorot_uniform", autocast=False, name=name)

    def _bias(self, size, name):
        return self.add_weight((size,), initializer="zeros", autocast=False, name=name)

    def merged(self) -> tuple[Tensor, Tensor]:
        """Return kernel (3, 3, C, filters) and bias (filters,) of the one convolution."""
        wide = ops.matmul(self.spatial, self.narrow)  # (3, 3, wide_in, filters)
        centre = ops.pad(self.shortcut[None, None], ((1, 1), (1, 1), (0, 0), (0, 0)))
        bias = ops.matmul(self.widen_bias, ops.sum(wide, (0, 1))) + ops.matmul(self.spatial_bias, self.narrow)
        return ops.matmul(self.widen, wide) + centre, bias + self.bias

    def call(self, x: Tensor) -> Tensor:
        """Convolve (B, H, W, C) to (B, H, W, filters)."""
        kernel, bias = self.merged()
        return ops.conv(x, ops.cast(kernel, x.dtype), padding="same") + ops.cast(bias, x.dtype)

    def reach(self, radius: int) -> int:
        """Return the radius at the input that a radius at the output needs."""
        return radius + 1

    def folded(self) -> tuple[layers.Conv2D, list[np.ndarray]]:
        """Return the plain convolution that does the same, not built yet, and its weights."""
        plain = layers.Conv2D(self.filters, 3, padding="same", name=self.name, dtype=self.dtype_policy)
        return plain, [ops.convert_to_numpy(value) for value in self.merged()]

    def unfold(self, kernel: np.ndarray, bias: np.ndarray) -> None:
        """Become a plain convolution that ``folded`` gave, so that it can be trained on.

        Of the many products that are this kernel it takes the smallest ``spatial`` that the other three, as they are,
        allow: ``pinv(widen) @ (kernel - shortcut at the centre) @ pinv(narrow)``.

        Args:
            kernel: (3, 3, C, filters).
            bias: (filters,).
        """
        widen, narrow, shortcut = (ops.convert_to_numpy(w) for w in (self.widen, self.narrow, self.shortcut))
        rest = np.array(kernel, np.float64)
        rest[1, 1] -= shortcut
        self.spatial.assign(np.linalg.pinv(widen) @ rest @ np.linalg.pinv(narrow))
        for zero in (self.widen_bias, self.spatial_bias):
            zero.assign(np.zeros(zero.shape))
        self.bias.assign(bias)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return super().get_config() | {"filters": self.filters}
