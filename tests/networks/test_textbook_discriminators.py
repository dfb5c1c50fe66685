"""Every discriminator equals its paper, written out with plain Keras layers, at inference and in training mode."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import assert_textbook, images, randomise
from keras import layers

from msrgan.networks import discriminator
from msrgan.networks.discriminator import REALTIME_STAGES
from msrgan.training.variants import VARIANTS

# (width, stride) of each convolution, where the papers' 64 is 4.
SRGAN = [(4, 1), (4, 2), (8, 1), (8, 2), (16, 1), (16, 2), (32, 1), (32, 2)]
REALTIME = [(4, 1), (4, 2), (4, 1), (8, 2), (8, 1), (16, 2), (16, 1), (32, 2), (32, 1)]


def conv(net, x, width, stride, name, *, bias):
    return net(x, layers.Conv2D(width, 3, strides=stride, padding="same", use_bias=bias), name)


def batch_norm(net, x, name):
    return net(x, layers.BatchNormalization(momentum=0.99, epsilon=0.001), name)


def leaky(x):
    return tf.where(x > 0, x, 0.2 * x)


def dense_head(net, x):
    x = tf.reshape(x, (x.shape[0], -1))
    x = leaky(net(x, layers.Dense(64), "dense"))  # 1024 of the papers' 64
    return net(x, layers.Dense(1), "logit")


def average_head(net, x):
    return net(tf.reduce_mean(x, axis=(1, 2)), layers.Dense(1), "logit")


def srgan(net, x, head=dense_head):
    """arXiv 1609.04802, figure 4: batch norm after every convolution but the first, then LeakyReLU."""
    x = leaky(conv(net, x, 4, 1, "conv1", bias=True))
    for i, (width, stride) in enumerate(SRGAN[1:], start=2):
        x = leaky(batch_norm(net, conv(net, x, width, stride, f"conv{i}", bias=False), f"conv{i}_bn"))
    return head(net, x)


def msrgan(net, x, head=dense_head, bias=False):
    """KTH TRITA-EECS-EX 2018:10: neither batch norm nor biases."""
    for i, (width, stride) in enumerate(SRGAN, start=1):
        x = leaky(conv(net, x, width, stride, f"conv{i}", bias=bias))
    return head(net, x)


def realtime(net, x, head=average_head):
    """arXiv 2010.04634: conv, LeakyReLU, batch norm, but for the last norm, which would fix the mean logit."""
    for i, (width, stride) in enumerate(REALTIME, start=1):
        x = leaky(conv(net, x, width, stride, f"conv{i}", bias=True))
        if i < 9:
            x = batch_norm(net, x, f"conv{i}_bn")
    return head(net, x)


PUBLISHED = {"msrgan": msrgan, "srgan": srgan, "realtime": realtime, "esrgan": srgan}


@pytest.mark.parametrize("name", [name for name, variant in VARIANTS.items() if variant.discriminator])
def test_variant_equals_the_published_discriminator(name):
    model = VARIANTS[name].discriminator(channels=3, patch=22, filters=4)  # 22, 11, 6, 3, 2: odd sizes as well
    randomise(model)
    assert_textbook(model, PUBLISHED[name], images(4, 22, 22, 3))


def test_every_system_has_a_discriminator_but_srcnn():
    assert {name for name, variant in VARIANTS.items() if variant.discriminator} == set(PUBLISHED)


def test_head_of_dense_layers_after_the_last_norm():
    model = discriminator(channels=1, patch=21, filters=4, batch_norm="after", stages=REALTIME_STAGES)
    randomise(model)
    assert_textbook(model, lambda net, x: realtime(net, x, dense_head), images(4, 21, 21, 1))


@pytest.mark.parametrize(
    ("norm", "textbook"), [(True, srgan), (False, lambda net, x, head: msrgan(net, x, head, bias=True))]
)
def test_average_of_images_of_any_size(norm, textbook):
    model = discriminator(channels=2, filters=4, head="gap", batch_norm=norm)
    randomise(model)
    assert_textbook(model, lambda net, x: textbook(net, x, average_head), images(4, 17, 26, 2))


def test_the_mean_logit_of_a_batch_is_not_fixed():
    # In training mode, as both batches meet it: with a norm before the average both means would be the logit's bias.
    keras.utils.set_random_seed(0)
    model = VARIANTS["realtime"].discriminator(channels=3, patch=32, filters=4)
    dark, bright = (model(images(4, 32, 32, 3) + shift, training=True) for shift in (0, 3))
    assert abs(np.mean(dark) - np.mean(bright)) > 1e-3
