"""Networks compiled for ncnn agree with TensorFlow, whatever the variant and the size; what cannot be is refused."""

from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import images, randomise, tiny

from msrgan import models
from msrgan.models import card
from msrgan.models.engines import make
from msrgan.models.formats import ncnn as ncnn_format
from msrgan.networks import srresnet
from msrgan.training.variants import VARIANTS

pytest.importorskip("ncnn")

SIZES = [(1, 1), (3, 7), (17, 64)]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MSRGAN_CACHE", str(tmp_path / "cache"))


def assert_agrees(engine, reference, channels, batch=1, sizes=SIZES):
    for height, width in sizes:
        image = images(batch, height, width, channels)
        expected = reference(image)
        assert np.ptp(expected) > 0.1 or height == 1
        enlarged = engine(image)
        assert enlarged.dtype == np.float32
        assert enlarged.shape == expected.shape
        np.testing.assert_allclose(enlarged, expected, rtol=0, atol=2e-5 * max(1, np.abs(expected).max()))


# Wide enough that the last convolution, 5x5 of 64 channels, is taken apart.
WIDE = {"filters": 16, "blocks": 1}


@pytest.mark.parametrize("variant", VARIANTS)
def test_variants_agree_with_tensorflow(variant, tmp_path):
    sizes = VARIANTS[variant].sizes | WIDE if variant == "srgan" else tiny(VARIANTS[variant])
    model = VARIANTS[variant].generator(channels=3, scale=4, grid="centre", **sizes)
    randomise(model)
    models.export(model, tmp_path / "model")
    engine = make("ncnn", tmp_path / "model", card.read(tmp_path / "model"))
    assert_agrees(engine, models.load(tmp_path / "model"), 3, batch=2)
    if variant == "srgan":
        compiled = next((tmp_path / "cache").rglob("model.param")).read_text()
        assert_is_a_network(compiled)
        kernels = {
            (line.split("0=")[1].split()[0], line.split(" 1=")[1].split()[0]) for line in of(compiled, "Convolution")
        }
        assert kernels == {("16", "9"), ("16", "3"), ("64", "3"), ("48", "3"), ("12", "2"), ("48", "5")}
        assert "PReLU" in compiled
        assert "Clip" in compiled  # ones of the image skip; a PReLU taken apart would have more
        assert len(of(compiled, "Clip")) == 1
        image = images(1, 9, 9, 3)
        with ThreadPoolExecutor(4) as pool:
            enlarged = list(pool.map(engine, [image] * 8))
        assert all(np.array_equal(one, enlarged[0]) for one in enlarged)


def of(compiled, kind):
    return [line for line in compiled.splitlines() if line.startswith(f"{kind} ")]


def assert_is_a_network(compiled):
    magic, counts, *lines = compiled.splitlines()
    made, read = [], []
    for line in lines:
        _, _, inputs, results, *names = line.split()
        read += names[: int(inputs)]
        made += names[int(inputs) : int(inputs) + int(results)]
        assert set(read) <= set(made)
    assert (magic, counts) == ("7767517", f"{len(lines)} {len(made)}")
    assert len(set(made)) == len(made)
    assert len(set(read)) == len(read)  # once each
    assert set(made) - set(read) == {"upscaled"}


@pytest.mark.parametrize("scale", [2, 8])
def test_transposed_convolutions_and_corners(scale, tmp_path):
    model = srresnet(
        channels=1, scale=scale, filters=8, blocks=1, upsample="transpose", grid="corner", batch_norm=False
    )
    randomise(model)
    models.export(model, tmp_path / "model")
    engine = make("ncnn", tmp_path / "model", card.read(tmp_path / "model"))
    assert_agrees(engine, models.load(tmp_path / "model"), 1)


def saved(folder, function, channels):
    """Save a function of an image (1, H, W, channels) as an export would be; return what calls it."""
    signature = [tf.TensorSpec((None, None, None, channels), tf.float32, name="image")]
    compiled = tf.function(lambda image: {"upscaled": function(image)}, input_signature=signature)
    tf.saved_model.save(tf.Module(), str(folder), signatures=compiled)
    return lambda image: compiled(image)["upscaled"].numpy()


def kernel(*shape):
    return np.random.default_rng(sum(shape)).normal(0, (1 / np.prod(shape[:-1])) ** 0.5, shape).astype("float32")


def conv(x, *shape, padding="SAME"):
    return tf.nn.conv2d(x, kernel(*shape), 1, padding)


def transposed(x, size, stride, filters):
    _, height, width, channels = tf.unstack(tf.shape(x))
    weights = kernel(size, size, filters, x.shape[-1])
    shape = (tf.shape(x)[0], stride * height, stride * width, filters)
    return tf.nn.conv2d_transpose(x, weights, shape, stride, "SAME")


def read_twice(x):
    y = conv(x, 3, 3, 4, 4)
    return tf.concat([y * 2, y + vector, tf.nn.relu(y)], -1)


def even(x):
    padded = tf.pad(x, [[0, 0], [2, 1], [0, 3], [0, 0]])
    return conv(conv(padded, 2, 4, 4, 8, padding="VALID"), 4, 4, 8, 4)


def rows_added(x):
    y = tf.pad(conv(x, 1, 3, 4, 6), [[0, 0], [1, 1], [0, 0], [0, 0]])
    return y[:, :-2, :, :3] + y[:, 2:, :, 3:] + vector[:3]


