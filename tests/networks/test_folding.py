"""Batch norm folded into convolutions, and how far networks look."""

import keras
import numpy as np
import pytest
from keras import layers

from msrgan.networks import fold_batch_norm, receptive_radius, srresnet
from msrgan.networks.phases import Bicubic
from vgg_micro.network import vgg19_micro


def randomise(model):
    """Give every weight, statistics included, a value that matters."""
    rng = np.random.default_rng(0)
    for weight in model.weights:
        spread = rng.uniform(0.7, 1.3, weight.shape)
        weight.assign(weight * spread + (0.1 * (spread - 1) if "kernel" not in weight.path else 0))


def images(*shape):
    return np.random.default_rng(1).uniform(-1, 1, shape).astype("float32")


def has_batch_norm(model):
    return any(isinstance(layer, layers.BatchNormalization) for layer in model.layers)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"image_skip": "none", "dropout": 0.5, "use_bias": False},
        {"batch_norm": "body", "upsample": "resize"},
    ],
    ids=["srgan", "msrgan", "realtime"],
)
def test_folded_generator_equals_the_original(arguments):
    model = srresnet(filters=8, blocks=2, **arguments)
    randomise(model)
    folded = fold_batch_norm(model)
    x = images(2, 9, 7, 3)
    assert has_batch_norm(model) and not has_batch_norm(folded)
    assert np.std(model(x)) > 0.01
    np.testing.assert_allclose(folded(x), model(x), atol=1e-5)


def test_folded_vgg_equals_the_original():
    model = vgg19_micro(classes=4, width=0.1, image_size=32)
    randomise(model)
    folded = fold_batch_norm(model)
    x = images(2, 32, 32, 3)
    assert not has_batch_norm(folded)
    assert np.std(model(x)) > 1e-4
    np.testing.assert_allclose(folded(x), model(x), rtol=1e-4, atol=1e-5)


def test_folding_by_hand():
    image = keras.Input((None, None, 1))
    x = layers.Conv2D(1, 1, name="conv")(image)
    model = keras.Model(image, layers.BatchNormalization(epsilon=0.25, name="norm")(x))
    model.get_layer("conv").set_weights([np.full((1, 1, 1, 1), 3.0), np.array([5.0])])
    gamma, beta, mean, variance = 2.0, 7.0, 1.0, 3.75  # sqrt(3.75 + .25) = 2: g = 1
    model.get_layer("norm").set_weights([np.array([v]) for v in (gamma, beta, mean, variance)])
    kernel, bias = fold_batch_norm(model).get_layer("conv").get_weights()
    np.testing.assert_allclose([kernel.item(), bias.item()], [3.0, 7.0 + (5.0 - 1.0)])


def test_batch_norm_after_an_activation_stays():
    image = keras.Input((None, None, 2))
    x = layers.LeakyReLU()(layers.Conv2D(3, 3)(image))
    x = layers.BatchNormalization()(layers.Conv2D(3, 3, activation="relu")(layers.BatchNormalization()(x)))
    model = keras.Model(image, x)
    randomise(model)
    folded = fold_batch_norm(model)
    assert sum(isinstance(layer, layers.BatchNormalization) for layer in folded.layers) == 2
    np.testing.assert_allclose(folded(images(1, 8, 8, 2)), model(images(1, 8, 8, 2)), atol=1e-6)


def read_twice(x, conv, norm):
    y = conv(x)
    return layers.Add()([y, norm(y)])


def is_an_output(x, conv, norm):
    y = conv(x)
    return [y, norm(y)]


def convolution_used_twice(x, conv, norm):
    return layers.Add()([conv(layers.ReLU()(x)), norm(conv(x))])


def norm_used_twice(x, conv, norm):
    other = layers.Conv2D(3, 3, name="other")(x)
    return layers.Subtract()([norm(conv(x)), norm(other)])


