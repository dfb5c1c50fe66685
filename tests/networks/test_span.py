"""SPAN: its reparameterised convolution against the branches it stands for, its parameters, its reach."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from msrgan.networks import receptive_radius
from msrgan.networks.span import ReparameterizedConv2D, span


def randomized(layer):
    rng = np.random.default_rng(0)
    layer.set_weights([rng.normal(0, 0.3, w.shape).astype(np.float32) for w in layer.get_weights()])


def branches(layer, x):
    """The layer as the paper draws it: pad, widen, convolve, narrow, beside a shortcut; plain Keras layers."""
    w = {weight.name: ops.convert_to_numpy(weight) for weight in layer.weights}

    def conv(x, kernel, bias, size=1):
        plain = layers.Conv2D(kernel.shape[-1], size)
        plain.build(x.shape)
        plain.set_weights([kernel, bias])
        return plain(x)

    padded = layers.ZeroPadding2D(1)(x)
    y = conv(padded, w["widen"][None, None], w["widen_bias"])
    y = conv(y, w["spatial"], w["spatial_bias"], size=3)
    y = conv(y, w["narrow"][None, None], w["bias"])
    return y + conv(x, w["shortcut"][None, None], np.zeros_like(w["bias"]))


@pytest.fixture(scope="module")
def convolution():
    layer = ReparameterizedConv2D(5)
    layer.build((None, 7, 6, 3))
    randomized(layer)
    return layer


def test_the_merged_convolution_is_its_branches_at_the_border_too(convolution):
    x = np.random.default_rng(1).normal(size=(2, 7, 6, 3)).astype(np.float32)
    np.testing.assert_allclose(convolution(x), branches(convolution, x), rtol=1e-5, atol=1e-5)


def test_the_folded_convolution_is_the_layer(convolution):
    x = np.random.default_rng(2).normal(size=(2, 7, 6, 3)).astype(np.float32)
    plain, weights = convolution.folded()
    plain.build(x.shape)
    plain.set_weights(weights)
    np.testing.assert_allclose(plain(x), convolution(x), rtol=1e-5, atol=1e-5)


def test_the_published_size_has_its_parameters():
    # Folded, 48 filters, 3 channels, x4: stem, 18 of the blocks, body, mix 4*48 -> 48, output 48 -> 48.
    folded = (27 * 48 + 48) + 19 * (9 * 48 * 48 + 48) + (192 * 48 + 48) + (9 * 48 * 48 + 48)
    model = span(image_skip="none")
    plain = [layer for layer in model.layers if isinstance(layer, ReparameterizedConv2D)]
    merged = sum(w.size for layer in plain for w in layer.folded()[1])
    others = sum(layer.count_params() for layer in model.layers if layer not in plain)
    assert merged + others == folded == 426_288
    assert receptive_radius(model) == 1 + 18 + 1 + 1


def test_a_block_multiplies_by_its_own_attention():
    model = span(channels=1, filters=4, blocks=1, image_skip="none")
    for layer in model.layers:
        if layer.weights:
            randomized(layer)
    x = np.random.default_rng(3).normal(size=(1, 6, 5, 1)).astype(np.float32)
    inner = keras.Model(
        model.input, [model.get_layer(n).output for n in ("stem_conv", "block1_conv3", "block1_multiply")]
    )
    stem, h, block = (ops.convert_to_numpy(y) for y in inner(x))
    np.testing.assert_allclose(block, (stem + h) * (1 / (1 + np.exp(-h)) - 0.5), rtol=1e-5, atol=1e-6)
