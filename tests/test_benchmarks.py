"""Every benchmark and example starts: what it imports is there, and `--help` says what it does."""

import importlib.util
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT

from msrgan.networks import discriminator, srcnn, srresnet

PATHS = {path.stem: path for folder in ("benchmarks", "examples") for path in (ROOT / folder).glob("*.py")}
# What they import of each other. PyTorch, which `srgan_torch` is written in, is no dependency of the project.
SHARED = {"timing", "raw", "srgan_torch", "textbook"}


@pytest.fixture
def program(monkeypatch):
    """A function that imports a benchmark or an example by its name."""

    def load(name):
        monkeypatch.syspath_prepend(PATHS[name].parent)  # as `python PATH` does
        spec = importlib.util.spec_from_file_location(f"program_{name}", PATHS[name])
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.mark.parametrize("name", sorted(set(PATHS) - SHARED))
def test_help(name, program, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torch", None)  # importing it fails
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    module = program(name)
    with pytest.raises(SystemExit) as stop:
        module.main()
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: {name} [-h]")
    assert " ".join(module.__doc__.split())[:60] in " ".join(shown.split())


def test_what_is_shared_is_no_program():
    assert {name for name, path in PATHS.items() if "__main__" not in path.read_text()} == SHARED


def test_vgg_scores_are_those_of_a_confusion_matrix(program):
    """Mean brightness is the logit: images of class 1 are bright, but two of three are not."""
    image = keras.Input((8, 8, 1))
    mean = keras.layers.GlobalAveragePooling2D()(image)
    network = keras.Model(image, keras.ops.concatenate([-mean, mean], axis=-1))
    # Black and white pixels in each, so that its percentiles are 0 and 255.
    fields = np.zeros((5, 8, 8, 1), np.uint8)
    for field, white in zip(fields, (8, 16, 60, 8, 8), strict=True):
        field.reshape(-1)[:white] = 255
    labelled = tf.data.Dataset.from_tensor_slices({"image": fields, "label": np.array([0, 0, 1, 1, 1], np.int64)})
    scored = program("simulated_baselines").vgg_scores(network, labelled)
    assert scored["accuracy"] == pytest.approx(3 / 5)
    np.testing.assert_allclose(scored["f1"], [2 * 2 / (2 + 4), 2 * 1 / (3 + 1)])


TINY = "--filters 4 --blocks 1 --batches 2 --images 1 --patch 32 --size 8 --calls 3 --matrix 32 --repetitions 1"


def gpu_table(module, monkeypatch, capsys, arguments):
    """Run the benchmark on tiny networks; return the rows of its table, dicts of texts."""
    monkeypatch.setattr(sys, "argv", ["gpu", *TINY.split(), *arguments.split()])
    module.main()
    lines = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    return [dict(zip(lines[0], line, strict=False)) for line in lines[1:]]


@pytest.mark.long
def test_the_table_of_a_gpu_counts_what_was_computed(program, monkeypatch, capsys):
    gpu = program("gpu")
    monkeypatch.setattr(gpu, "VGG_WIDTH", 1 / 64)
    rows = gpu_table(gpu, monkeypatch, capsys, "--variants srcnn --precisions float32")
    # SRCNN is 9x9, 1x1, 5x5 on the enlarged image; a step on pixels is three such products for each of its images.
    products = 9 * 9 * 3 * 64 + 64 * 32 + 5 * 5 * 32 * 3
    expected = [("training step", "2", 2 * 3), ("inference", "1", 1)]
    assert [(row["what"], row["batch"], row["XLA"]) for row in rows] == [
        (what, batch, xla) for xla in ("off", "on") for what, batch, _ in expected
    ]
    for row, (_, _, images) in zip(rows, 2 * expected, strict=True):
        gflop = images * 32**2 * products * 2e-9
        assert float(row["GFLOP"]) == pytest.approx(gflop, rel=5e-3)
        # Three digits each: the columns must agree about what the time of one step, or of one image, is.
        assert float(row["GFLOP/s"]) == pytest.approx(gflop / float(row["ms"]) * 1e3, rel=2e-2)
        assert float(row["images/s"]) == pytest.approx(int(row["batch"]) / float(row["ms"]) * 1e3, rel=2e-2)
        assert "peak MB" not in row  # nothing tells it on a CPU


@pytest.mark.long
def test_the_table_of_a_gpu_has_gans_in_half_precision(program, monkeypatch, capsys):
    gpu = program("gpu")
    monkeypatch.setattr(gpu, "VGG_WIDTH", 1 / 64)
    monkeypatch.setattr(gpu.TensorFlow, "xla", (False,))
    try:
        arguments = "--variants msrgan --precisions bfloat16 --patch 16 --batches 1 --calls 1"
        rows = gpu_table(gpu, monkeypatch, capsys, arguments)
    finally:
        keras.config.set_dtype_policy("float32")
    assert [(row["what"], row["precision"], row["XLA"]) for row in rows] == [
        ("training step", "bfloat16", "off"),
        ("inference", "bfloat16", "off"),
    ]
    # By hand, and three passes through the generator, six through the discriminator, three through five groups of VGG.
    generator = 4**2 * (9 * 3 * 4 + 3 * 9 * 4 * 4 + 9 * 4 * 16) + 8**2 * 9 * 4 * 4 + 16**2 * 9 * 1 * 3
    places = [16**2, 8**2, 8**2, 4**2, 4**2, 2**2, 2**2, 1]
    widths = [3, 64, 64, 128, 128, 256, 256, 512, 512]
    critic = sum(9 * n * a * b for n, a, b in zip(places, widths, widths[1:], strict=False))
    critic += 512 * 1024 + 1024
    widths = [3] + 2 * [1] + 2 * [2] + 4 * [4] + 8 * [8]
    places = 2 * [16**2] + 2 * [8**2] + 4 * [4**2] + 4 * [2**2] + 4 * [1]
    vgg = sum(9 * n * a * b for n, a, b in zip(places, widths, widths[1:], strict=False))
    gflop = 2e-9 * (3 * generator + 6 * critic + 3 * vgg)
    assert float(rows[0]["GFLOP"]) == pytest.approx(gflop, rel=5e-3)
    assert float(rows[0]["ms"]) > 0


@pytest.mark.parametrize(
    ("network", "size", "expected"),
    [
        # 9x9 at the start and at the end, three 3x3 of the body, then two that double each side.
        (
            lambda: srresnet(filters=4, blocks=1, channels=1),
            6,
            36 * (81 * 4 + 3 * 9 * 16 + 9 * 4 * 16) + 144 * 9 * 4 * 16 + 576 * 81 * 4,
        ),
        # Nearest, then 3x3 on the enlarged image.
        (
            lambda: srresnet(filters=4, blocks=1, channels=1, upsample="resize", scale=2),
            6,
            36 * (81 * 4 + 3 * 9 * 16) + 144 * (9 * 16 + 81 * 4),
        ),
        # A transposed 4x4 multiplies once for each pixel that it enlarges.
        (
            lambda: srresnet(filters=4, blocks=1, channels=1, upsample="transpose", scale=2),
            6,
            36 * (81 * 4 + 3 * 9 * 16 + 16 * 16) + 144 * 81 * 4,
        ),
        # Strides, and a dense head.
        (
            lambda: discriminator(channels=1, patch=8, filters=2, stages=((1, 1), (2, 2))),
            8,
            64 * 9 * 2 + 16 * 9 * 2 * 4 + 16 * 4 * 32 + 32,
        ),
        (lambda: srcnn(channels=1), 5, 20**2 * (81 * 64 + 64 * 32 + 25 * 32)),
    ],
)
def test_multiplications_by_hand(network, size, expected, program):
    assert program("gpu").multiplications(network(), size) == expected


@pytest.mark.long
def test_the_gpu_benchmark_needs_no_tensorflow():
    """Where only JAX is installed, Keras runs on it: nothing that is imported may need TensorFlow."""
    backend = "jax" if importlib.util.find_spec("jax") else "tensorflow"
    code = f"""
import sys
import keras
for name in [name for name in sys.modules if name.split(".")[0] == "tensorflow"]:
    del sys.modules[name]
sys.modules["tensorflow"] = None  # importing it fails
sys.path[:0] = {[str(ROOT), str(ROOT / "benchmarks")]!r}
import gpu
if {backend!r} == "jax":
    gpu.VGG_WIDTH = 1 / 64
    sys.argv[1:] = "{TINY} --variants msrgan --precisions float32".split()
    gpu.main()
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "KERAS_BACKEND": backend}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    if backend == "jax":
        names = ("generator", "discriminator", "VGG")
        passes = [f"{name} forward{more}" for name in names for more in ("", " and backward")]
        rows = [line for line in done.stdout.splitlines() if line.startswith("| msrgan")]
        assert [row.split(" | ")[1] for row in rows] == [*passes, "inference"]


def test_what_a_gpu_cannot_compute_is_a_row(program, monkeypatch, capsys):
    gpu = program("gpu")

    def fail(*_):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating\nmore")

    monkeypatch.setattr(gpu.TensorFlow, "_step", fail)
    monkeypatch.setattr(gpu.TensorFlow, "xla", (False,))
    failed, done = gpu_table(gpu, monkeypatch, capsys, "--variants srcnn --precisions float32 --calls 1")
    assert failed["ms"] == "no result: OOM when allocating"
    assert float(done["ms"]) > 0
