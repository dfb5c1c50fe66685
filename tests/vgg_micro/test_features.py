"""The feature extractors of the content loss."""

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import images

from vgg_micro import features
from vgg_micro.network import vgg19_micro


@pytest.fixture(scope="module")
def vgg():
    """A small mini-VGG19 with statistics that matter."""
    keras.utils.set_random_seed(0)
    model = vgg19_micro(classes=5, width=0.1, image_size=32)
    for weight in model.non_trainable_weights:
        weight.assign(weight + np.random.default_rng(1).uniform(0, 0.2, weight.shape))
    return model


def test_micro_returns_the_last_activation_of_each_group(vgg, tmp_path):
    vgg.save(tmp_path / "vgg.keras")
    x = images(2, 32, 32, 3)
    expected = keras.Model(vgg.input, [vgg.get_layer(n).output for n in features.LAST_ACTIVATIONS])(x)
    for source in (tmp_path, str(tmp_path / "vgg.keras"), vgg):
        extract = features.micro(source)
        assert extract.channels == 3
        assert extract.layers[0] == "block1_conv2_act" and extract.layers[-1] == "block5_conv4_act"
        for a, b in zip(expected, extract(x), strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-5)


def test_layer_names_before_and_after_the_activation(vgg):
    before, after = features.micro(vgg, layers=("block3_conv2", "block3_conv2_act"))(images(1, 32, 32, 3))
    np.testing.assert_allclose(tf.nn.leaky_relu(before, 0.2), after, atol=1e-6)
    assert np.min(before) < 5 * np.min(after) * 0.99


@pytest.mark.parametrize("name", ["fc1", "flatten", "block1_pool", "block1_conv1_bn"])
def test_features_are_those_of_convolutions(vgg, name):
    with pytest.raises(
        ValueError, match=f"`layers` must name layers of .* Received: '{name}'. They are: .'block1_conv1', "
    ):
        features.micro(vgg, layers=(name,))


def test_micro_takes_images_of_any_size_and_repeats_grey_ones(vgg):
    extract = features.micro(vgg)
    grey = images(1, 40, 52, 1)
    maps = extract(grey)
    assert [m.shape[1:3] for m in maps] == [(40, 52), (20, 26), (10, 13), (5, 7), (3, 4)]
    for a, b in zip(maps, extract(np.repeat(grey, 3, axis=-1)), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match="1 or 3 channels.* Received: 2"):
        extract(images(1, 32, 32, 2))


def test_one_layer_is_a_list_of_one_map(vgg):
    x = images(2, 32, 32, 3)
    (alone,) = features.micro(vgg, layers=("block5_conv4_act",))(x)
    np.testing.assert_allclose(alone, features.micro(vgg)(x)[-1], atol=1e-6)


def test_features_are_frozen_and_not_tracked(vgg):
    extract = features.micro(vgg)

    class Holder(keras.Model):
        def __init__(self):
            super().__init__()
            self.content = extract

    assert Holder().variables == []
    x = tf.constant(images(1, 32, 32, 3))
    first = [m.numpy() for m in extract(x)]
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = tf.reduce_mean(extract(x)[-1] ** 2)
    assert np.abs(tape.gradient(loss, x)).max() > 0
    for a, b in zip(first, extract(x), strict=True):
        np.testing.assert_array_equal(a, b)


def test_micro_computes_in_the_policy_in_force(vgg):
    x = images(1, 32, 32, 3)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        half = features.micro(vgg)(x)
    finally:
        keras.config.set_dtype_policy("float32")
    full = features.micro(vgg)(x)
    assert all(m.dtype == tf.float32 for m in half)
    assert 0 < np.abs(half[0] - full[0]).max() < 0.05 * np.abs(full[0]).max()


def test_missing_network_and_unknown_layer_are_named(vgg, tmp_path):
    with pytest.raises(FileNotFoundError, match="Received: .*, an empty folder. Train one first by train_vgg.py"):
        features.micro(tmp_path)
    with pytest.raises(FileNotFoundError, match="a trained mini-VGG19. Received: .*nowhere, "):
        features.micro(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="Received: 'block9_conv1'"):
        features.micro(vgg, layers=("block9_conv1",))


def test_a_file_that_is_no_mini_vgg19_is_named(tmp_path):
    (tmp_path / "vgg.keras").write_text("hello")
    with pytest.raises(ValueError, match="read from the vgg.keras of stage 1. Received: .*which cannot be read"):
        features.micro(tmp_path)
    image = keras.Input((None, None, 3))
    other = keras.Model(image, keras.layers.Conv2D(3, 3)(image), name="sharpener")
    other.save(tmp_path / "other.keras")
    with pytest.raises(ValueError, match="of sharpener. Received: 'block1_conv2_act'"):
        features.micro(tmp_path / "other.keras")


def test_imagenet_preprocesses_like_keras_and_divides_by_12_75(tmp_path):
    keras.utils.set_random_seed(0)
    vgg = keras.applications.VGG19(include_top=False, weights=None, input_shape=(None, None, 3))
    for layer in vgg.layers[1:]:
        if layer.weights:  # biases that matter
            layer.bias.assign(np.random.default_rng(0).uniform(-1, 1, layer.bias.shape))
    file = tmp_path / "vgg19.weights.h5"
    vgg.save_weights(file)

    x = images(1, 32, 32, 3)
    inputs = keras.applications.vgg19.preprocess_input((x + 1) * 127.5)
    activation = keras.Model(vgg.input, vgg.get_layer("block5_conv4").output)(inputs) / 12.75
    names = ("block5_conv4", "block5_conv4_act")
    before, after = features.imagenet(file, layers=names)(x)
    np.testing.assert_allclose(after, activation, rtol=1e-3, atol=1e-4)
    assert np.min(before) < 0
    np.testing.assert_array_equal(np.maximum(before, 0), after)


def write_legacy_weights(model, file):
    """Write weights as keras-applications distributes them: a group a layer, named in attributes."""
    with h5py.File(file, "w") as f:
        f.attrs["layer_names"] = np.array([layer.name for layer in model.layers], "S")
        for layer in model.layers:
            group = f.create_group(layer.name)
            names = [f"{layer.name}/{weight.name}:0" for weight in layer.weights]
            group.attrs["weight_names"] = np.array(names, "S")
            for name, weight in zip(names, layer.get_weights(), strict=True):
                group.create_dataset(name, data=weight)


def test_imagenet_reads_the_file_that_keras_applications_distributes(tmp_path):
    keras.utils.set_random_seed(1)
    vgg = keras.applications.VGG19(include_top=False, weights=None, input_shape=(None, None, 3))
    write_legacy_weights(vgg, tmp_path / "notop.h5")
    vgg.save_weights(tmp_path / "notop.weights.h5")
    old, new = (features.imagenet(tmp_path / name) for name in ("notop.h5", "notop.weights.h5"))
    assert old.fingerprint == new.fingerprint
    (tmp_path / "damaged.h5").write_bytes((tmp_path / "notop.h5").read_bytes()[:5000])
    with pytest.raises(ValueError, match="must name weights of VGG19.* Received: .*damaged.h5"):
        features.imagenet(tmp_path / "damaged.h5")


def test_imagenet_without_its_weights_names_the_argument(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="Received: .*none.h5, which is no file. Check the name"):
        features.imagenet(tmp_path / "none.h5")

    def unreachable(**kwargs):
        raise Exception("URL fetch failure")

    monkeypatch.setattr(keras.applications, "VGG19", unreachable)
    with pytest.raises(FileNotFoundError, match="Received: URL fetch failure. Give a copy of them.* as `weights`"):
        features.imagenet()