@pytest.mark.parametrize("connect", [read_twice, is_an_output, convolution_used_twice, norm_used_twice])
def test_batch_norm_that_is_not_the_sole_reader_of_its_convolution_stays(connect):
    image = keras.Input((None, None, 2))
    y = connect(image, layers.Conv2D(3, 3, name="conv"), layers.BatchNormalization())
    more = layers.BatchNormalization(name="after")(layers.Conv2D(3, 1, name="last")(image))
    model = keras.Model(image, [*(y if isinstance(y, list) else [y]), more])
    randomise(model)
    folded = fold_batch_norm(model)
    names = [layer.name for layer in folded.layers if isinstance(layer, layers.BatchNormalization)]
    assert len(names) == 1 and "after" not in names
    for a, b in zip(folded(images(1, 8, 8, 2)), model(images(1, 8, 8, 2)), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_batch_norm_of_another_axis_stays():
    image = keras.Input((5, 4, 2))
    model = keras.Model(image, layers.BatchNormalization(axis=1)(layers.Conv2D(5, 3, padding="same")(image)))
    randomise(model)
    np.testing.assert_allclose(fold_batch_norm(model)(images(1, 5, 4, 2)), model(images(1, 5, 4, 2)), atol=1e-6)


def test_folding_leaves_the_original_alone_and_takes_shape_and_dtype():
    model = srresnet(filters=4, blocks=1)
    before = [w.copy() for w in model.get_weights()]
    folded = fold_batch_norm(model, shape=(8, 8, 3), dtype="mixed_bfloat16")
    assert folded.input.shape == (None, 8, 8, 3)
    assert folded.get_layer("block1_conv1").compute_dtype == "bfloat16"
    for weight in folded.weights:
        weight.assign(weight + 1)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


GENERATORS = {
    "srgan": {},
    "x2": {"scale": 2},
    "x8": {"scale": 8, "kernel": 5},
    "msrgan": {"kernel": 3, "widths": (16, 4)},
    "realtime": {"upsample": "resize"},
    "transpose": {"upsample": "transpose"},
    "no body": {"blocks": 0, "kernel": 3, "scale": 8},
}


@pytest.mark.parametrize("arguments", GENERATORS.values(), ids=GENERATORS)
def test_pixels_beyond_the_receptive_radius_do_not_matter(arguments):
    model = srresnet(channels=1, **{"filters": 4, "blocks": 2} | arguments)
    # Positive weights: nothing cancels, so that every pixel within reach shows.
    for weight in model.weights:
        weight.assign(np.abs(weight) + (0.05 if "kernel" in weight.path else 0))
    radius = receptive_radius(model)
    middle, scale = 32, arguments.get("scale", 4)
    x = np.zeros((1, 2 * middle + 1, 3, 1), "float32")
    touched = x.copy()
    touched[0, middle, 1] = 1
    change = np.abs(model(touched) - model(x)).max(axis=(0, 2, 3))
    rows = np.flatnonzero(change.reshape(-1, scale).max(axis=1) > 0)
    farthest = max(middle - rows.min(), rows.max() - middle)
    assert farthest <= radius < middle
    assert radius <= farthest + 2, "the bound is loose"


def test_radius_of_srgan_by_hand():
    # From the output: 9x9 is 4 on the 4x grid, 2 on the 2x grid; its 3x3: 3, which is 2 on the small grid;
    # its 3x3: 3. Then 33 3x3 convolutions of 16 blocks and the one after, and the 9x9 stem: 4.
    assert receptive_radius(srresnet(filters=4)) == 3 + 33 + 4
    # The same with a 3x3 at both ends: 1 is 1 on the 2x grid, 2, 1, 2; then one 3x3 and the stem.
    assert receptive_radius(srresnet(filters=4, blocks=0, kernel=3)) == 2 + 1 + 1


def test_radius_of_plain_keras_layers():
    image = keras.Input((None, None, 1))
    x = layers.UpSampling2D(2, interpolation="bilinear")(layers.Conv2D(1, 5, padding="same")(image))
    x = layers.Conv2D(1, 3, dilation_rate=2, padding="same")(x)
    assert receptive_radius(keras.Model(image, x)) == 2 + (1 + 1)


def test_layer_of_unknown_reach_is_named():
    image = keras.Input((None, None, 1))
    model = keras.Model(image, layers.AveragePooling2D(2, name="pool")(image))
    with pytest.raises(ValueError, match="how far every layer looks. Received: 'pool', a AveragePooling2D"):
        receptive_radius(model)


@pytest.mark.parametrize("kernels", [(3, 9), (9, 3)])
def test_the_longest_path_counts(kernels):
    image = keras.Input((None, None, 1))
    stem = layers.Conv2D(1, 3, padding="same")(image)
    paths = [layers.Conv2D(1, kernel, padding="same")(stem) for kernel in kernels]
    assert receptive_radius(keras.Model(image, layers.Add()(paths))) == 1 + 4
    assert receptive_radius(keras.Model(image, layers.Add()([stem, paths[kernels.index(9)]]))) == 1 + 4


def test_radius_of_bicubic_enlargement():
    image = keras.Input((None, None, 1))
    x = Bicubic(4)(image)
    assert receptive_radius(keras.Model(image, x)) == 2
    assert receptive_radius(keras.Model(image, layers.Conv2D(1, 11, padding="same")(x))) == 2 + 2
