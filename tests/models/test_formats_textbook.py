"""Generators rebuilt of Keras' own layers, opened by plain Keras in a process without this library."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from conftest import randomise, tiny

from msrgan.models.formats.textbook import textbook
from msrgan.networks import srcnn, srresnet
from msrgan.networks.phases import DepthToSpace, NearestConv2D, PhaseConv2D, PReLU
from msrgan.training.variants import VARIANTS

SMALL = {"channels": 1, "scale": 2, "filters": 4, "blocks": 1, "kernel": 5}
OTHERS = {
    "transpose": lambda: srresnet(upsample="transpose", batch_norm=True, dropout=0.5, **SMALL),
    "resize": lambda: srresnet(upsample="resize", batch_norm="body", output_activation="tanh", **SMALL),
    "slopes": lambda: srresnet(stem_activation="leaky_relu", tail_activation="leaky_relu", use_bias=False, **SMALL),
    "no skip, corners": lambda: srresnet(image_skip="none", grid="corner", **SMALL),
    "scale 8": lambda: srresnet(**SMALL | {"scale": 8}),
    "corners": lambda: srcnn(channels=3, scale=4, grid="corner"),
}
SIZES = ((2, 7, 12), (1, 12, 1))

# `predict` traces a network anew for sizes that it has not seen, with H and W unknown.
READER = """
import sys, keras, numpy as np
given = np.load("in.npz")
results = {}
for name in sys.argv[1:]:
    model = keras.models.load_model(name + ".keras")
    run = model if name != "realtime" else lambda x: model.predict(x, verbose=0)
    results |= {key: run(given[key]) for key in given if key.startswith(name + " ")}
assert "msrgan" not in sys.modules
np.savez("out.npz", **results)
"""


def batch(shape, seed=0):
    return np.random.default_rng(seed).uniform(-0.2, 1.2, shape).astype("float32")


def enlarged(generator, images):
    return (np.asarray(generator(images * 2 - 1, training=False)) + 1) / 2


def assert_equal(result, expected):
    assert np.std(expected) > 0.05
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-5 * max(1, np.abs(expected).max()))


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """What generators make of images, and what plain Keras makes of them from files: {"NAME SIZE": (2 arrays)}."""
    folder = tmp_path_factory.mktemp("keras")
    images, expected = {}, {}
    for name, variant in VARIANTS.items():
        generator = variant.generator(channels=2, scale=4, grid="centre", **tiny(variant))
        randomise(generator)
        textbook(generator).save(folder / f"{name}.keras")
        for number, size in enumerate(SIZES):
            key = f"{name} {number}"
            images[key] = batch((*size, 2), number)
            expected[key] = enlarged(generator, images[key])
    np.savez(folder / "in.npz", **images)
    subprocess.run([sys.executable, "-c", READER, *VARIANTS], check=True, capture_output=True, cwd=folder)
    with np.load(folder / "out.npz") as results:
        return {key: (results[key], expected[key]) for key in expected}


@pytest.mark.parametrize("name", VARIANTS)
def test_plain_keras_makes_the_same_of_an_image_in_another_process(read, name):
    for number, (count, height, width) in enumerate(SIZES):
        result, expected = read[f"{name} {number}"]
        assert expected.shape == (count, 4 * height, 4 * width, 2)
        assert_equal(result, expected)


@pytest.mark.parametrize("name", OTHERS)
def test_other_generators(name):
    generator = OTHERS[name]()
    randomise(generator)
    images = batch((1, 5, 6, generator.input_shape[-1]))
    assert_equal(textbook(generator)(images), enlarged(generator, images))


def test_the_kernels_are_those_of_the_paper():
    generator = srresnet(batch_norm=False, **SMALL)
    randomise(generator)
    rebuilt = textbook(generator)
    shared = ("stem_conv", "block1_conv1", "upsample1_conv", "output_conv")
    for name in shared:
        ours, plain = generator.get_layer(name), rebuilt.get_layer(name)
        assert type(plain) is keras.layers.Conv2D
        np.testing.assert_array_equal(plain.kernel, ours.kernel)
        np.testing.assert_array_equal(plain.bias, ours.bias)
    slopes = rebuilt.get_layer("upsample1_act").alpha
    np.testing.assert_array_equal(np.ravel(slopes), generator.get_layer("upsample1_act").alpha)


@pytest.mark.parametrize("block", [2, 3])
def test_a_shuffle_only_moves_pixels(block):
    image = keras.Input((None, None, 2 * block**2))
    shuffle = textbook(keras.Model(image, DepthToSpace(block, name="shuffle")(image))).get_layer("shuffle")
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 2 * block**2)).astype("float32")
    # (row, column, phase of row, phase of column, channel) -> (row, phase, column, phase, channel)
    phases = x.reshape(2, 3, 4, block, block, 2)
    expected = phases.transpose(0, 1, 3, 2, 4, 5).reshape(2, 3 * block, 4 * block, 2)
    np.testing.assert_array_equal(shuffle(x), expected)


@pytest.mark.parametrize("first", [PReLU(4), keras.layers.LeakyReLU(0.3), keras.layers.Dropout(0.5)])
@pytest.mark.parametrize("last", [DepthToSpace(2), PhaseConv2D(3, 3)])
@pytest.mark.parametrize("start", [keras.layers.Conv2D(8, 3, padding="same"), NearestConv2D(2)])
def test_layers_in_phase_layout_in_any_order(start, first, last):
    image = keras.Input((None, None, 2))
    layers = [type(layer).from_config(layer.get_config() | {"name": str(k)}) for k, layer in enumerate((start, first))]
    end = type(last).from_config(last.get_config() | {"name": "end"})
    x = end(layers[1](layers[0](image)))
    x = DepthToSpace(2)(x) if isinstance(end, PhaseConv2D) else x
    generator = keras.Model(image, x)
    randomise(generator)
    images = batch((1, 5, 6, 2))
    assert_equal(textbook(generator)(images), enlarged(generator, images))


def test_half_precision_is_left_behind():
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        generator = srresnet(upsample="resize", **SMALL)
        rebuilt = textbook(generator)
    finally:
        keras.config.set_dtype_policy(policy)
    # The operation that divides has no dtype of its own.
    assert {getattr(layer, "compute_dtype", "float32") for layer in rebuilt.layers[1:]} == {"float32"}
    assert rebuilt.input.dtype == rebuilt.output.dtype == "float32"


class Strange(keras.layers.Layer):
    def call(self, x):
        return x


@pytest.mark.parametrize("layer", [Strange(name="odd"), keras.layers.GlobalAveragePooling2D(name="odd")])
def test_a_layer_without_a_form_is_refused(layer):
    image = keras.Input((None, None, 1))
    with pytest.raises(ValueError, match=f"^odd, a {type(layer).__name__}, cannot be written in Keras' own layers"):
        textbook(keras.Model(image, layer(image)))


def test_a_layer_that_reads_the_phases_as_channels_is_refused():
    image = keras.Input((None, None, 1))
    x = keras.layers.Conv2D(2, 1, name="reader")(NearestConv2D(1)(image))
    with pytest.raises(ValueError, match="^reader, a Conv2D, cannot be written"):
        textbook(keras.Model(image, x))
