"""Upsampling layers that are exact, and faster than their textbook form.

The tail of a super-resolution network works on tensors that are large in H and W. Its layers have equals on the
low-resolution grid, in *phase layout*: a ``(B, H, W, 4F)`` tensor whose ``depth_to_space(2)`` is the
``(B, 2H, 2W, F)`` tensor in question. Channel ``(2p + q) * F + f`` at ``(i, j)`` is feature ``f`` at row ``2i + p``,
column ``2j + q``: four phases of F channels, in the order of ``keras.ops.nn.depth_to_space``.

Every layer keeps the kernel of its paper as its weight and rearranges it when called, so that parameter counts,
initialisation and gradients are those of the plain formulation. Everything is written with ``keras.ops``.
A layer that moves information over pixels says how far in ``reach`` (see ``msrgan.networks.receptive``).
"""

import keras
import numpy as np
from keras import ops

_register = keras.saving.register_keras_serializable(package="msrgan")


@_register
class DepthToSpace(keras.layers.Layer):
    """Pixel shuffle: ``(B, H, W, s*s*C) -> (B, s*H, s*W, C)``, as in arXiv 1609.05158, section 2.2.

    Args:
        block_size: s, by how much H and W grow.
    """

    def __init__(self, block_size=2, **kwargs):
        super().__init__(**kwargs)
        self.block_size = block_size

    def call(self, x):
        """Rearrange; no arithmetic."""
        return ops.nn.depth_to_space(x, self.block_size)

    def compute_output_shape(self, input_shape):
        """Return ``(B, s*H, s*W, C)``."""
        return _enlarged(input_shape, self.block_size, input_shape[-1] // self.block_size**2)

    def reach(self, radius):
        """Return the input radius that an output radius needs, in pixels."""
        return -(-radius // self.block_size)

    def get_config(self):
        """Return the constructor's arguments."""
        return {**super().get_config(), "block_size": self.block_size}


@_register
class PReLU(keras.layers.Layer):
    """Parametric ReLU with one slope a channel: ``max(0, x) + alpha * min(0, x)`` (arXiv 1502.01852, eq. 1).

    It commutes with ``depth_to_space``: with ``phases=4`` it acts on a tensor in phase layout, whose four phases share
    the slopes of their F channels.

    Args:
        phases: number of phases in the channel axis: 1 for an ordinary tensor, 4 before a pixel shuffle.
        alpha: slope at the start; .25 is the paper's.
    """

    def __init__(self, phases=1, *, alpha=0.25, **kwargs):
        super().__init__(**kwargs)
        self.phases = phases
        self.initial_alpha = alpha

    def build(self, input_shape):
        """Create ``alpha``, one value a channel of the ordinary tensor."""
        channels = _per_phase(input_shape[-1], self.phases)
        initializer = keras.initializers.Constant(self.initial_alpha)
        self.alpha = self.add_weight(name="alpha", shape=(channels,), initializer=initializer)

    def call(self, x):
        """Apply the slopes; shape and dtype unchanged."""
        alpha = ops.tile(self.alpha, [self.phases])
        # x + (alpha - 1) min(0, x) with min(0, x) = x - max(0, x): ReLU has the cheapest gradient of all clippings.
        return alpha * x + (1 - alpha) * ops.relu(x)

    def compute_output_shape(self, input_shape):
        """Return the input's shape."""
        return input_shape

    def reach(self, radius):
        """Return the input radius that an output radius needs: the same."""
        return radius

    def get_config(self):
        """Return the constructor's arguments."""
        return {**super().get_config(), "phases": self.phases, "alpha": self.initial_alpha}


class _PhaseConvolution(keras.layers.Layer):
    """What the convolutions in phase layout share: the paper's kernel and bias as weights."""

    def __init__(self, filters, kernel_size, *, use_bias=True, kernel_initializer="glorot_uniform", **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.kernel_size = kernel_size
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def _build(self, in_channels):
        k = self.kernel_size
        self.kernel = self.add_weight(
            name="kernel", shape=(k, k, in_channels, self.filters), initializer=self.kernel_initializer
        )
        self.bias = (
            self.add_weight(name="bias", shape=(self.filters,), initializer="zeros")
            if self.use_bias
            else None
        )

    def _add_bias(self, phases):
        return phases if self.bias is None else phases + ops.tile(self.bias, [4])

    def compute_output_shape(self, input_shape):
        """Return ``(B, H, W, 4 * filters)``."""
        return (*input_shape[:-1], 4 * self.filters)

    def get_config(self):
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }


@_register
class PhaseConv2D(_PhaseConvolution):
    """A 'same' convolution of the shuffled tensor, computed before the shuffle.

    ``depth_to_space(2)(PhaseConv2D(C, k)(x))`` equals ``Conv2D(C, k, padding="same")(depth_to_space(2)(x))``:
    ``(B, H, W, 4F) -> (B, H, W, 4C)``. The weight is the plain ``(k, k, F, C)`` kernel. With r = k // 2 and
    R = ceil(r / 2), output row 2i + p at tap u reads input row 2i + p + u - r = 2(i + s) + q, so that

        phase_kernel[s + R, (q, f), (p, c)] = kernel[2s + q - p + r, f, c]      (zero outside; columns likewise).

    Its (2R + 1)^2 taps of 4F x 4C channels multiply 1.23 times as much for k = 9, on a shape that matrix kernels like
    far better than F x C at four times the pixels.

    Args:
        filters: C, channels of the plain convolution's output.
        kernel_size: k, odd.
        use_bias: whether to add a bias of C values.
        kernel_initializer: initialiser of the plain kernel.

    Raises:
        ValueError: ``kernel_size`` is even.
    """

    def __init__(self, filters, kernel_size, **kwargs):
        if kernel_size % 2 == 0:
            raise ValueError(
                f"kernel_size must be odd. Received: kernel_size={kernel_size}. Use 3, 5, 7 or 9."
            )
        super().__init__(filters, kernel_size, **kwargs)
        self.radius = -(-(kernel_size // 2) // 2)

    def build(self, input_shape):
        """Create the plain kernel for F = channels / 4."""
        self._build(_per_phase(input_shape[-1], 4))

    def call(self, x):
        """Convolve in phase layout."""
        return self._add_bias(ops.conv(x, self._phase_kernel(), padding="same"))

    def _phase_kernel(self):
        taps = 2 * self.radius + 1
        f, c = self.kernel.shape[2:]
        margin = taps - self.kernel_size // 2
        padded = ops.pad(self.kernel, [(margin, margin), (margin, margin), (0, 0), (0, 0)])
        # Index 2s + q - p runs over consecutive rows: a slice that starts one earlier for p = 1 holds all (s, q).
        start = (1, 0)
        slices = [padded[i : i + 2 * taps, j : j + 2 * taps] for i in start for j in start]
        kernel = ops.reshape(ops.stack(slices, axis=-2), (taps, 2, taps, 2, f, 4 * c))
        return ops.reshape(ops.transpose(kernel, (0, 2, 1, 3, 4, 5)), (taps, taps, 4 * f, 4 * c))

    def reach(self, radius):
        """Return the input radius that an output radius needs, in pixels of the phase layout."""
        return radius + self.radius


@_register
class NearestConv2D(_PhaseConvolution):
    """Nearest x2 enlargement followed by a 3x3 'same' convolution, in phase layout.

    ``depth_to_space(2)(NearestConv2D(C)(x))`` equals ``Conv2D(C, 3, padding="same")(UpSampling2D(2)(x))``:
    ``(B, H, W, F) -> (B, H, W, 4C)``; the layer of Odena et al. 2016 against checkerboards. A row of the enlarged image
    sees only two rows of the small one:

        phase 0: rows i - 1, i   with taps (k0, k1 + k2);       phase 1: rows i, i + 1   with taps (k0 + k1, k2),

    so that one 2x2 convolution of the padded input has all four phases: 16 multiplications a pixel instead of 36.

    Args:
        filters: C, channels of the plain convolution's output.
        use_bias: whether to add a bias of C values.
        kernel_initializer: initialiser of the plain 3x3 kernel.
    """

    def __init__(self, filters, *, kernel_size=3, **kwargs):
        if kernel_size != 3:
            raise ValueError(f"kernel_size must be 3. Received: kernel_size={kernel_size}. Leave it out.")
        super().__init__(filters, kernel_size, **kwargs)

    def build(self, input_shape):
        """Create the plain kernel for F = channels."""
        self._build(input_shape[-1])

    def call(self, x):
        """Convolve the padded input once and cut each phase at its offset."""
        c = self.filters
        height, width = ops.shape(x)[1:3]
        x = ops.conv(ops.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)]), self._phase_kernel(), padding="valid")
        phases = [
            x[:, p : p + height, q : q + width, (2 * p + q) * c : (2 * p + q + 1) * c]
            for p in (0, 1)
            for q in (0, 1)
        ]
        return self._add_bias(ops.concatenate(phases, axis=-1))

    def _phase_kernel(self):
        k0, k1, k2 = (self.kernel[u] for u in range(3))
        rows = (ops.stack([k0, k1 + k2]), ops.stack([k0 + k1, k2]))
        phases = []
        for kernel in rows:
            k0, k1, k2 = (kernel[:, u] for u in range(3))
            phases += [ops.stack([k0, k1 + k2], axis=1), ops.stack([k0 + k1, k2], axis=1)]
        return ops.concatenate(phases, axis=-1)

    def reach(self, radius):
        """Return the input radius that an output radius needs, in pixels of the phase layout."""
        return radius + 1


@_register
class Bicubic(keras.layers.Layer):
    """Bicubic enlargement, ``(B, H, W, C) -> (B, s*H, s*W, C)``, as a fixed convolution in phase layout.

    Equal to ``tf.image.resize(x, (s*H, s*W), method="bicubic")``: Keys' kernel with a = -0.5 (IEEE TASSP 29(6), 1981,
    eq. 15), half-pixel centres, weights beyond the border dropped and the others renormalised. Unlike that operation it
    has a gradient under XLA and compiles for XLA on CPUs. No weights.

    Args:
        scale: s.
    """

    def __init__(self, scale, **kwargs):
        super().__init__(**kwargs)
        self.scale = scale

    def call(self, x):
        """Enlarge."""
        channels, phases = x.shape[-1], self.scale**2
        taps = ops.convert_to_tensor(_bicubic_taps(self.scale), dtype=x.dtype)
        # The border: dividing by the enlarged constant one renormalises exactly the weights that met zero padding.
        weight = ops.conv(ops.ones_like(x[:1, :, :, :1]), taps, padding="same")
        weight = ops.repeat(weight, channels, axis=-1)
        eye = ops.eye(channels, dtype=x.dtype)
        kernel = ops.reshape(
            ops.einsum("ijkp,cd->ijcpd", taps, eye), (*taps.shape[:2], channels, phases * channels)
        )
        return ops.nn.depth_to_space(ops.conv(x, kernel, padding="same") / weight, self.scale)

    def compute_output_shape(self, input_shape):
        """Return ``(B, s*H, s*W, C)``."""
        return _enlarged(input_shape, self.scale, input_shape[-1])

    def reach(self, radius):
        """Return the input radius that an output radius needs, in pixels."""
        return -(-radius // self.scale) + 2

    def get_config(self):
        """Return the constructor's arguments."""
        return {**super().get_config(), "scale": self.scale}


def _bicubic_taps(scale):
    """Return the (5, 5, 1, scale**2) weights with which a pixel's neighbours enter its phases."""
    # Phase p of pixel i lies at i + (p + .5) / scale - .5 on the small grid.
    offset = (np.arange(scale) + 0.5) / scale - 0.5
    t = np.abs(np.arange(-2, 3)[:, None] - offset[None, :])
    near = 1.5 * t**3 - 2.5 * t**2 + 1
    far = -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
    line = np.where(t <= 1, near, np.where(t < 2, far, 0))
    return np.einsum("ip,jq->ijpq", line, line).reshape(5, 5, 1, scale**2)


def _enlarged(shape, scale, channels):
    batch, height, width, _ = shape
    return (batch, height and height * scale, width and width * scale, channels)


def _per_phase(channels, phases):
    if channels % phases:
        raise ValueError(
            f"The channels of a tensor in phase layout must be a multiple of {phases}. Received: channels={channels}. "
            "Put a convolution with four times the filters before it."
        )
    return channels // phases
