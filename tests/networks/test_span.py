"""SPAN: its reparameterised convolution against its branches, its export, its size, its reach."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

import msrgan
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


@pytest.fixture(scope="module")
def network():
    """A small SPAN, every weight of which counts."""
    model = span(channels=1, filters=4, blocks=2)
    for layer in model.layers:
        if layer.weights:
            randomized(layer)
    return model


@pytest.fixture(scope="module")
def exported(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("span") / "model"
    msrgan.export(network, path)
    return path


@pytest.fixture
def noise():
    return np.random.default_rng(1).normal(size=(2, 7, 6, 3)).astype(np.float32)


def test_the_merged_convolution_is_its_branches_at_the_border_too(convolution, noise):
    np.testing.assert_allclose(convolution(noise), branches(convolution, noise), rtol=1e-5, atol=1e-5)


def test_the_folded_convolution_is_the_layer(convolution, noise):
    plain, weights = convolution.folded()
    plain.build(noise.shape)
    plain.set_weights(weights)
    np.testing.assert_allclose(plain(noise), convolution(noise), rtol=1e-5, atol=1e-5)


def test_the_kernel_is_merged_in_single_precision(convolution):
    half = ReparameterizedConv2D(5, dtype="mixed_bfloat16")
    half.build((None, 7, 6, 3))
    half.set_weights(convolution.get_weights())
    x = np.eye(5, dtype=np.float32)[None, ..., None].repeat(3, axis=-1)  # exact in bfloat16
    kernel, bias = convolution.folded()[1]
    rounded = [ops.cast(ops.cast(value, "bfloat16"), "float32") for value in (kernel, bias)]
    expected = ops.conv(x, rounded[0], padding="same") + rounded[1]
    # Sums of rounded products are rounded once more, to 8 bits.
    np.testing.assert_allclose(ops.cast(half(x), "float32"), expected, rtol=0, atol=2**-7 * np.abs(expected).max())


def folded_parameters(filters):
    """3 channels, x4: stem, 3 convolutions in 6 blocks, the end of the body, mix 4F -> F, output F -> 3 * 16."""
    convolutions = (27 * filters + filters) + (18 + 1) * (9 * filters * filters + filters)
    return convolutions + (4 * filters * filters + filters) + (9 * filters * 48 + 48)


@pytest.mark.parametrize(
    ("filters", "count", "gigaflop"), [(48, 426_288, 13.93), (32, 194_608, 6.35), (28, 150_688, 4.92)]
)
def test_size_and_arithmetic(filters, count, gigaflop):
    model = span(filters=filters, image_skip="none")
    kernels, biases = [], []
    for layer in model.layers:
        if layer.weights:
            kernel, bias = layer.folded()[1] if hasattr(layer, "folded") else layer.get_weights()
            kernels.append(kernel.size)
            biases.append(bias.size)
    assert len(kernels) == 1 + 18 + 1 + 1 + 1
    assert sum(kernels) + sum(biases) == folded_parameters(filters) == count
    # 128 x 128 to 512 x 512: two operations a weight at each of 128 x 128 pixels, as all kernels lie on the small grid.
    assert 2 * 128 * 128 * sum(kernels) == pytest.approx(gigaflop * 1e9, rel=1e-3)
    assert receptive_radius(model) == 1 + 18 + 1 + 1


def test_a_block_multiplies_by_its_own_attention(network):
    x = np.random.default_rng(3).normal(size=(1, 6, 5, 1)).astype(np.float32)
    names = ("stem_conv", "block1_conv3", "block1_multiply")
    inner = keras.Model(network.input, [network.get_layer(name).output for name in names])
    stem, h, block = (ops.convert_to_numpy(y) for y in inner(x))
    np.testing.assert_allclose(block, (stem + h) * (1 / (1 + np.exp(-h)) - 0.5), rtol=1e-5, atol=1e-6)


def test_the_export_holds_plain_convolutions(network, exported):
    graph = SavedModel.FromString((exported / "saved_model.pb").read_bytes()).meta_graphs[0]
    nodes = [node.op for function in graph.graph_def.library.function for node in function.node_def]
    # Stem, six of two blocks, the end of the body, the mix and the output; two of the bicubic skip.
    assert nodes.count("Conv2D") == 1 + 6 + 1 + 1 + 1 + 2
    assert not [op for op in nodes if "MatMul" in op or op == "Einsum"]
    folded = [x.variable for x in graph.object_graph_def.nodes if x.WhichOneof("kind") == "variable"]
    sizes = [np.prod([d.size for d in variable.shape.dim]) for variable in folded]
    # Kernels and biases, 4 filters: 9 * 4 + 4, seven times 9 * 16 + 4, 4 * 16 + 4, 9 * 4 * 16 + 16.
    assert (len(sizes), sum(sizes)) == (2 * 10, 40 + 7 * 148 + 68 + 592)

    x = np.random.default_rng(4).uniform(size=(2, 9, 7, 1)).astype(np.float32)
    expected = (np.asarray(network(2 * x - 1)) + 1) / 2
    assert np.std(expected) > 0.1
    np.testing.assert_allclose(msrgan.load(exported)(x), expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_tiles_leave_no_trace(exported):
    model = msrgan.load(exported)
    assert model.radius == 1 + 6 + 1 + 1
    image = np.random.default_rng(5).random((23, 31)).astype(np.float32)
    whole = msrgan.upscale(model, image)
    np.testing.assert_allclose(msrgan.upscale(model, image, tile=8), whole, rtol=0, atol=1e-5 * np.abs(whole).max())


def test_span_names_wrong_arguments():
    with pytest.raises(ValueError, match="scale must be one of"):
        span(scale=3, filters=2, blocks=1)
    with pytest.raises(ValueError, match="image_skip must be one of"):
        span(image_skip="nearest", filters=2, blocks=1)


def test_a_folded_convolution_is_unfolded_exactly_and_learns(convolution):
    _, (kernel, bias) = convolution.folded()
    other = ReparameterizedConv2D(5)
    other.build((None, 7, 6, 3))
    before = [ops.convert_to_numpy(w) for w in (other.widen, other.narrow, other.shortcut)]
    other.unfold(kernel, bias)
    for ours, expected in zip(other.merged(), (kernel, bias), strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-5)
    # What starts at random stays: a branch of zeros would not learn.
    for now, then in zip((other.widen, other.narrow, other.shortcut), before, strict=True):
        np.testing.assert_array_equal(now, then)
    assert np.abs(ops.convert_to_numpy(other.spatial)).min(axis=(0, 1)).max() > 0
