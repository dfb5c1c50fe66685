"""Upsampling layers that are exact, and faster than their textbook form.

The tail of a super-resolution network works on tensors that are large in H and W. Its layers have equals on
the small grid, in *phase layout*: a ``(B, H, W, 4F)`` tensor whose ``depth_to_space(2)`` is the
``(B, 2H, 2W, F)`` tensor in question. Channel ``(2p + q) * F + f`` at ``(i, j)`` is feature ``f`` at row
``2i + p``, column ``2j + q``: four phases of F channels, in the order of ``keras.ops.nn.depth_to_space``.

Each layer keeps the kernel of its paper as its weight and rearranges it when called: parameter counts,
initialisation and gradients are the same as in the textbook form. ``reach(radius)`` is how far it looks: the radius
at its input that a radius at its output needs (``msrgan.networks.receptive``).
"""

from typing import Any

import keras
import numpy as np
from keras import ops

from msrgan.networks.sampling import bicubic_taps

Tensor = Any
_register = keras.saving.register_keras_serializable(package="msrgan")


@_register
class DepthToSpace(keras.layers.Layer):
    """Pixel shuffle: ``(B, H, W, s*s*C) -> (B, s*H, s*W, C)`` (arXiv 1609.05158, section 2.2).

    Args:
        block_size: s.
    """

    def __init__(self, block_size: int = 2, **kwargs):
        super().__init__(**kwargs)
        self.block_size = block_size

    def call(self, x: Tensor) -> Tensor:
        """Rearrange; no arithmetic."""
        return ops.nn.depth_to_space(x, self.block_size)

    def reach(self, radius: int) -> int:
        """Return the radius at the input that a radius at the output needs."""
        return -(-radius // self.block_size)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return super().get_config() | {"block_size": self.block_size}


@_register
class PReLU(keras.layers.Layer):
    """Parametric ReLU with one slope a channel: x where x > 0, else alpha * x (arXiv 1502.01852, eq. 1).

    It commutes with ``depth_to_space``: with ``phases=4`` it acts on a tensor in phase layout, whose four
    phases share the slopes of their F channels.

    Args:
        phases: number of phases in the channel axis: 1 for an ordinary tensor, 4 before a pixel shuffle.
    """

    def __init__(self, phases: int = 1, **kwargs):
        super().__init__(**kwargs)
        self.phases = phases

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create ``alpha`` for the F channels of one phase; .25 is the paper's start."""
        shape = (_per_phase(input_shape[-1], self.phases),)
        self.alpha = self.add_weight(name="alpha", shape=shape, initializer=keras.initializers.Constant(0.25))

    def call(self, x: Tensor) -> Tensor:
        """Apply the slopes; shape unchanged."""
        # Of the equal forms the one with the fewest passes: half the time of max(0, x) + alpha * min(0, x).
        return x + ops.tile(self.alpha - 1, [self.phases]) * ops.minimum(x, 0)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return super().get_config() | {"phases": self.phases}


class _PhaseConvolution(keras.layers.Layer):
    """A convolution whose output is in phase layout; its weights are the textbook kernel and bias."""

    def __init__(self, filters, *, use_bias=True, kernel_initializer="glorot_uniform", **kwargs):
        super().__init__(**kwargs)
        self.filters, self.use_bias = filters, use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def _add_weights(self, size, channels):
        shape = (size, size, channels, self.filters)
        self.kernel = self.add_weight(name="kernel", shape=shape, initializer=self.kernel_initializer)
        if self.use_bias:
            self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros")

    def _add_bias(self, x):
        return x + ops.tile(self.bias, [4]) if self.use_bias else x

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        initializer = keras.initializers.serialize(self.kernel_initializer)
        own = {"filters": self.filters, "use_bias": self.use_bias, "kernel_initializer": initializer}
        return super().get_config() | own


@_register
class PhaseConv2D(_PhaseConvolution):
    """A 'same' convolution of the shuffled tensor, computed before the shuffle.

    ``DepthToSpace(2)(PhaseConv2D(C, k)(x))`` equals ``Conv2D(C, k, padding="same")(DepthToSpace(2)(x))``:
    ``(B, H, W, 4F) -> (B, H, W, 4C)``. The weight is the textbook ``(k, k, F, C)`` kernel. With r = k // 2
    and R = ceil(r / 2), output row 2i + p at tap u reads input row 2i + p + u - r = 2(i + s) + q, so that

        phase_kernel[s + R, (q, f), (p, c)] = kernel[2s + q - p + r, f, c]    zero outside; columns likewise.

    For k = 9 it multiplies 1.23 times as often, for k = 3 four times. It pays where C is small, as in the
    last layer of a generator: machines prefer 4F x 4C channels on a small grid to F x C on a large one.

    Processors compute many filters at once, and 4C are few. So the 2R + 1 rows of the phase kernel become filters of
    one row beside each other; their results are shifted and added: y[i] = sum over u of (x * row_u)[i + u - R].
    For k = 9 that takes half the time of one convolution, with gradients less than a third.

    Args:
        filters: C, channels after the shuffle.
        kernel_size: k, odd.
        use_bias: whether to add a bias of C values.
        kernel_initializer: of the textbook kernel.

    Raises:
        ValueError: ``kernel_size`` is even.
    """

    def __init__(self, filters: int, kernel_size: int, **kwargs):
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd. Received: {kernel_size}. Use 3, 5, 7 or 9.")
        super().__init__(filters, **kwargs)
        self.kernel_size = kernel_size
        self.radius = -(-(kernel_size // 2) // 2)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights for F channels a phase."""
        self._add_weights(self.kernel_size, _per_phase(input_shape[-1], phases=4))

    def call(self, x: Tensor) -> Tensor:
        """Convolve in phase layout."""
        kernel = self._phase_kernel()
        taps, _, inputs, outputs = kernel.shape
        kernel = ops.reshape(ops.transpose(kernel, (1, 2, 0, 3)), (1, taps, inputs, taps * outputs))
        rows = ops.conv(x, kernel, padding="same")
        rows = ops.pad(rows, [(0, 0), (self.radius, self.radius), (0, 0), (0, 0)])
        shifted = [rows[:, u : u + 1 - taps or None, :, u * outputs : (u + 1) * outputs] for u in range(taps)]
        return self._add_bias(sum(shifted[1:], start=shifted[0]))

    def _phase_kernel(self):
        taps = 2 * self.radius + 1
        f, c = self.kernel.shape[2:]
        margin = taps - self.kernel_size // 2
        kernel = ops.pad(self.kernel, [(margin, margin), (margin, margin), (0, 0), (0, 0)])
        # 2s + q counts up by one: all (s, q) of a phase are one slice, which for p = 1 starts a row earlier.
        starts = (1, 0)
        kernel = [kernel[i : i + 2 * taps, j : j + 2 * taps] for i in starts for j in starts]
        kernel = ops.reshape(ops.stack(kernel, axis=-2), (taps, 2, taps, 2, f, 4 * c))
        return ops.reshape(ops.transpose(kernel, (0, 2, 1, 3, 4, 5)), (taps, taps, 4 * f, 4 * c))

    def reach(self, radius: int) -> int:
        """Return the radius at the input that a radius at the output needs."""
        return radius + self.radius

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return super().get_config() | {"kernel_size": self.kernel_size}


@_register
class NearestConv2D(_PhaseConvolution):
    """Nearest x2 enlargement followed by a 3x3 'same' convolution (Odena et al. 2016), in phase layout.

    ``DepthToSpace(2)(NearestConv2D(C)(x))`` equals ``Conv2D(C, 3, padding="same")(UpSampling2D(2)(x))``:
    ``(B, H, W, F) -> (B, H, W, 4C)``. A row of the enlarged image sees only two rows of the small one,

        phase 0: rows i - 1, i  through taps  k0, k1 + k2
        phase 1: rows i, i + 1  through taps  k0 + k1, k2

    and columns likewise: one 2x2 convolution a phase, 16 multiplications where the textbook form has 36.

    Args:
        filters: C, channels after the shuffle.
        use_bias: whether to add a bias of C values.
        kernel_initializer: of the textbook 3x3 kernel.
    """

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights for F channels."""
        self._add_weights(3, input_shape[-1])

    def call(self, x: Tensor) -> Tensor:
        """Convolve once a phase, at its offset."""
        phases = []
        for p, rows in enumerate(self._fold(self.kernel, axis=0)):
            for q, kernel in enumerate(self._fold(rows, axis=1)):
                padded = ops.pad(x, [(0, 0), (1 - p, p), (1 - q, q), (0, 0)])
                phases.append(ops.conv(padded, kernel, padding="valid"))
        return self._add_bias(ops.concatenate(phases, axis=-1))

    @staticmethod
    def _fold(kernel: Tensor, axis: int) -> tuple[Tensor, Tensor]:
        k0, k1, k2 = ops.unstack(ops.convert_to_tensor(kernel), axis=axis)  # JAX takes no variable
        return ops.stack([k0, k1 + k2], axis=axis), ops.stack([k0 + k1, k2], axis=axis)

    def reach(self, radius: int) -> int:
        """Return the radius at the input that a radius at the output needs."""
        return radius + 1


@_register
class Bicubic(keras.layers.Layer):
    """Bicubic enlargement ``(B, H, W, C) -> (B, s*H, s*W, C)`` as a fixed convolution in phase layout.

    Equal to ``tf.image.resize(x, (s*H, s*W), method="bicubic")``: Keys' kernel with a = -1/2 (IEEE TASSP
    29(6), 1981, eq. 15), half-pixel centres, weights beyond the border dropped and the others renormalised.
    Unlike that operation it compiles for XLA on CPUs, with its gradient. No weights.

    Args:
        scale: s.
        grid: where among the s x s pixels that it becomes a pixel of x was sampled: at their "centre", or at the first
            of them, in their "corner" (drawn in ``msrgan.degradation``).

    Raises:
        ValueError: ``grid`` is neither.
    """

    def __init__(self, scale: int, grid: str = "centre", **kwargs):
        super().__init__(**kwargs)
        self.scale, self.grid = scale, grid
        self._taps = bicubic_taps(scale, grid)

    def call(self, x: Tensor) -> Tensor:
        """Enlarge."""
        channels, taps = x.shape[-1], self._taps
        kernel = np.einsum("ijp,cd->ijcpd", taps, np.eye(channels)).reshape(5, 5, channels, -1)
        # What zero padding takes from an enlarged constant 1 is the weight that the border drops.
        kept = ops.conv(ops.ones_like(x[:1, ..., :1]), ops.cast(taps[:, :, None], x.dtype), padding="same")
        x = ops.conv(x, ops.cast(kernel, x.dtype), padding="same") / ops.repeat(kept, channels, axis=-1)
        return ops.nn.depth_to_space(x, self.scale)

    def reach(self, radius: int) -> int:
        """Return the radius at the input that a radius at the output needs."""
        return -(-radius // self.scale) + 2

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        return super().get_config() | {"scale": self.scale, "grid": self.grid}


def _per_phase(channels, phases):
    if channels % phases:
        raise ValueError(
            f"Channels of a tensor in phase layout must be a multiple of {phases}. Received: {channels}. "
            "Give the convolution before it four times the filters."
        )
    return channels // phases
