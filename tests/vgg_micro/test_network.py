"""mini-VGG19: parameters, widths, precision."""

import keras
import tensorflow as tf
from conftest import images

from vgg_micro.network import vgg19_micro


def test_parameters_of_the_thesis():
    # 16 convolutions of VGG19 without bias, batch norm after each; 96 -> 3 x 3 x 512; dense 4096, 4096, 13.
    widths = [3, 64, 64, 128, 128, 256, 256, 256, 256] + 8 * [512]
    kernels = sum(9 * a * b for a, b in zip(widths[:-1], widths[1:], strict=True))
    norms = 2 * sum(widths[1:])
    dense = (3 * 3 * 512 + 1) * 4096 + (4096 + 1) * 4096 + (4096 + 1) * 13
    model = vgg19_micro()
    assert kernels + norms + dense == 55_742_925
    assert sum(w.value.shape.num_elements() for w in model.trainable_weights) == 55_742_925
    assert model.count_params() == 55_742_925 + norms
    names = [layer.name for layer in model.layers]
    assert names[1:4] == ["block1_conv1", "block1_conv1_bn", "block1_conv1_act"]
    assert {"block3_conv4", "block5_conv4_act", "block5_pool"} <= set(names)


def test_width_scales_every_hidden_layer():
    vgg = vgg19_micro(classes=5, width=0.1, image_size=32)
    assert vgg.get_layer("block1_conv1").filters == 6
    assert vgg.get_layer("block5_conv4").filters == 51
    assert vgg.get_layer("fc1").units == vgg.get_layer("fc2").units == 410
    assert vgg(images(2, 32, 32, 3)).shape == (2, 5)


def test_logits_are_float32_under_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = vgg19_micro(width=0.05, image_size=32)
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.get_layer("fc1").compute_dtype == "bfloat16"
    assert model(images(1, 32, 32, 3)).dtype == tf.float32
