"""Every layer of networks.phases against its textbook form: values and gradients, in every way to run it."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from msrgan.networks.phases import Bicubic, DepthToSpace, NearestConv2D, PhaseConv2D, PReLU

SIZES = [(1, 2), (7, 6)]


class Stack(keras.layers.Layer):
    """Layers one after the other."""

    def __init__(self, *stack):
        super().__init__()
        self.stack = stack

    def call(self, x):
        for layer in self.stack:
            x = layer(x)
        return x


def values_and_gradients(layer, x, **kwargs):
    """Return the output of a layer and the gradients of a fixed function of it, as arrays."""

    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
            loss = tf.reduce_sum(y * tf.cos(tf.reshape(tf.range(tf.size(y), dtype=y.dtype), tf.shape(y))))
        return [y, *tape.gradient(loss, [x, *layer.trainable_weights])]

    run = tf.function(run, **kwargs) if kwargs else run
    return [value.numpy() for value in run(x)]


def assert_equal(textbook, ours, shape):
    rng = np.random.default_rng(sum(shape))
    x = tf.constant(rng.normal(size=shape), tf.float32)
    textbook(x), ours(x)
    weights = [rng.normal(size=w.shape) for w in textbook.get_weights()]
    textbook.set_weights(weights)
    ours.set_weights([w.reshape(v.shape) for w, v in zip(weights, ours.get_weights(), strict=True)])
    expected = values_and_gradients(textbook, x)
    for how in ({}, {"jit_compile": False}, {"jit_compile": True}):
        for a, b in zip(expected, values_and_gradients(ours, x, **how), strict=True):
            np.testing.assert_allclose(np.reshape(b, a.shape), a, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kernel", [3, 5, 7, 9])
def test_convolution_before_the_shuffle_equals_convolution_after_it(kernel, size):
    textbook = Stack(DepthToSpace(2), layers.Conv2D(2, kernel, padding="same"))
    assert_equal(textbook, Stack(PhaseConv2D(2, kernel), DepthToSpace(2)), (2, *size, 12))


@pytest.mark.parametrize("size", SIZES)
def test_nearest_convolution_equals_upsampling_then_convolution(size):
    textbook = Stack(layers.UpSampling2D(2), layers.Conv2D(5, 3, padding="same"))
    assert_equal(textbook, Stack(NearestConv2D(5), DepthToSpace(2)), (2, *size, 3))


def test_prelu_equals_keras():
    assert_equal(layers.PReLU(shared_axes=[1, 2]), PReLU(), (2, 5, 4, 3))


def test_prelu_commutes_with_the_shuffle():
    textbook = Stack(DepthToSpace(2), layers.PReLU(shared_axes=[1, 2]))
    assert_equal(textbook, Stack(PReLU(phases=4), DepthToSpace(2)), (2, 3, 4, 12))


def test_prelu_starts_at_a_quarter():
    np.testing.assert_array_equal(PReLU()(np.array([[-4.0, 0.0, 8.0]], "float32")), [[-1.0, 0.0, 8.0]])


def test_depth_to_space_by_hand():
    x = np.arange(1, 9, dtype="float32").reshape(1, 1, 1, 8)
    expected = [[[[1, 2], [3, 4]], [[5, 6], [7, 8]]]]
    np.testing.assert_array_equal(DepthToSpace(2)(x), expected)


def test_layers_keep_the_kernels_of_the_papers():
    for layer, channels in ((PhaseConv2D(3, 9), 256), (NearestConv2D(3, use_bias=False), 64)):
        layer.build((None, None, None, channels))
        assert layer.kernel.shape == ((9, 9, 64, 3) if layer.use_bias else (3, 3, 64, 3))
        assert layer.count_params() == (9 * 9 * 64 * 3 + 3 if layer.use_bias else 3 * 3 * 64 * 3)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_bicubic_equals_the_resize_of_tensorflow(scale, size):
    x = tf.random.stateless_uniform((2, *size, 3), (1, 2))
    expected = tf.image.resize(x, (scale * size[0], scale * size[1]), method="bicubic")
    compiled = tf.function(Bicubic(scale), jit_compile=True)
    for enlarged in (Bicubic(scale)(x), compiled(x)):
        # TensorFlow rounds offsets to 1/1024 of a pixel: exact unless the scale is odd.
        np.testing.assert_allclose(enlarged, expected, atol=1e-5 if scale != 3 else 2e-3)


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_bicubic_of_pixels_sampled_at_corners(scale):
    x = tf.random.stateless_uniform((2, 5, 4, 3), (1, 2)).numpy()
    enlarged = Bicubic(scale, "corner")(x).numpy()
    np.testing.assert_allclose(enlarged[:, ::scale, ::scale], x, atol=1e-6)
    # Halfway between two samples the kernel of Keys weighs four of them by (-1, 9, 9, -1) / 16. Below the last sample
    # two of these are missing, the others renormalised: (-1, 9) / 8.
    between = enlarged[:, scale // 2 :: scale, ::scale]
    np.testing.assert_allclose(between[:, 1], (9 * (x[:, 1] + x[:, 2]) - x[:, 0] - x[:, 3]) / 16, atol=1e-6)
    np.testing.assert_allclose(between[:, 4], (9 * x[:, 4] - x[:, 3]) / 8, atol=1e-6)


def test_a_grid_is_centre_or_corner():
    with pytest.raises(ValueError, match=r"grid must be one of \('centre', 'corner'\). Received: 'middle'"):
        Bicubic(4, "middle")


def test_gradient_of_bicubic_is_its_transpose():
    x = tf.random.stateless_normal((1, 5, 4, 2), (3, 4))
    weights = tf.random.stateless_normal((1, 20, 16, 2), (5, 6))
    enlarged, gradient = [], []
    for how in ({}, {"jit_compile": True}):

        def run(x):
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = Bicubic(4)(x)
            return y, tape.gradient(y, x, output_gradients=weights)

        y, g = (tf.function(run, **how) if how else run)(x)
        enlarged.append(y)
        gradient.append(g)
    # <A x, w> = <x, A' w> for a linear map.
    np.testing.assert_allclose(tf.reduce_sum(enlarged[0] * weights), tf.reduce_sum(x * gradient[0]), rtol=1e-4)
    np.testing.assert_allclose(gradient[1], gradient[0], atol=1e-5)


def test_layers_survive_saving_under_mixed_precision(tmp_path):
    image = keras.Input((None, None, 4))
    x = PReLU(dtype="mixed_bfloat16")(NearestConv2D(8, kernel_initializer="he_normal")(image))
    x = DepthToSpace(2)(PhaseConv2D(2, 5, use_bias=False)(PReLU(4)(x)))
    model = keras.Model(image, [x, Bicubic(2)(image)])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    x = np.random.default_rng(0).normal(size=(1, 4, 5, 4)).astype("float32")
    for a, b in zip(model(x), loaded(x), strict=True):
        np.testing.assert_array_equal(a, b)
    assert loaded.layers[1].get_config()["kernel_initializer"]["class_name"] == "HeNormal"


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="kernel_size must be odd. Received: 4"):
        PhaseConv2D(3, 4)
    with pytest.raises(ValueError, match="multiple of 4. Received: 6"):
        PhaseConv2D(3, 3)(np.zeros((1, 2, 2, 6), "float32"))
