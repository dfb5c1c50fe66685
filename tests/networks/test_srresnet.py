"""SRResNet: shapes, parameters of the papers, the image skip, precision."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import images, parameters
from keras import layers

from msrgan.networks import discriminator, srresnet
from msrgan.networks.phases import Bicubic, DepthToSpace

MSRGAN = {"kernel": 3, "use_bias": False, "stem_activation": "leaky_relu"}
REALTIME = {
    "batch_norm": "body",
    "upsample": "resize",
    "tail_activation": "leaky_relu",
    "output_activation": "tanh",
}
TINY = {"filters": 4, "blocks": 1}


def test_parameters_of_srgan():
    # Figure 4 of arXiv 1609.04802: k9n64, B = 16, two k3n256, k9n3; a slope a channel; no bias before a norm.
    conv, norm, prelu = 9 * 64 * 64, 2 * 64, 64
    stem = 81 * 3 * 64 + 64 + prelu
    body = 16 * (2 * conv + 2 * norm + prelu) + conv + norm
    tail = 2 * (9 * 64 * 256 + 256 + prelu) + 81 * 64 * 3 + 3
    assert stem + body + tail == 1_548_547
    statistics = 33 * 2 * 64
    assert parameters(srresnet(image_skip="none")) == (1_548_547, 1_548_547 + statistics)
    assert parameters(srresnet()) == (1_548_547, 1_548_547 + statistics)  # the image skip has no weights


def test_parameters_of_srgan_without_batch_norm():
    # Each of the 33 convolutions of the body trades scale and shift for a bias.
    assert parameters(srresnet(batch_norm=False)) == (1_548_547 - 33 * 64,) * 2


def test_parameters_of_msrgan():
    # LeakyReLU stem, 15 blocks; the second shuffle leaves 16 channels; no biases.
    conv, norm = 9 * 64 * 64, 2 * 64
    body = 9 * 3 * 64 + 15 * (2 * conv + 2 * norm + 64) + conv + norm
    tail = 9 * 64 * 256 + 64 + 9 * 64 * 64 + 16 + 9 * 16 * 3
    assert body + tail == 1_334_272
    model = srresnet(blocks=15, widths=(256, 64), dropout=0.5, image_skip="none", **MSRGAN)
    assert parameters(model) == (1_334_272, 1_334_272 + 31 * 2 * 64)
    assert not any("bias" in w.path for w in model.weights)
    # After each batch norm of the body and once in the tail.
    assert sum(isinstance(layer, layers.Dropout) for layer in model.layers) == 31 + 1


def test_parameters_of_realtime_srgan():
    conv = 9 * 64 * 64
    stem = 81 * 3 * 64 + 64 + 64
    body = 16 * (2 * conv + 2 * 64 + 64) + conv + 2 * 64
    tail = 9 * 64 * 256 + 256 + 9 * 256 * 256 + 256 + 81 * 256 * 3 + 3
    model = srresnet(widths=(256, 256), image_skip="none", **REALTIME)
    assert parameters(model) == (stem + body + tail, stem + body + tail + 2 * 64)


@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize(
    "arguments",
    [{}, {"scale": 2}, {"scale": 8}, {"upsample": "transpose"}, MSRGAN | {"widths": (16, 4)}, REALTIME],
    ids=["srgan", "x2", "x8", "transpose", "msrgan", "realtime"],
)
def test_generators_enlarge_images_of_any_size(arguments, channels):
    scale = arguments.get("scale", 4)
    model = srresnet(channels=channels, **TINY, **arguments)
    assert model(images(2, 7, 6, channels)).shape == (2, 7 * scale, 6 * scale, channels)


def test_srgan_equals_its_textbook_form():
    model = srresnet(image_skip="none", **TINY)
    for weight in model.weights:  # statistics and slopes that matter
        weight.assign(weight + images(*weight.shape, seed=1) ** 2 / 4)
    run = {layer.name: layer for layer in model.layers}
    prelus = {}

    def plain(x, name):
        prelus[name] = layers.PReLU(shared_axes=[1, 2])
        prelus[name].build(x.shape)
        prelus[name].set_weights([run[name].get_weights()[0].reshape(1, 1, -1)])
        return prelus[name](x)

    lr = images(1, 6, 5, 3)
    stem = x = plain(run["stem_conv"](lr), "stem_act")
    x = plain(run["block1_conv1_bn"](run["block1_conv1"](x)), "block1_act")
    x = stem + run["block1_conv2_bn"](run["block1_conv2"](x))
    x = stem + run["body_conv_bn"](run["body_conv"](x))
    for i in (1, 2):
        x = plain(DepthToSpace(2)(run[f"upsample{i}_conv"](x)), f"upsample{i}_act")
    kernel, bias = run["output_conv"].get_weights()
    expected = tf.nn.conv2d(x, kernel, 1, "SAME") + bias
    np.testing.assert_allclose(model(lr), expected, rtol=1e-4, atol=1e-4)


def test_generator_starts_close_to_bicubic_and_every_weight_has_a_gradient():
    keras.utils.set_random_seed(0)
    model = srresnet(filters=16, blocks=2)
    lr = images(2, 8, 8, 3)
    with tf.GradientTape() as tape:
        residual = model(lr, training=True) - Bicubic(4)(lr)
        gradients = tape.gradient(tf.reduce_mean(tf.abs(residual)), model.trainable_weights)
    assert 0 < np.sqrt(np.mean(residual**2)) < 0.05
    assert all(np.abs(g).max() > 0 for g in gradients)


def test_image_skip_none_is_the_papers_network():
    model = srresnet(image_skip="none", output_activation="tanh", **TINY)
    assert not any(isinstance(layer, Bicubic) for layer in model.layers)
    assert np.abs(model(100 * images(1, 6, 6, 3))).max() <= 1


def test_dropout_is_off_at_inference():
    model = srresnet(dropout=0.5, image_skip="none", **TINY)
    x = images(1, 6, 6, 3)
    np.testing.assert_array_equal(model(x), model(x))
    assert np.abs(model(x, training=True) - model(x, training=True)).max() > 0


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_outputs_are_float32_under_mixed_precision(policy):
    x = images(1, 16, 16, 3)
    keras.config.set_dtype_policy(policy)
    try:
        generators = [srresnet(**TINY), srresnet(**TINY, **REALTIME), srresnet(**TINY, **MSRGAN, scale=2)]
        networks = [*generators, discriminator(patch=16, filters=4), discriminator(head="gap", filters=4)]
    finally:
        keras.config.set_dtype_policy("float32")
    assert networks[0].get_layer("block1_conv1").compute_dtype == policy.removeprefix("mixed_")
    for network in networks:
        assert network(x).dtype == tf.float32


def test_batch_norm_is_synchronised_and_follows_its_momentum():
    model = srresnet(**TINY)
    norm = model.get_layer("block1_conv1_bn")
    assert norm.synchronized
    x = images(4, 8, 8, 3)
    batch = keras.Model(model.input, model.get_layer("block1_conv1").output)(x)
    model(x, training=True)
    np.testing.assert_allclose(norm.moving_mean, 0.01 * np.mean(batch, (0, 1, 2)), rtol=1e-3, atol=1e-6)
    expected = 0.99 + 0.01 * np.var(batch, (0, 1, 2))
    np.testing.assert_allclose(norm.moving_variance, expected, rtol=1e-5)


def test_generator_trains_under_xla():
    keras.utils.set_random_seed(0)
    generator, lr = srresnet(scale=2, **TINY), images(3, 8, 8, 3)

    def gradients(lr):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(generator(lr, training=True) ** 2)
        return tape.gradient(loss, generator.trainable_weights)

    for a, b in zip(gradients(lr), tf.function(gradients, jit_compile=True)(lr), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-3 * np.abs(a).max())


def test_networks_survive_saving(tmp_path):
    model = srresnet(dropout=0.1, upsample="resize", **TINY)
    model.save(tmp_path / "generator.keras")
    x = images(1, 5, 6, 3)
    np.testing.assert_array_equal(keras.saving.load_model(tmp_path / "generator.keras")(x), model(x))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scale": 3}, r"scale must be one of \(2, 4, 8\). Received: 3"),
        ({"batch_norm": "all"}, "batch_norm must be one of"),
        ({"upsample": "bilinear"}, "upsample must be one of"),
        ({"image_skip": "nearest"}, "image_skip must be one of"),
        ({"stem_activation": "relu"}, "activation must be one of"),
        ({"widths": (16,)}, "needs 2 widths, multiples of 4. Received: widths=\\(16,\\)"),
        ({"widths": (16, 6)}, "needs 2 widths, multiples of 4"),
        ({"widths": (16, 6, 4), "upsample": "resize"}, "needs 2 widths. Received"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        srresnet(**TINY, **arguments)
