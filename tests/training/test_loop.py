"""The loop of both stages in its hard moments: killed, resumed, continued, distributed, diverged."""

import contextlib
import csv
import io
import json
import os
import signal
import socket
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT, script, tiny

import msrgan.networks  # noqa: F401  registers the layers
import train_srgan
import train_vgg
from msrgan.losses import Objective
from msrgan.training.interrupt import held
from msrgan.training.loop import Loop, Phase, Progress, validation_interval
from msrgan.training.step import SRGAN
from msrgan.training.variants import VARIANTS

VGG = ["--width", 1 / 32, "--image-size", 32, "--batch-size", 4, "--seed", 3]
GAN = ["--filters", 4, "--blocks", 1, "--scale", 2, "--patch-size", 16, "--batch-size", 4, "--seed", 3]
# Batch norm and dropout: everything that has a state of its own.
GAN += ["--variant", "srgan", "--dropout", 0.3, "--vgg", "none", "--alpha", 1, "--validate-every", 5]


def history(run):
    with open(run / "history.csv", newline="") as file:
        return list(csv.DictReader(file))


def weights(path):
    return [np.array(w) for w in keras.saving.load_model(path, compile=False).get_weights()]


def assert_same(first, second):
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


def run(main, arguments, out):
    """Run a script's main in this process; return what it printed."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert main([*map(str, arguments), "--out", str(out)]) == 0
    return printed.getvalue()


def test_a_finished_run_is_continued_by_more_steps(image_folder, tmp_path):
    arguments = ["--data", image_folder, *GAN, "--pretrain-steps", 5]
    run(train_srgan.main, [*arguments, "--steps", 5], tmp_path)
    first = weights(tmp_path / "generator.keras")
    assert "resumed at step 10" in run(train_srgan.main, [*arguments, "--steps", 5], tmp_path)
    assert_same(first, weights(tmp_path / "generator.keras"))
    assert "resumed at step 10" in run(train_srgan.main, [*arguments, "--steps", 9], tmp_path)
    assert [row["step"] for row in history(tmp_path)] == ["5", "10", "14"]
    pairs = zip(first, weights(tmp_path / "generator.keras"), strict=True)
    assert any(not np.array_equal(a, b) for a, b in pairs)


def test_another_configuration_is_refused_and_no_resume_starts_anew(image_folder, tmp_path, capfd):
    arguments = ["--data", image_folder, *GAN, "--pretrain-steps", 2, "--steps", 0]
    run(train_srgan.main, arguments, tmp_path)
    capfd.readouterr()
    assert train_srgan.main([*map(str, arguments), "--filters", "8", "--out", str(tmp_path)]) == 2
    message = capfd.readouterr().err
    assert message.count("\n") == 1
    assert "filters was 4, now 8" in message
    assert "resumed" not in run(train_srgan.main, [*arguments, "--filters", 8, "--no-resume"], tmp_path)
    assert [row["step"] for row in history(tmp_path)] == ["2"]


@pytest.mark.parametrize(
    ("main", "arguments", "product"),
    [
        (train_vgg.main, [*VGG, "--epochs", 2], "vgg.keras"),
        # Dropout draws per replica; everything else must agree.
        (train_srgan.main, [*GAN, "--dropout", 0, "--pretrain-steps", 4, "--steps", 4], "generator.keras"),
    ],
)
def test_two_workers_end_with_the_weights_of_one(main, arguments, product, image_folder, tmp_path):
    arguments = ["--data", image_folder, *arguments]
    ports = []
    for _ in range(2):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            ports.append(free.getsockname()[1])
    cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
    workers = []
    for index in range(2):
        config = json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})
        out = [*arguments, "--out", tmp_path / "two"]
        workers.append(script(f"{main.__module__}.py", *out, env={"TF_CONFIG": config}))
    outputs = [worker.communicate(timeout=300) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], outputs[0][1][-2000:] + outputs[1][1][-2000:]
    assert "epoch 2, step" in outputs[0][0]
    assert "epoch 1" not in outputs[1][0]
    run(main, arguments, tmp_path / "one")
    for two, one in zip(weights(tmp_path / "two" / product), weights(tmp_path / "one" / product), strict=True):
        np.testing.assert_allclose(two, one, atol=1e-5)
    # Adam hardly feels a loss that is twice as large; the logs do.
    for two, one in zip(history(tmp_path / "two"), history(tmp_path / "one"), strict=True):
        for name in set(one) - {"phase"}:
            rel = 0.3 if name.startswith("norm_") else 1e-3  # of two norms only the like sum up exactly
            assert float(two[name] or 0) == pytest.approx(float(one[name] or 0), rel=rel, abs=1e-6), name


class Line(keras.Model):
    """y = a x, the simplest model the loop can run."""

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


def numbers(ctx, step):
    batch = 4 // ctx.num_replicas_in_sync
    x = tf.data.Dataset.range(step * 4, 10**6).shard(ctx.num_input_pipelines, ctx.input_pipeline_id)
    x = x.map(lambda k: tf.cast(k % 7, tf.float32))
    return x.map(lambda x: (x, 3 * x)).batch(batch)


def fit(folder, steps=10, model=None, distribution=None, **arguments):
    distribution = distribution or tf.distribute.get_strategy()
    with distribution.scope():
        model = model or Line()
    loop = Loop(
        model,
        [model.optimizer_],
        [Phase("only", model.step, steps)],
        numbers,
        steps_per_epoch=4,
        folder=folder,
        checkpoint_every=3,
        distribution=distribution,
        **arguments,
    )
    return model, loop


class Epochs(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.logs = []

    def on_epoch_end(self, epoch, logs=None):
        self.logs.append(logs)


def test_epochs_report_means_and_validation(tmp_path):
    seen = Epochs()
    model, loop = fit(tmp_path, validate=lambda: {"val": 7.0})
    loop.run([seen])
    assert [(e["step"], e["phase"], e["val"]) for e in seen.logs] == [
        (4, "only", 7),
        (8, "only", 7),
        (10, "only", 7),
    ]
    # By hand: the loss of step one is mean((0 - 3 x)^2) for x = 0, 1, 2, 3, and a moves to 0.1 * 2 * 3 * 14 / 4.
    a, losses = 0.0, []
    for step in range(4):
        x = np.arange(step * 4, step * 4 + 4) % 7
        losses.append(np.mean((a * x - 3 * x) ** 2))
        a -= 0.1 * np.mean(2 * (a * x - 3 * x) * x)
    assert seen.logs[0]["loss"] == pytest.approx(np.mean(losses), rel=1e-5)


def fit_srgan(name, folder, distribution):
    """Train a tiny SRGAN for two pixel and two GAN steps; return its averaged weights and its discriminator's."""
    keras.utils.set_random_seed(0)
    variant = VARIANTS[name]
    with distribution.scope():
        generator = variant.generator(channels=1, scale=2, **tiny(variant))
        model = SRGAN(generator, variant.discriminator(channels=1, patch=32, filters=4))
        # Plain descent shows the size of a gradient; Adam would hide a loss that is twice as large.
        optimizers = keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1)
        model.compile(Objective(adversarial=variant.adversarial, gamma=0.01), *optimizers)
    hr = np.random.default_rng(0).normal(size=(16, 32, 32, 1)).astype("float32")
    lr = hr.reshape(16, 16, 2, 16, 2, 1).mean(axis=(2, 4))

    def batches(ctx, step):
        return tf.data.Dataset.from_tensor_slices((lr, hr)).skip(4 * step).batch(4 // ctx.num_replicas_in_sync)

    loop = Loop(
        model,
        [model.generator_optimizer, model.discriminator_optimizer],
        [Phase("pixel", model.pretrain_step, 2), Phase("gan", model.train_step, 2)],
        batches,
        steps_per_epoch=2,
        folder=folder,
        checkpoint_every=2,
        distribution=distribution,
    )
    loop.run()
    return model.averaged.get_weights() + model.discriminator.get_weights()


def test_mirrored_replicas_equal_one(tmp_path):
    # In a process of its own: the number of CPU devices is fixed when TensorFlow starts.
    code = f"""
import sys; sys.path[:0] = {[str(p) for p in (ROOT, ROOT / "tests", ROOT / "tests" / "training")]!r}
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import numpy as np
from pathlib import Path
from test_loop import fit, fit_srgan
from msrgan.training.strategy import use_xla
folder = Path({str(tmp_path)!r})
one, two = tf.distribute.get_strategy(), tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
slopes = []
for name, distribution in (("one", one), ("two", two)):
    model, loop = fit(folder / name, distribution=distribution)
    loop.run()
    slopes.append(float(model.a.numpy()))
assert abs(slopes[0]) > 0.1
np.testing.assert_allclose(slopes[1], slopes[0], atol=1e-6)
for name in ("msrgan", "srgan", "realtime", "esrgan"):
    pairs = zip(fit_srgan(name, folder / name / "1", one), fit_srgan(name, folder / name / "2", two), strict=True)
    print(name, max(np.abs(a - b).max() for a, b in pairs))
# What two GPUs would do: XLA compiles for one.
tf.config.list_physical_devices = lambda kind: ["gpu"] * 2
model, loop = fit(folder / "xla", distribution=two, jit=use_xla("auto", two.num_replicas_in_sync))
loop.run()
assert abs(float(model.a.numpy()) - slopes[0]) < 1e-6
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    differences = dict(line.split() for line in done.stdout.splitlines()[-4:])
    assert set(differences) == {"msrgan", "srgan", "realtime", "esrgan"}
    assert max(map(float, differences.values())) < 1e-5, differences


def test_a_damaged_checkpoint_gives_way_to_the_one_before(tmp_path):
    _, loop = fit(tmp_path)
    loop.run()
    (data,) = tmp_path.glob("ckpt-10.data*")
    data.write_bytes(b"")
    assert fit(tmp_path)[1].restore() == 9
    for file in tmp_path.glob("ckpt-*.data*"):
        file.write_bytes(b"")
    with pytest.raises(ValueError, match="no checkpoint can be read. Start anew by `resume`"):
        fit(tmp_path)[1].restore()


def test_nan_stops_the_run_and_spares_the_checkpoint(tmp_path):
    model, loop = fit(tmp_path)
    plain = model.step

    def poisoned(batch):
        logs = plain(batch)
        nan = tf.where(model.optimizer_.iterations.value >= 5, float("nan"), 0.0)
        model.a.assign_add(nan)
        return logs

    loop.phases = [Phase("only", poisoned, 10)]
    with pytest.raises(FloatingPointError, match="loss became NaN or infinite at step 6.*checkpoint is .*ckpt-3"):
        loop.run()
    again, loop = fit(tmp_path)
    assert loop.restore() == 3
    assert np.isfinite(again.a.numpy())


def test_nan_weights_never_enter_a_checkpoint(tmp_path):
    model, loop = fit(tmp_path)
    plain = model.step

    def poisoned(batch):
        logs = plain(batch)
        model.a.assign_add(tf.where(model.optimizer_.iterations.value >= 6, float("inf"), 0.0))
        return logs

    loop.phases = [Phase("only", poisoned, 10)]
    with pytest.raises(FloatingPointError, match="a weight became NaN or infinite by step 6"):
        loop.run()
    assert loop.checkpoints.latest.name == "ckpt-3"


@pytest.mark.parametrize(("name", "value"), [("val_psnr", -np.inf), ("val_psnr", np.nan), ("val_loss", np.inf)])
def test_a_score_that_is_not_finite_stops_the_run_before_its_checkpoint(name, value, tmp_path):
    # An image that is restored exactly has an infinite PSNR.
    scores = iter([{"val_psnr": np.inf}, {name: value}])
    seen = Epochs()
    _, loop = fit(tmp_path, steps=8, validate=lambda: next(scores))
    with pytest.raises(FloatingPointError, match=f"^{name} became NaN or infinite at step 8.*ckpt-6"):
        loop.run([seen])
    assert [logs["step"] for logs in seen.logs] == [4]
    assert fit(tmp_path)[1].restore() == 6


def test_progress_is_saved_exactly():
    progress = Progress()
    progress.totals, progress.memory = {"loss": 0.1 + 0.2}, {"best": 1e-300}
    other = Progress()
    other.deserialize(progress.serialize())
    assert other.totals == progress.totals
    assert other.memory == progress.memory


def test_a_lower_learning_rate_counts_where_a_run_goes_on(tmp_path):
    _, loop = fit(tmp_path, steps=4)
    loop.run()
    model, loop = fit(tmp_path, steps=4)
    model.optimizer_.learning_rate = 0.05
    assert loop.restore() == 4
    assert float(model.optimizer_.learning_rate) == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("images", "crops", "batch", "steps"),
    [
        (32, 1, 16, 100),
        (33, 1, 16, 102),
        (12, 2, 16, 100),
        (1600, 1, 16, 100),
        (1601, 1, 16, 101),
        (800, 1, 16, 100),
        (816, 1, 16, 102),
        (4000, 2, 16, 500),
    ],
)
def test_validations_are_whole_passes_and_100_steps_apart(images, crops, batch, steps):
    assert validation_interval(images, crops, batch) == steps


def test_epochs_end_with_their_phase(tmp_path):
    _, loop = fit(tmp_path)
    loop.phases = [Phase("pixel", None, 9), Phase("none", None, 0), Phase("gan", None, 4)]
    assert loop.epoch_ends == [4, 8, 9, 13]


class Interrupting(keras.callbacks.Callback):
    """Send Ctrl-C at a step, as from a keyboard."""

    def __init__(self, step, number=signal.SIGINT):
        super().__init__()
        self.step, self.number = step, number

    def on_train_batch_end(self, batch, logs=None):
        if batch == self.step:
            os.kill(os.getpid(), self.number)
            sum(range(1000))  # where Python would raise


@pytest.mark.parametrize("step", [5, 8])
def test_ctrl_c_loses_no_step(step, tmp_path):
    whole = Epochs()
    expected, loop = fit(tmp_path / "whole")
    loop.run([whole])
    seen = Epochs()
    _, loop = fit(tmp_path / "cut")
    with pytest.raises(KeyboardInterrupt):
        loop.run([Interrupting(step), seen])
    assert loop.progress.step == step
    model, loop = fit(tmp_path / "cut")
    assert loop.restore() == step
    loop.run([seen])
    assert model.a.numpy() == expected.a.numpy()
    assert seen.logs == whole.logs
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_in_a_validation_repeats_it(tmp_path):
    def interrupted():
        raise KeyboardInterrupt

    seen = Epochs()
    expected, loop = fit(tmp_path / "whole", validate=lambda: {"val": 1.0})
    loop.run([seen])
    _, loop = fit(tmp_path / "cut", steps=4, validate=interrupted)
    with pytest.raises(KeyboardInterrupt):
        loop.run()
    again = Epochs()
    model, loop = fit(tmp_path / "cut", validate=lambda: {"val": 1.0})
    assert loop.restore() == 4
    loop.run([again])
    assert again.logs == seen.logs
    assert model.a.numpy() == expected.a.numpy()


def test_a_signal_that_python_does_not_handle_is_not_held_back():
    arrived = []
    before = signal.signal(signal.SIGTERM, lambda *_: arrived.append("handler"))
    try:
        with held():
            os.kill(os.getpid(), signal.SIGTERM)
            arrived.append("block")
        assert arrived == ["block", "handler"]
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        with held():
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)


def test_an_interrupted_run_whose_checkpoint_fails_still_ends_as_interrupted(tmp_path, caplog):
    _, loop = fit(tmp_path)

    def full(step):
        raise OSError("no space")

    loop.checkpoints.save = full
    with pytest.raises(KeyboardInterrupt):
        loop.run([Interrupting(2)])
    assert "no space" in caplog.text


def test_a_short_epoch_reports_the_mean_of_its_own_steps(tmp_path):
    seen, losses = Epochs(), []
    model, loop = fit(tmp_path)
    note = keras.callbacks.LambdaCallback(on_train_batch_end=lambda step, logs: losses.append(logs["loss"]))
    loop.run([seen, note])
    means = [np.mean(losses[first : first + 4]) for first in (0, 4, 8)]  # the last of two steps
    assert len(losses) == 10
    assert [logs["loss"] for logs in seen.logs] == pytest.approx(means)
