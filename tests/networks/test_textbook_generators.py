"""Every generator equals its paper, written out with plain Keras layers, at inference and in training mode."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import assert_textbook, images, randomise
from keras import layers

from msrgan.networks import rrdbnet, srcnn, srresnet
from msrgan.training.variants import VARIANTS

CORNER = {2: -0.5, 4: -1.5, 8: -3.5}  # (1 - scale) / 2: samples at the first pixel of each block


def conv(net, x, filters, size, name, *, bias=True):
    return net(x, layers.Conv2D(filters, size, strides=1, padding="same", use_bias=bias), name)


def batch_norm(net, x, name):
    return net(x, layers.BatchNormalization(momentum=0.99, epsilon=0.001), name)


def prelu(net, x, name):
    return net(x, layers.PReLU(shared_axes=[1, 2]), name)


def leaky(x):
    return tf.where(x > 0, x, 0.2 * x)


def nearest(x):
    return layers.UpSampling2D(2, interpolation="nearest")(x)


def bicubic(x, scale, corner=False):
    """Enlarge from the centres of the blocks of pixels as TensorFlow does, or from their first pixels."""
    if not corner:
        return tf.image.resize(x, (scale * x.shape[1], scale * x.shape[2]), method="bicubic")

    def weights(size):
        t = np.abs(np.arange(scale * size)[:, None] / scale - np.arange(size))
        near, far = 1.5 * t**3 - 2.5 * t**2 + 1, -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2  # Keys, a = -1/2
        w = np.where(t <= 1, near, np.where(t < 2, far, 0))
        return w / w.sum(axis=1, keepdims=True)

    return tf.constant(np.einsum("ri,cj,bijk->brck", weights(x.shape[1]), weights(x.shape[2]), x), tf.float32)


def srgan_body(net, stem, *, norm=True, last_norm=True):
    """Figure 4 of arXiv 1609.04802: k3 - BN - PReLU - k3 - BN + skip, twice here; k3 - BN + long skip."""
    x = stem
    for i in (1, 2):
        y = conv(net, x, 8, 3, f"block{i}_conv1", bias=not norm)
        y = batch_norm(net, y, f"block{i}_conv1_bn") if norm else y
        y = prelu(net, y, f"block{i}_act")
        y = conv(net, y, 8, 3, f"block{i}_conv2", bias=not norm)
        y = batch_norm(net, y, f"block{i}_conv2_bn") if norm else y
        x = x + y
    y = conv(net, x, 8, 3, "body_conv", bias=not last_norm)
    y = batch_norm(net, y, "body_conv_bn") if last_norm else y
    return stem + y


def srgan(net, x):
    """arXiv 1609.04802, figure 4: k9n64; the body; twice k3n256, pixel shuffle, PReLU; k9n3."""
    stem = prelu(net, conv(net, x, 8, 9, "stem_conv"), "stem_act")
    x = srgan_body(net, stem)
    x = prelu(net, tf.nn.depth_to_space(conv(net, x, 32, 3, "upsample1_conv"), 2), "upsample1_act")
    x = prelu(net, tf.nn.depth_to_space(conv(net, x, 32, 3, "upsample2_conv"), 2), "upsample2_act")
    return conv(net, x, 3, 9, "output_conv")


def msrgan(net, x):
    """KTH TRITA-EECS-EX 2018:10: 3x3 convolutions without biases; dropout .5 after each batch norm."""

    def dropout(x, name):
        return net.dropout(x, layers.Dropout(0.5), name)

    stem = x = leaky(conv(net, x, 8, 3, "stem_conv", bias=False))
    for i in (1, 2):
        y = batch_norm(net, conv(net, x, 8, 3, f"block{i}_conv1", bias=False), f"block{i}_conv1_bn")
        y = prelu(net, dropout(y, f"block{i}_conv1_dropout"), f"block{i}_act")
        y = batch_norm(net, conv(net, y, 8, 3, f"block{i}_conv2", bias=False), f"block{i}_conv2_bn")
        x = x + dropout(y, f"block{i}_conv2_dropout")
    y = batch_norm(net, conv(net, x, 8, 3, "body_conv", bias=False), "body_conv_bn")
    x = stem + dropout(y, "body_conv_dropout")
    x = conv(net, x, 32, 3, "upsample1_conv", bias=False)
    kept = dropout(tf.ones_like(x), "upsample1_dropout")  # 0 or 2, drawn before the shuffle
    x = tf.nn.depth_to_space(x, 2) * tf.nn.depth_to_space(kept, 2)
    x = prelu(net, x, "upsample1_act")
    x = tf.nn.depth_to_space(conv(net, x, 8, 3, "upsample2_conv", bias=False), 2)
    x = prelu(net, x, "upsample2_act")
    return conv(net, x, 3, 3, "output_conv", bias=False)


def realtime(net, x, *, last_norm=True):
    """arXiv 2010.04634: k9 PReLU; blocks without batch norm, one after them; twice nearest, k3, LeakyReLU; k9 tanh."""
    stem = prelu(net, conv(net, x, 8, 9, "stem_conv"), "stem_act")
    x = srgan_body(net, stem, norm=False, last_norm=last_norm)
    x = leaky(conv(net, nearest(x), 8, 3, "upsample1_conv"))
    x = leaky(conv(net, nearest(x), 8, 3, "upsample2_conv"))
    return tf.tanh(conv(net, x, 3, 9, "output_conv"))


def esrgan(net, x, *, scale=4, growth=4, blocks=2):
    """arXiv 1809.00219, section 3.1: residual-in-residual dense blocks, residuals times .2; nearest x2 and k3."""
    stem = x = conv(net, x, 8, 3, "stem_conv")
    for i in range(1, blocks + 1):
        block = x
        for dense in (f"block{i}_dense1", f"block{i}_dense2", f"block{i}_dense3"):
            x1 = leaky(conv(net, x, growth, 3, f"{dense}_conv1"))
            x2 = leaky(conv(net, tf.concat([x, x1], -1), growth, 3, f"{dense}_conv2"))
            x3 = leaky(conv(net, tf.concat([x, x1, x2], -1), growth, 3, f"{dense}_conv3"))
            x4 = leaky(conv(net, tf.concat([x, x1, x2, x3], -1), growth, 3, f"{dense}_conv4"))
            x5 = conv(net, tf.concat([x, x1, x2, x3, x4], -1), 8, 3, f"{dense}_conv5")
            x = x + 0.2 * x5
        x = block + 0.2 * x
    x = stem + conv(net, x, 8, 3, "body_conv")
    for i in range(1, {2: 1, 4: 2, 8: 3}[scale] + 1):
        x = leaky(conv(net, nearest(x), 8, 3, f"upsample{i}_conv"))
    x = leaky(conv(net, x, 8, 3, "hr_conv"))
    return conv(net, x, 3, 3, "output_conv")


def srcnn_residual(net, enlarged):
    """arXiv 1501.00092, section 3.1: conv9-64, ReLU, conv1-32, ReLU, conv5 of the enlarged image."""
    x = tf.maximum(conv(net, enlarged, 64, 9, "conv1"), 0)
    x = tf.maximum(conv(net, x, 32, 1, "conv2"), 0)
    return conv(net, x, enlarged.shape[-1], 5, "output_conv")


class Branches(layers.Layer):
    """Section 3.3 of arXiv 2311.12770: conv1 to twice the width, conv3, conv1 back, after padding; beside a conv1."""

    def __init__(self, channels, filters):
        super().__init__()
        sizes = ((2 * channels, 1), (2 * filters, 3), (filters, 1))
        self.row = [layers.Conv2D(width, size) for width, size in sizes]
        self.shortcut = layers.Conv2D(filters, 1, use_bias=False)

    def build(self, shape):
        for part in self.row:
            part.build(shape)
            shape = (*shape[:-1], part.filters)
        self.shortcut.build((*shape[:-1], self.row[0].filters // 2))

    def call(self, x):
        y = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])
        for part in self.row:
            y = part(y)
        return y + self.shortcut(x)


def span(net, x):
    """arXiv 2311.12770, figure 2 and equations 2 to 4, two blocks; pixels from -8 to 8."""

    def branches(x, name):
        return net(x, Branches(x.shape[-1], 8), name)

    def silu(x):
        return x * tf.sigmoid(x)

    stem = x = branches(8 * x, "stem_conv")
    ends = []
    for i in (1, 2):
        first = branches(x, f"block{i}_conv1")
        h = branches(silu(branches(silu(first), f"block{i}_conv2")), f"block{i}_conv3")
        x = (x + h) * (tf.sigmoid(h) - 0.5)
        ends.append(x)
    x = tf.concat([stem, branches(x, "body_conv"), ends[0], first], axis=-1) / 8
    return tf.nn.depth_to_space(conv(net, conv(net, x, 8, 1, "mix_conv"), 3 * 16, 3, "output_conv"), 4)


# The textbook form of each variant, and the choices with which the variant is the published network, as small as it
# can be: two blocks, so that their order matters.
SMALL = {"filters": 8, "blocks": 2}
PUBLISHED = {
    "msrgan": (msrgan, SMALL | {"dropout": 0.5}),
    "srgan": (srgan, SMALL),
    "realtime": (realtime, SMALL | {"batch_norm": "body", "widths": (8, 8)}),
    "esrgan": (esrgan, SMALL),
    "srcnn": (lambda net, x: srcnn_residual(net, bicubic(x, 4)), {}),
    "span": (span, SMALL),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_variant_equals_the_published_network(name):
    textbook, chosen = PUBLISHED[name]
    sizes = VARIANTS[name].sizes | chosen | {"image_skip": "none"}
    model = VARIANTS[name].generator(channels=3, scale=4, grid="centre", **sizes)
    randomise(model)
    assert_textbook(model, textbook, images(2, 7, 9, 3))


# What the variants are without any choice but their size: with the image skip.
DEFAULT = {
    "srgan": srgan,
    "realtime": lambda net, x: realtime(net, x, last_norm=False),
}


@pytest.mark.parametrize("name", DEFAULT)
def test_variant_adds_the_enlarged_image(name):
    model = VARIANTS[name].generator(channels=3, scale=4, grid="corner", **(VARIANTS[name].sizes | SMALL))
    randomise(model)
    assert_textbook(model, lambda net, x: bicubic(x, 4, corner=True) + DEFAULT[name](net, x), images(2, 5, 6, 3))


@pytest.mark.parametrize("corner", [False, True], ids=["centre", "corner"])
@pytest.mark.parametrize("scale", [2, 4, 8])
def test_srcnn_reads_and_adds_the_enlarged_image(scale, corner):
    def textbook(net, x):
        enlarged = bicubic(x, scale, corner)
        return enlarged + srcnn_residual(net, enlarged)

    model = srcnn(channels=1, scale=scale, grid="corner" if corner else "centre")
    randomise(model)
    assert_textbook(model, textbook, images(1, 7, 9, 1))


def test_variants_have_the_sizes_of_the_papers():
    sizes = {name: (v.sizes.get("filters"), v.sizes.get("blocks")) for name, v in VARIANTS.items()}
    papers = {"msrgan": (64, 15), "srgan": (64, 16), "realtime": (64, 16), "esrgan": (64, 23)}
    papers |= {"srcnn": (None, None), "span": (32, 6)}  # 48 or 28: tests/networks/test_span.py
    assert sizes == papers


UPSAMPLING = {"subpixel": 32, "resize": 8, "transpose": 8}  # the default width of each, of 8 filters


@pytest.mark.parametrize(
    ("upsample", "norm", "scale", "tail"),
    [
        ("subpixel", "body", 8, "leaky_relu"),
        ("subpixel", False, 2, "prelu"),
        ("resize", True, 2, "prelu"),
        ("resize", False, 8, "leaky_relu"),
        ("transpose", "body", 2, "leaky_relu"),
        ("transpose", True, 4, "prelu"),
        ("transpose", False, 8, "prelu"),
    ],
)
def test_options_of_srresnet(upsample, norm, scale, tail):
    width = UPSAMPLING[upsample]

    def textbook(net, image):
        stem = leaky(conv(net, image, 8, 5, "stem_conv"))
        x = srgan_body(net, stem, norm=norm is True, last_norm=norm in (True, "body"))
        for i in range(1, {2: 1, 4: 2, 8: 3}[scale] + 1):
            if upsample == "subpixel":
                x = tf.nn.depth_to_space(conv(net, x, width, 3, f"upsample{i}_conv"), 2)
            elif upsample == "resize":
                x = conv(net, nearest(x), width, 3, f"upsample{i}_conv")
            else:
                x = net(x, layers.Conv2DTranspose(width, 4, strides=2, padding="same"), f"upsample{i}_conv")
            x = prelu(net, x, f"upsample{i}_act") if tail == "prelu" else leaky(x)
        return bicubic(image, scale) + conv(net, x, 3, 5, "output_conv")

    model = srresnet(
        **SMALL,
        scale=scale,
        kernel=5,
        upsample=upsample,
        batch_norm=norm,
        stem_activation="leaky_relu",
        tail_activation=tail,
    )
    randomise(model)
    assert_textbook(model, textbook, images(2, 5, 4, 3))


@pytest.mark.parametrize("upsample", UPSAMPLING)
def test_srresnet_without_biases(upsample):
    model = srresnet(**SMALL, upsample=upsample, use_bias=False)
    assert not any("bias" in weight.path for weight in model.weights)


@pytest.mark.parametrize(("scale", "corner"), [(2, True), (8, False)])
def test_rrdbnet_of_other_scales(scale, corner):
    def textbook(net, x):
        return bicubic(x, scale, corner) + esrgan(net, x, scale=scale, growth=3, blocks=1)

    model = rrdbnet(filters=8, blocks=1, scale=scale, growth=3, grid="corner" if corner else "centre")
    randomise(model)
    assert_textbook(model, textbook, images(1, 4, 5, 3))


@pytest.mark.parametrize("build", [srresnet, rrdbnet, srcnn])
def test_weights_start_as_the_papers_say(build):
    keras.utils.set_random_seed(0)
    sizes = {} if build is srcnn else {"filters": 32, "blocks": 1}
    model, plain = build(**sizes), build(**sizes, image_skip="none")
    for weight in model.weights:
        kind = weight.path.rsplit("/", 1)[-1]
        if kind != "kernel":
            start = {"gamma": 1, "moving_variance": 1, "alpha": 0.25, "bias": 0, "beta": 0, "moving_mean": 0}[kind]
            np.testing.assert_array_equal(weight, start)
            continue
        *taps, inputs, outputs = weight.shape
        fan_in, fan_out = np.prod(taps) * inputs, np.prod(taps) * outputs
        expected = (2 / (fan_in + fan_out)) ** 0.5  # Glorot & Bengio 2010, equation 16
        if "output_conv" in weight.path:
            expected = (1e-4 / fan_in) ** 0.5  # close to bicubic
        elif "dense" in weight.path:
            expected = 0.1 * (2 / fan_in) ** 0.5  # arXiv 1809.00219, section 3.1: a tenth of He's
        np.testing.assert_allclose(np.std(weight), expected, rtol=0.1, err_msg=weight.path)
    kernel = plain.get_layer("output_conv").kernel
    size, _, inputs, outputs = kernel.shape
    np.testing.assert_allclose(np.std(kernel), (2 / (size**2 * (inputs + outputs))) ** 0.5, rtol=0.1)
