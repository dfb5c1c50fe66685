"""Each layer of ``msrgan.networks.phases`` against its textbook form in Keras, and whole generators.

128 x 128 -> 512 x 512, 64 filters, batch 1, float32, inside tf.function; forward, and forward with gradients.

    python benchmarks/phases.py [--repetitions 7] [--only NAME]
"""

import argparse

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from timing import take_turns

from msrgan.networks import fold_batch_norm, srresnet
from msrgan.networks.phases import Bicubic, DepthToSpace, NearestConv2D, PhaseConv2D, PReLU


class Plain(keras.layers.Layer):
    """Layers one after the other."""

    def __init__(self, *stack):
        super().__init__()
        self.stack = stack

    def call(self, x):  # noqa: D102
        for layer in self.stack:
            x = layer(x)
        return x


class Resize(keras.layers.Layer):
    """tf.image.resize, bicubic."""

    def __init__(self, scale):
        super().__init__()
        self.scale = scale

    def call(self, x):  # noqa: D102
        return tf.image.resize(x, self.scale * tf.shape(x)[1:3], method="bicubic")


def conv(filters, size):
    return layers.Conv2D(filters, size, padding="same")


def shared_prelu():
    return layers.PReLU(alpha_initializer=keras.initializers.Constant(0.25), shared_axes=[1, 2])


def pairs():
    """Return name -> (textbook form, ours, input shape)."""
    small, large, image = (1, 128, 128, 64), (1, 256, 256, 256), (1, 128, 128, 3)
    rows = {}
    for size, channels in ((3, 3), (5, 3), (7, 3), (9, 3), (3, 64)):
        plain = Plain(DepthToSpace(2), conv(channels, size))
        ours = Plain(PhaseConv2D(channels, size), DepthToSpace(2))
        shape = large if channels == 3 else (1, 128, 128, 256)
        rows[f"shuffle, conv{size} {shape[-1] // 4} -> {channels}"] = (plain, ours, shape)
    narrow = Plain(DepthToSpace(2), conv(3, 3)), Plain(PhaseConv2D(3, 3), DepthToSpace(2)), (1, 256, 256, 64)
    rows["shuffle, conv3 16 -> 3"] = narrow
    rows["shuffle, PReLU"] = Plain(DepthToSpace(2), shared_prelu()), Plain(PReLU(4), DepthToSpace(2)), large
    rows["PReLU"] = shared_prelu(), PReLU(), small
    nearest = Plain(layers.UpSampling2D(2), conv(64, 3)), Plain(NearestConv2D(64), DepthToSpace(2)), small
    rows["nearest, conv3 64 -> 64"] = nearest
    for channels in (1, 3):
        rows[f"bicubic x4, {channels} ch"] = Resize(4), Bicubic(4), (*image[:3], channels)
    return rows


def plain_srresnet():
    """Return SRResNet (16 blocks, 64 filters) with Keras layers only."""
    image = keras.Input((None, None, 3))
    x = stem = shared_prelu()(conv(64, 9)(image))
    for _ in range(16):
        skip = x
        x = shared_prelu()(layers.BatchNormalization()(layers.Conv2D(64, 3, padding="same", use_bias=False)(x)))
        x = layers.BatchNormalization()(layers.Conv2D(64, 3, padding="same", use_bias=False)(x))
        x = layers.Add()([skip, x])
    x = layers.BatchNormalization()(layers.Conv2D(64, 3, padding="same", use_bias=False)(x))
    x = layers.Add()([stem, x])
    for _ in range(2):
        x = shared_prelu()(DepthToSpace(2)(conv(256, 3)(x)))
    return keras.Model(image, conv(3, 9)(x))


def measure(name, plain, ours, shape, repetitions):
    """Print one row: milliseconds and ratio, forward and with gradients, and the maximum difference."""
    x = tf.random.normal(shape)
    x = tf.where(x == 0.0, 1.0, x)  # at 0 the gradient of a PReLU is a matter of taste
    ours(x), plain(x)
    ours.set_weights([w.reshape(v.shape) for w, v in zip(plain.get_weights(), ours.get_weights(), strict=True)])
    target = tf.random.normal(plain(x).shape)
    functions, results = {}, {}
    for side, layer in (("plain", plain), ("ours", ours)):

        @tf.function
        def forward(x, layer=layer):
            return layer(x)

        @tf.function
        def backward(x, layer=layer):
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = layer(x)
            return tape.gradient(y, [x, *layer.trainable_weights], output_gradients=target)

        functions[side, "forward"] = lambda f=forward: f(x)[0, 0, 0, 0].numpy()
        functions[side, "gradient"] = lambda f=backward: f(x)[0][0, 0, 0, 0].numpy()
        results[side] = [forward(x), *backward(x)]
    # The unit is the largest value, since gradients of weights are sums over many pixels.
    difference = max(
        np.max(np.abs(np.reshape(a, -1) - np.reshape(b, -1))) / np.max(np.abs(a))
        for a, b in zip(results["plain"], results["ours"], strict=True)
    )
    times = {key: 1e3 * median for key, (median, _) in take_turns(functions, repetitions).items()}
    row = f"{name:26s}"
    for kind in ("forward", "gradient"):
        a, b = times["plain", kind], times["ours", kind]
        row += f" {a:8.1f} {b:8.1f} {a / b:6.2f}"
    print(f"{row} {difference:12.1e}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--only", default="", help="measure only the rows whose name contains this")
    args = parser.parse_args()
    keras.utils.set_random_seed(0)
    print(f"{'':26s} {'forward, ms':^24s} {'with gradients, ms':^24s}")
    columns = 2 * f" {'plain':>8s} {'ours':>8s} {'ratio':>6s}"
    print(f"{'':26s}{columns} {'difference':>12s}")
    for name, (plain, ours, shape) in pairs().items():
        if args.only in name:
            measure(name, plain, ours, shape, args.repetitions)
    if args.only in "SRResNet":
        plain, ours = plain_srresnet(), srresnet(image_skip="none")
        measure("SRResNet", plain, ours, (1, 128, 128, 3), args.repetitions)
        folded = fold_batch_norm(ours)
        x = tf.random.normal((1, 128, 128, 3))
        functions = {n: tf.function(m) for n, m in (("plain", plain), ("ours, folded", folded))}
        calls = {n: lambda f=f: f(x)[0, 0, 0, 0].numpy() for n, f in functions.items()}
        for name, (median, _) in take_turns(calls, args.repetitions).items():
            print(f"SRResNet at inference, {name}: {1e3 * median:.0f} ms")


if __name__ == "__main__":
    main()
