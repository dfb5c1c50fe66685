"""What several test files use: images and data sets, networks and their textbook forms, the two training scripts."""

import contextlib
import csv
import functools
import gc
import logging
import os
import shutil
import signal
import subprocess
import sys
from io import StringIO
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
# The two workers of `make test` have a core each.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
# Machine code that runs once or twice need not be fast.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")

import cv2  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("MSRGAN_DATA", ROOT.parent / "shared" / "data"))


LONGEST = {
    *("test_scripts", "test_variants", "test_step_by_hand", "test_step", "test_benchmarks", "test_session"),
    *("test_variants_published", "test_hpa", "test_examples", "test_train_srgan", "test_train_vgg"),
    *("test_strategy_replicas", "test_notebook"),  # of `make test-long`
}


def pytest_collection_modifyitems(items):
    """Let the files that take longest come first, so that both workers end together."""
    items.sort(key=lambda item: item.path.stem not in LONGEST)


def pytest_configure():
    """Let tests be interrupted: what a shell starts in the background ignores Ctrl-C, and so do its children."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish():
    """Let garbage collections pass over what was imported, which took a quarter of a second each time."""
    gc.freeze()


@pytest.fixture
def real_data():
    """Folder of real images, which are not part of the project."""
    if not DATA.is_dir():
        pytest.skip(f"no real images in {DATA}; set MSRGAN_DATA")
    return DATA


def spots(seed, size=48, channels=3, dtype=np.uint8):
    """Bright blobs of random place and size on a dark, slightly noisy ground."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size, :size]
    image = rng.normal(0.05, 0.01, (size, size, channels))
    for _ in range(6):
        y, x, radius = rng.uniform(0, size), rng.uniform(0, size), rng.uniform(2, 6)
        blob = np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * radius**2))
        image += blob[..., None] * rng.uniform(0.2, 0.9, channels)
    return (np.clip(image, 0, 1) * np.iinfo(dtype).max).astype(dtype)


@pytest.fixture(scope="session")
def image_folder(tmp_path_factory):
    """Two classes, `disc` and `stripes`, of six colour PNG files of 48x48 pixels."""
    folder = tmp_path_factory.mktemp("images")
    for label, name in enumerate(("disc", "stripes")):
        (folder / name).mkdir()
        for k in range(6):
            image = spots(10 * label + k)
            if label:
                image[::4] = 255 - image[::4]
            cv2.imwrite(str(folder / name / f"{k}.png"), image)
    return folder


def script(name, *arguments, env=()):
    """Start a training script as a user would, in a fresh process."""
    command = [sys.executable, str(ROOT / name), *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=ROOT, env={**os.environ, **dict(env)}, **pipes)


def images(*shape, seed=0):
    """Return uniform noise in [-1, 1], float32."""
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype("float32")


def parameters(model):
    """Count what a network trains and what it has; return both."""
    return sum(w.value.shape.num_elements() for w in model.trainable_weights), model.count_params()


def tiny(variant):
    """Sizes of a variant's generator, as small as they get."""
    return variant.sizes | {name: n for name, n in (("filters", 4), ("blocks", 1)) if name in variant.sizes}


def randomise(model, seed=0):
    """Give every weight, statistics included, a value that matters; outputs stay of the order of 1."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        kind = weight.path.rsplit("/", 1)[-1]
        if kind == "kernel":
            values = rng.normal(0, (2 / np.prod(weight.shape[:-1])) ** 0.5, weight.shape)
        elif kind in ("gamma", "moving_variance"):
            values = rng.uniform(0.4, 1.6, weight.shape)
        else:
            values = rng.normal(0, 0.3, weight.shape)
        weight.assign(values)


class Textbook:
    """The layers of a network, written out anew by a test: each takes the weights of the layer of its name.

    Args:
        model: network whose weights, and whose dropout's random numbers, are taken as they are now.
        training: mode of the new layers.
    """

    def __init__(self, model, *, training):
        self._model, self._training = model, training
        self._weights = {layer.name: layer.get_weights() for layer in model.layers if layer.weights}
        self.layers = {}

    def __call__(self, x, layer, name):
        """Call a new layer with the weights of the network's layer of that name."""
        layer.build(x.shape)
        taken = zip(self._weights[name], layer.get_weights(), strict=True)
        layer.set_weights([weight.reshape(own.shape) for weight, own in taken])
        self.layers[name] = layer
        return layer(x, training=self._training)

    def dropout(self, x, layer, name):
        """Call a new dropout with the random numbers of the network's dropout of that name."""
        layer.seed_generator.state.assign(self._model.get_layer(name).seed_generator.state)
        return layer(x, training=self._training)