def framed(x):
    y = tf.pad(conv(x, 1, 1, 4, 4) + vector, [[0, 0], [1, 1], [2, 1], [0, 0]])  # zeros around, not the bias
    return tf.concat([y, tf.pad(conv(x, 3, 3, 4, 4), [[0, 0], [1, 1], [2, 1], [0, 0]])], -1)


def middle(x):
    y = conv(tf.pad(x, [[0, 0], [2, 2], [2, 2], [0, 0]]), 3, 3, 4, 6) + 1
    return tf.concat([y[:, 3:-1, 1:-3, 1:3], y[:, 1:-3, 1:-3, :5]], -1)


vector = np.float32([0.5, -2, 3, 1])

FUNCTIONS = {
    "activations": lambda x: tf.concat(
        [tf.nn.elu(x), tf.nn.softplus(x), tf.sigmoid(x), tf.nn.silu(x), tf.tanh(x), tf.nn.relu(x), tf.nn.leaky_relu(x)],
        -1,
    ),
    "two maps": lambda x: tf.concat([x * tf.tanh(x), x - tf.sigmoid(x), tf.tanh(x) / (2 + tf.sigmoid(x))], -1),
    "constants": lambda x: tf.concat([(vector - x) * vector, -(x / vector), 2 - (x + vector) / 2], -1),
    "a convolution read twice": read_twice,
    "channels": lambda x: tf.concat([x[..., 2:], x[:, :, :, :1], x[:1, ..., 1:3]], -1),
    "minimum": lambda x: tf.minimum(x, 0.25) + vector * tf.minimum(x, 0),
    "even kernels": even,
    "rows added up": rows_added,
    "a frame of zeros": framed,
    "parts of a convolution": middle,
    "two convolutions added up": lambda x: conv(x, 3, 3, 4, 2) + (conv(x, 5, 5, 4, 2) - 3) * 2,
    "scaled twice": lambda x: (lambda y: y * ((y * 2 + 1) * vector - 1))(conv(x, 3, 3, 4, 4)),
    "large kernels": lambda x: conv(conv(x, 3, 3, 4, 32), 7, 7, 32, 2) + conv(conv(x, 1, 1, 4, 16), 4, 4, 16, 2),
    "side by side": lambda x: tf.concat([conv(x, 3, 3, 4, 2), conv(x, 5, 1, 4, 3) + 1, conv(x, 2, 2, 4, 1)], -1),
    "transposed 2, 2": lambda x: transposed(x, 2, 2, 3),
    "transposed 3, 2": lambda x: transposed(x, 3, 2, 3),
    "transposed 5, 3": lambda x: transposed(x, 5, 3, 2),
    "shuffle": lambda x: tf.nn.depth_to_space(conv(x, 3, 3, 4, 18), 3),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_operations_agree_with_tensorflow(name, tmp_path):
    reference = saved(tmp_path / "model", FUNCTIONS[name], 4)
    engine = make("ncnn", tmp_path / "model", {"fingerprint": name})
    assert_agrees(engine, reference, 4, sizes=[(1, 1), (5, 18)])


REFUSED = {
    "Erfc": lambda x: tf.nn.gelu(x),
    "BatchToSpaceND, .*SpaceToBatchND": lambda x: keras.ops.conv(
        x, kernel(3, 3, 4, 4), padding="same", dilation_rate=2
    ),
    r"Conv2D of strides \[1, 2, 2, 1\]": lambda x: tf.nn.conv2d(x, kernel(3, 3, 4, 4), 2, "SAME"),
    r"Conv2D of .* kernel \(3, 3, 2, 4\)": lambda x: conv(x, 3, 3, 2, 4),  # in groups
    "a part of an image": lambda x: x[:, 1:],
    "every second channel": lambda x: x[..., ::2],
    "a constant divided by a map": lambda x: 1 / x,
    r"a constant \(1, 1, 2, 1\) for 4 channels": lambda x: x + np.ones((1, 1, 2, 1), "float32"),
    "Mul of 1 and 4 channels": lambda x: x[..., :1] * x,
    "Pad of channels": lambda x: tf.pad(x, [[0, 0], [0, 0], [0, 0], [1, 1]]),
    "ConcatV2": lambda x: tf.concat([x, x], 1),
    "Reshape": lambda x: tf.reshape(x, (1, -1, 1, 4)),
    "Tile": lambda x: tf.tile(x, (1, 1, 1, 2)),
    "ExpandDims": lambda x: tf.expand_dims(x, -1),
    "Minimum of two maps": lambda x: tf.minimum(x, tf.tanh(x)),
}


@pytest.mark.parametrize("received", REFUSED)
def test_what_no_layer_computes_is_refused(received, tmp_path):
    saved(tmp_path / "model", REFUSED[received], 4)
    with pytest.raises(ValueError, match=f"Received: {received}.*Use another engine or format$"):
        ncnn_format.write(tmp_path / "model", tmp_path / "model.param")
    assert not (tmp_path / "model.param").exists()


def test_a_conversion_that_ncnn_cannot_read(tmp_path, monkeypatch, capfd):
    saved(tmp_path / "model", lambda x: conv(x, 3, 3, 4, 4), 4)
    write = ncnn_format.write

    def cut(model, target):
        write(model, target)
        target.write_text(target.read_text().replace("Convolution", "Konvolution"))

    monkeypatch.setattr(ncnn_format, "write", cut)
    with pytest.raises(ValueError, match="ncnn .* cannot read its network. Update ncnn, or use another engine"):
        make("ncnn", tmp_path / "model", {"fingerprint": "0"})
    assert "Konvolution" in capfd.readouterr().err
