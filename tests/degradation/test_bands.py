"""Long images are reduced block by block, to the same numbers."""

import numpy as np
import pytest
import tensorflow as tf

from msrgan.degradation import bands, make


@pytest.mark.parametrize("text", ["bicubic", "thesis", "area", "gaussian:sigma=1.5", "microscope:psf=0.5..0.9"])
@pytest.mark.parametrize("shape", [(300, 24, 2), (24, 196, 1), (2, 68, 260, 1)])
def test_blocks_give_what_the_whole_matrix_gives(text, shape, monkeypatch):
    image = np.random.default_rng(0).uniform(size=shape).astype("float32")
    seed = np.arange(2 * (shape[0] if len(shape) == 4 else 1)).reshape((-1, 2) if len(shape) == 4 else 2)
    whole = make(text)(image, scale=4, seed=seed)
    monkeypatch.setattr(bands, "LONGEST", 64)
    monkeypatch.setattr(bands, "BLOCK", 32)
    np.testing.assert_allclose(make(text)(image, scale=4, seed=seed), whole, atol=2e-6)


def test_no_matrix_is_as_large_as_a_long_image():
    sizes = []

    def mean_of_two(n):
        sizes.append(n)
        return tf.repeat(tf.eye(n // 2), 2, axis=1) / 2

    image = np.arange(20000, dtype="float32").reshape(20000, 1, 1).repeat(2, axis=1)
    reduced = bands.reduce(image, mean_of_two, scale=2, reach=0)
    np.testing.assert_allclose(reduced[:, 0, 0], np.arange(0, 20000, 2) + 0.5)
    assert max(sizes) <= bands.BLOCK


PRODUCTS = {"BatchMatMulV2", "Conv2D", "Einsum", "MatMul"}


@pytest.mark.parametrize("text", ["bicubic", "thesis", "area", "gaussian:sigma=1.5", "microscope"])
def test_products_are_on_the_cpu_where_float32_is_not_rounded_to_tf32(text):
    @tf.function
    def degraded(hr):
        with tf.device("GPU:0"):
            return make(text)(hr, scale=4, seed=(0, 0))

    graph = degraded.get_concrete_function(tf.TensorSpec((24, 24, 3))).graph
    products = [operation for operation in graph.get_operations() if operation.type in PRODUCTS]
    assert len(products) == (5 if text == "microscope" else 2)
    assert {operation.device for operation in products} == {"/device:CPU:0"}