def assert_textbook(model, textbook, x):
    """Compare a network with its textbook form, `(Textbook, x) -> y`, at inference and in training mode.

    Outputs, moving statistics and, in training, gradients must agree, and no layer of the network may be left over.
    """
    import tensorflow as tf

    for training in (False, True):
        net = Textbook(model, training=training)
        with tf.GradientTape() as plain_tape:
            expected = textbook(net, tf.constant(x))
            direction = tf.random.stateless_normal(expected.shape, (1, 2), dtype=expected.dtype)
            loss = tf.reduce_sum(direction * expected)
        with tf.GradientTape() as tape:
            y = tf.cast(model(x, training=training), expected.dtype)
            our_loss = tf.reduce_sum(direction * y)
        assert np.std(y) > 0.01  # else there would be nothing to compare
        np.testing.assert_allclose(y, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
        assert set(net.layers) == {layer.name for layer in model.layers if layer.weights}
        pairs = [(model.get_layer(name), layer) for name, layer in net.layers.items()]
        for ours, plain in pairs:
            for a, b in zip(plain.get_weights(), ours.get_weights(), strict=True):
                np.testing.assert_allclose(b.reshape(a.shape), a, rtol=1e-5, atol=1e-6, err_msg=ours.name)
    weights = [w for ours, _ in pairs for w in ours.trainable_weights]
    gradients = tape.gradient(our_loss, weights)
    expected = plain_tape.gradient(loss, [w for _, plain in pairs for w in plain.trainable_weights])
    for weight, a, b in zip(weights, expected, gradients, strict=True):
        np.testing.assert_allclose(np.reshape(b, a.shape), a, rtol=0, atol=1e-4 * np.abs(a).max(), err_msg=weight.path)


@pytest.fixture
def said(caplog):
    """What the library says and warns of, as caplog."""
    caplog.set_level("INFO", logger="msrgan")
    ours = logging.Filter("msrgan")
    caplog.handler.addFilter(ours)
    yield caplog
    caplog.handler.removeFilter(ours)


def cjdata(label=1, patient="100360", shape=(32, 40), seed=0):
    """The fields of a slice as MATLAB shows them: a bright rectangle, high up on the right, is the tumour."""
    rows, columns = slice(2, 10), slice(shape[1] - 14, shape[1] - 2)
    image = np.random.default_rng(seed).integers(0, 900, shape, dtype=np.int16)
    mask = np.zeros(shape, bool)
    mask[rows, columns] = True
    image[mask] = 1500
    # The corners, (x, y), counted from 1.
    left, right, top, bottom = columns.start + 1, columns.stop, rows.start + 1, rows.stop
    border = np.array([[left, top, right, top, right, bottom, left, bottom]], float)
    return {"PID": patient, "label": float(label), "image": image, "tumorBorder": border.T, "tumorMask": mask}


def write_5(path, fields, struct="cjdata"):
    """Write a MATLAB file of version 5."""
    import scipy.io

    path.parent.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(path, {struct: fields})


@pytest.fixture(scope="session")
def few_slices(tmp_path_factory):
    """Raw files of brain_tumor: five slices of five patients."""
    folder = tmp_path_factory.mktemp("slices")
    for k in range(5):
        write_5(folder / f"{k}.mat", cjdata(patient=f"P{k}"))
    return folder


@pytest.fixture(scope="session")
def few_slices_prepared(few_slices, tmp_path_factory):
    """The folder of prepared sets that holds them. Tests read it only."""
    from msrgan import datasets

    folder = tmp_path_factory.mktemp("sets")
    datasets.load("brain_tumor", "train", manual_dir=few_slices, data_dir=folder)
    return folder


def smooth(shape, dtype=np.uint16, seed=0):
    """A smooth image of blobs, so that interpolation restores it in part."""
    import tensorflow as tf

    rng = np.random.default_rng(seed)
    coarse = tf.image.resize(rng.random((1, 8, 8, shape[2])), shape[:2], method="bicubic")[0].numpy()
    coarse = np.clip(coarse, 0, 1) + 0.02 * rng.random(shape)
    return (coarse * np.iinfo(dtype).max / 20).astype(dtype)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 200 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", folder]
    if not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.fixture(scope="session")
def tiny_upscaler():
    """Make a model x4 of some channels that looks 3 pixels far, sees the border of its image and is not linear."""
    import tensorflow as tf

    from msrgan.models import Upscaler, card

    @functools.cache
    def network(channels):
        rng = np.random.default_rng(channels)
        first = tf.constant(rng.normal(0, 0.2, (5, 5, channels, 6)), tf.float32)
        last = tf.constant(rng.normal(0, 0.2, (3, 3, 6, 16 * channels)), tf.float32)

        @tf.function(input_signature=[tf.TensorSpec((None, None, None, channels))])
        def function(batch):
            features = tf.nn.relu(tf.nn.conv2d(batch, first, 1, "SAME") + 0.1)
            residual = tf.nn.depth_to_space(tf.nn.conv2d(features, last, 1, "SAME"), 4)
            return residual + tf.repeat(tf.repeat(batch, 4, axis=1), 4, axis=2)

        return function

    def make(channels=1, **metadata):
        sizes = {"scale": 4, "channels": channels, "receptive_radius": 3}
        return Upscaler(network(channels), sizes | card.defaults() | metadata)

    return make


def table(path):
    """Rows of a CSV file, as dicts of texts."""
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def run_script(main, arguments, out):
    """Run a script's main in this process; return what it printed."""
    with contextlib.redirect_stdout(StringIO()) as printed:
        assert main([*map(str, arguments), "--out", str(out)]) == 0
    return printed.getvalue()


def untrace(patch):
    """Let runs take their steps eagerly: of few steps, most of the time is that of tracing them."""
    from msrgan.training.loop import Loop

    traced = Loop._compiled
    patch.setattr(Loop, "_compiled", lambda self, step: traced(self, step).python_function)


def small_discriminators(patch):
    """Let discriminators have 2 convolutions instead of 8, whose 5 million weights take the time of a small run."""
    from msrgan.training.variants import VARIANTS

    for name, variant in VARIANTS.items():
        if variant.discriminator:
            small = functools.partial(variant.discriminator, filters=4, stages=((2, 2), (4, 2)))
            patch.setitem(VARIANTS, name, variant._replace(discriminator=small))


@pytest.fixture
def untraced(monkeypatch):
    """Runs take their steps eagerly, with small discriminators."""
    untrace(monkeypatch)
    small_discriminators(monkeypatch)


def fit_line(folder, steps=10, distribution=None, **arguments):
    """Return the simplest model that the loop can run, y = a x, and its loop: batches of four, y = 3 x."""
    import keras
    import tensorflow as tf

    from msrgan.training.loop import Loop, Phase

    class Line(keras.Model):
        def __init__(self):
            super().__init__()
            self.a = self.add_weight(shape=(), initializer="zeros", name="a")
            self.optimizer_ = keras.optimizers.SGD(0.1)
            self.optimizer_.build([self.a])

        def step(self, batch):
            x, y = batch
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean((self.a * x - y) ** 2) / tf.distribute.get_strategy().num_replicas_in_sync
            self.optimizer_.apply(tape.gradient(loss, [self.a.value]), [self.a])
            return {"loss": loss}

    def batches(ctx, step):
        x = tf.data.Dataset.range(step * 4, 10**6).shard(ctx.num_input_pipelines, ctx.input_pipeline_id)
        x = x.map(lambda k: tf.cast(k % 7, tf.float32))
        return x.map(lambda x: (x, 3 * x)).batch(4 // ctx.num_replicas_in_sync)

    distribution = distribution or tf.distribute.get_strategy()
    with distribution.scope():
        model = Line()
    settings = {"steps_per_epoch": 4, "checkpoint_every": 3, "folder": folder, "distribution": distribution}
    loop = Loop(model, [model.optimizer_], [Phase("only", model.step, steps)], batches, **settings, **arguments)
    return model, loop


@pytest.fixture
def noisy_pair():
    """A reference of 12-bit noise, (40, 50, 3), and the same with more noise."""
    rng = np.random.default_rng(3)
    reference = rng.integers(0, 4096, (40, 50, 3), dtype=np.uint16)
    noise = rng.integers(-100, 100, reference.shape)
    return reference, np.clip(reference + noise, 0, 4095).astype(np.uint16)


@pytest.fixture
def hr():
    """An HR image of uniform noise in [0, 1], (24, 32, 2)."""
    return np.random.default_rng(0).uniform(size=(24, 32, 2)).astype("float32")


def image_dataset(images, names=None):
    """Return a set of images of any sizes and of an unknown number, named image0, image1, ..."""
    import tensorflow as tf

    names = tf.constant(names or [f"image{k}" for k in range(len(images))])

    def example(k):
        image = tf.numpy_function(lambda k: images[k], [k], images[0].dtype)
        return {"id": names[k], "image": tf.ensure_shape(image, (None, None, None))}

    return tf.data.Dataset.range(len(images)).filter(lambda k: True).map(example)


def load_examples(data, split, **arguments):
    """Return the examples of a data set, in a list."""
    from msrgan import datasets

    return list(datasets.load(data, split, **arguments).as_numpy_iterator())


def ids(examples):
    """Return the ids of examples, sorted."""
    return sorted(example["id"].decode() for example in examples)


def write_image(path, image):
    """Write an image by OpenCV (BGR), and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image)


def error_lines(capsys):
    """Return the lines that were written to stderr."""
    return capsys.readouterr().err.strip().splitlines()


def binned(image, scale=2):
    """Mean over blocks, in the units of the image; exact for images made by `blocky`."""
    height, width = (size // scale for size in image.shape[:2])
    return image[: height * scale, : width * scale].reshape(height, scale, width, scale, -1).mean(axis=(1, 3))


def blocky(seed, *, size=32, channels=1, dtype=np.uint16, scale=2):
    """An image of noise whose blocks of scale x scale pixels have whole means."""
    rng = np.random.default_rng(seed)
    high = np.iinfo(dtype).max // 2
    means = rng.integers(high // 4, high, (size // scale, size // scale, channels))
    fine = rng.integers(0, high // 5, (size, size, channels))
    fine[1::2, :] = -fine[::2, :]  # every block adds up to nothing
    return (means.repeat(scale, 0).repeat(scale, 1) + fine).astype(dtype)


def write_pairs(folder, pairs, suffixes=(".png", ".png")):
    """Write acquired pairs, {name: (lr, hr)}, as folders lr and hr."""
    from msrgan import io

    for name, (lr, hr) in pairs.items():
        io.write_pixels(folder / "lr" / f"{name}{suffixes[0]}", lr)
        io.write_pixels(folder / "hr" / f"{name}{suffixes[1]}", hr)


def make_pairs(count=8, scale=2, **arguments):
    """Return pairs whose LR images are exact means, {name: (lr, hr)}."""
    hr = {f"field{k}": blocky(k, scale=scale, **arguments) for k in range(count)}
    return {name: (binned(image, scale).astype(image.dtype), image) for name, image in hr.items()}


def remember_reads(patch, reads):
    """Append the path of every image file that is read to a list."""
    from msrgan import io

    read_file = io.read_pixels
    patch.setattr("msrgan.io.read_pixels", lambda path, **named: reads.append(path) or read_file(path, **named))


def same(first, second):
    """Tell whether two lists of arrays are equal."""
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def note(values, tensor):
    """Append the value of a tensor to a list whenever the graph runs."""
    import tensorflow as tf

    tf.numpy_function(lambda value: values.append(value.copy()) or np.int64(0), [tensor], tf.int64)
