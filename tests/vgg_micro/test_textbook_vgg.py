"""mini-VGG19, its features and those of ImageNet's VGG19 equal the papers, written out with plain Keras layers."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import Textbook, assert_textbook, images, randomise
from keras import layers

from vgg_micro import features
from vgg_micro.network import vgg19_micro

# arXiv 1409.1556, configuration E: 2, 2, 4, 4, 4 convolutions.
CONVOLUTIONS = [f"block{b}_conv{i}" for b, n in ((1, 2), (2, 2), (3, 4), (4, 4), (5, 4)) for i in range(1, n + 1)]
POOLED = ("block1_conv2", "block2_conv2", "block3_conv4", "block4_conv4", "block5_conv4")
# Of 64, 128, 256, 512, 512 the twentieth part, rounded.
MICRO = dict(zip(("block1", "block2", "block3", "block4", "block5"), (3, 6, 13, 26, 26), strict=True))
BEFORE_AND_AFTER = [name for conv in CONVOLUTIONS for name in (conv, f"{conv}_act")]


def leaky(x):
    return tf.where(x > 0, x, 0.2 * x)


def micro_trunk(net, x):
    """KTH TRITA-EECS-EX 2018:10: conv3 without bias, batch norm, LeakyReLU .2; 2x2 pooling that keeps odd edges.

    Returns:
        What the last pooling gives; the map before and the map after each activation, by name.
    """
    maps = {}
    for name in CONVOLUTIONS:
        width = MICRO[name[:6]]
        x = net(x, layers.Conv2D(width, 3, strides=1, padding="same", use_bias=False), name)
        x = maps[name] = net(x, layers.BatchNormalization(momentum=0.9, epsilon=0.001), f"{name}_bn")
        x = maps[f"{name}_act"] = leaky(x)
        if name in POOLED:
            x = tf.nn.max_pool2d(x, 2, strides=2, padding="SAME")
    return x, maps


def micro_logits(net, x):
    x, _ = micro_trunk(net, x)
    x = tf.reshape(x, (x.shape[0], -1))
    x = leaky(net(x, layers.Dense(205), "fc1"))  # 4096 / 20
    x = leaky(net(x, layers.Dense(205), "fc2"))
    return net(x, layers.Dense(5), "logits")


@pytest.fixture(scope="module")
def micro():
    """A narrow mini-VGG19 of five classes for images of 36 x 36: 36, 18, 9, 5, 3, 2."""
    model = vgg19_micro(classes=5, width=0.05, image_size=36)
    randomise(model)
    return model


def assert_maps(maps, expected):
    assert len(maps) == len(expected)
    for ours, (name, textbook) in zip(maps, expected.items(), strict=True):
        assert np.std(textbook) > 0.01
        np.testing.assert_allclose(ours, textbook, rtol=0, atol=1e-5 * np.abs(textbook).max(), err_msg=name)


def test_features_of_mini_vgg19_before_and_after_each_activation(micro):
    # At inference, for images of another size than the classifier's; batch norm is part of "before".
    _, expected = micro_trunk(Textbook(micro, training=False), tf.constant(images(2, 27, 40, 3)))
    assert list(expected) == BEFORE_AND_AFTER
    assert_maps(features.micro(micro, layers=BEFORE_AND_AFTER)(images(2, 27, 40, 3)), expected)


def test_features_of_mini_vgg19_by_default(micro):
    _, maps = micro_trunk(Textbook(micro, training=False), tf.constant(images(1, 36, 36, 3)))
    expected = {f"{name}_act": maps[f"{name}_act"] for name in POOLED}
    assert_maps(features.micro(micro)(images(1, 36, 36, 3)), expected)
    # Where nothing deeper is wanted, the last map before an activation still has its batch norm.
    (alone,) = features.micro(micro, layers=("block5_conv4",))(images(1, 36, 36, 3))
    assert_maps([alone], {"block5_conv4": maps["block5_conv4"]})


def test_classifier_equals_the_thesis():
    # In double precision: sixteen batch norms in training mode amplify the rounding of single precision to 1e-5.
    keras.config.set_dtype_policy("float64")
    try:
        model = vgg19_micro(classes=5, width=0.05, image_size=36)
        randomise(model, seed=1)
        assert_textbook(model, micro_logits, images(6, 36, 36, 3))
    finally:
        keras.config.set_dtype_policy("float32")


def imagenet_maps(net, images):
    """VGG19 of arXiv 1409.1556 on [-1, 1] RGB: bytes, blue first, the mean of ImageNet less; maps / 12.75."""
    red, green, blue = (255 * (images[..., i] + 1) / 2 for i in range(3))
    x = tf.stack([blue - 103.939, green - 116.779, red - 123.68], axis=-1)
    maps = {}
    for name in CONVOLUTIONS:
        width = {"1": 64, "2": 128, "3": 256, "4": 512, "5": 512}[name[5]]
        x = net(x, layers.Conv2D(width, 3, strides=1, padding="same", use_bias=True), name)
        maps[name] = x / 12.75
        x = tf.maximum(x, 0)
        maps[f"{name}_act"] = x / 12.75
        if name in POOLED:
            x = tf.nn.max_pool2d(x, 2, strides=2, padding="VALID")
    return maps


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory):
    """VGG19 of random weights and biases: a file of them, and its maps of `images(1, 33, 40, 3)`."""
    model = keras.applications.VGG19(include_top=False, weights=None, input_shape=(None, None, 3))
    randomise(model)
    file = tmp_path_factory.mktemp("imagenet") / "vgg19.weights.h5"
    model.save_weights(file)
    return file, imagenet_maps(Textbook(model, training=False), tf.constant(images(1, 33, 40, 3)))


def test_features_of_imagenet_before_and_after_each_activation(imagenet):
    file, expected = imagenet
    assert list(expected) == BEFORE_AND_AFTER
    assert_maps(features.imagenet(file, layers=BEFORE_AND_AFTER)(images(1, 33, 40, 3)), expected)


def test_imagenet_gives_block5_conv4_before_its_activation_by_default(imagenet):
    file, expected = imagenet
    assert_maps(features.imagenet(file)(images(1, 33, 40, 3)), {"block5_conv4": expected["block5_conv4"]})
