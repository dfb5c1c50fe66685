"""Several workers and several devices end where one does; a lost worker is told."""

import json
import os
import socket
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT, run_script, script, table, tiny

import msrgan.networks  # noqa: F401  registers the layers
import train_srgan
import train_vgg
from msrgan.losses import Objective
from msrgan.training.loop import Loop, Phase
from msrgan.training.step import SRGAN
from msrgan.training.variants import VARIANTS

pytestmark = pytest.mark.long

VGG = ["--width", 1 / 32, "--image-size", 32, "--batch-size", 4, "--seed", 3, "--epochs", 2]
GAN = ["--filters", 4, "--blocks", 1, "--scale", 2, "--patch-size", 16, "--batch-size", 4, "--seed", 3]
GAN += ["--variant", "srgan", "--vgg", "none", "--alpha", 1, "--validate-every", 5]

# Starts a script whose calls are of three steps, as they are of several on a GPU.
CALLS = """
import importlib, sys
from msrgan.training import session
session.steps_per_call = lambda: 3
sys.exit(importlib.import_module(sys.argv.pop(1)).main())
"""


def two_workers():
    """TF_CONFIG of each of two workers on this machine."""
    ports = []
    for _ in range(2):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            ports.append(free.getsockname()[1])
    cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
    return [json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}}) for index in range(2)]


def weights(path):
    return keras.saving.load_model(path, compile=False).get_weights()


@pytest.mark.parametrize(
    ("main", "arguments", "product"),
    [
        (train_vgg.main, VGG, "vgg.keras"),
        # Dropout draws per replica; everything else must agree.
        (train_srgan.main, [*GAN, "--dropout", 0, "--pretrain-steps", 4, "--steps", 4], "generator.keras"),
    ],
)
def test_two_workers_end_with_the_weights_of_one(main, arguments, product, image_folder, tmp_path):
    arguments = ["--data", image_folder, *arguments]
    (tmp_path / "calls.py").write_text(CALLS)
    workers = []
    for config in two_workers():
        out = [main.__module__, *arguments, "--out", tmp_path / "two"]
        workers.append(script(tmp_path / "calls.py", *out, env={"TF_CONFIG": config, "PYTHONPATH": str(ROOT)}))
    outputs = [worker.communicate(timeout=300) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], outputs[0][1][-2000:] + outputs[1][1][-2000:]
    assert "epoch 2, step" in outputs[0][0]
    assert "epoch 1" not in outputs[1][0]
    run_script(main, arguments, tmp_path / "one")
    for two, one in zip(weights(tmp_path / "two" / product), weights(tmp_path / "one" / product), strict=True):
        np.testing.assert_allclose(two, one, atol=1e-5)
    # Adam hardly feels a loss that is twice as large; the logs do.
    for two, one in zip(table(tmp_path / "two" / "history.csv"), table(tmp_path / "one" / "history.csv"), strict=True):
        for name in set(one) - {"phase"}:
            rel = 0.3 if name.startswith("norm_") else 1e-3  # of two norms only the like sum up exactly
            assert float(two[name] or 0) == pytest.approx(float(one[name] or 0), rel=rel, abs=1e-6), name


def fit_srgan(name, folder, distribution):
    """Train a tiny SRGAN for two pixel and two GAN steps; return its averaged weights and its discriminator's."""
    keras.utils.set_random_seed(0)
    variant = VARIANTS[name]
    with distribution.scope():
        generator = variant.generator(channels=1, scale=2, **tiny(variant))
        model = SRGAN(generator, variant.discriminator(channels=1, patch=16, filters=4, stages=((1, 1), (2, 2))))
        # Plain descent shows the size of a gradient; Adam would hide a loss that is twice as large.
        optimizers = keras.optimizers.SGD(0.1), keras.optimizers.SGD(0.1)
        model.compile(Objective(adversarial=variant.adversarial, gamma=0.01), *optimizers)
    hr = np.random.default_rng(0).normal(size=(16, 16, 16, 1)).astype("float32")
    lr = hr.reshape(16, 8, 2, 8, 2, 1).mean(axis=(2, 4))

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
        steps_per_call=distribution.num_replicas_in_sync,
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
from conftest import fit_line
from test_strategy_replicas import fit_srgan
from msrgan.training.strategy import use_xla
folder = Path({str(tmp_path)!r})
one, two = tf.distribute.get_strategy(), tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
slopes = []
for name, distribution in (("one", one), ("two", two)):
    model, loop = fit_line(folder / name, distribution=distribution)
    loop.run()
    slopes.append(float(model.a.numpy()))
assert abs(slopes[0]) > 0.1
np.testing.assert_allclose(slopes[1], slopes[0], atol=1e-6)
for name in ("msrgan", "srgan", "realtime", "esrgan"):
    pairs = zip(fit_srgan(name, folder / name / "1", one), fit_srgan(name, folder / name / "2", two), strict=True)
    print(name, max(np.abs(a - b).max() for a, b in pairs))
# What two GPUs would do: XLA compiles for one.
tf.config.list_physical_devices = lambda kind: ["gpu"] * 2
model, loop = fit_line(folder / "xla", distribution=two, jit=use_xla("auto", two.num_replicas_in_sync))
loop.run()
assert abs(float(model.a.numpy()) - slopes[0]) < 1e-6
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    differences = dict(line.split() for line in done.stdout.splitlines()[-4:])
    assert set(differences) == {"msrgan", "srgan", "realtime", "esrgan"}
    assert max(map(float, differences.values())) < 1e-5, differences


def test_a_lost_worker_is_told_in_one_line():
    code = """
import os, sys
from msrgan.messages import command, import_tensorflow

def body():
    import_tensorflow()
    import tensorflow as tf
    from msrgan.training.strategy import is_chief, lost_worker, strategy

    distribution = strategy()
    mean = tf.function(lambda: distribution.run(lambda: tf.distribute.get_replica_context().all_reduce("MEAN", 1.0)))
    with lost_worker(distribution):
        for step in range(1000):
            mean()
            if step == 3 and not is_chief():
                os._exit(9)

sys.exit(command(body))
"""
    workers = []
    for config in two_workers():
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        environment = {**os.environ, "TF_CONFIG": config}
        workers.append(subprocess.Popen([sys.executable, "-c", code], env=environment, cwd=ROOT, **pipes))
    errors = [worker.communicate(timeout=300)[1] for worker in workers]
    assert [worker.returncode for worker in workers] == [2, 9], errors
    assert errors[0].startswith("msrgan: error: Another worker is lost")
    assert errors[0].count("\n") == 1
