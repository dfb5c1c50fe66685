"""Both training scripts, seen from outside: which images they train and score on, what they keep, where they resume."""

import contextlib
import csv
import io
import re
import subprocess
import sys
from types import SimpleNamespace

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT, spots
from scipy.special import log_softmax

import msrgan
import train_srgan
import train_vgg
from msrgan.evaluation.validation import Validation
from msrgan.io import content_hash, read
from msrgan.training.callbacks import EarlyStop
from msrgan.training.checkpoints import saved_steps
from msrgan.training.step import SRGAN
from vgg_micro.classifier import Classifier

SCALE = 2


def history(run):
    with open(run / "history.csv", newline="") as file:
        return list(csv.DictReader(file))


def run(main, arguments, out):
    """Run a script's main in this process; return what it printed."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert main([*map(str, arguments), "--out", str(out)]) == 0
    return printed.getvalue()


def weights(path):
    return keras.saving.load_model(path, compile=False).get_weights()


def same(first, second):
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def note(values, tensor):
    """Append the value of a tensor to a list whenever the graph runs."""
    tf.numpy_function(lambda value: values.append(value.copy()) or np.int64(0), [tensor], tf.int64)


def remember_reads(patch, reads):
    """Append the path of every image file that is read to a list."""
    read_file = msrgan.io.read
    patch.setattr("msrgan.io.read", lambda path, **named: reads.append(path) or read_file(path, **named))


# Stage 2


@pytest.fixture(scope="module")
def two_splits(tmp_path_factory):
    """Folders train, of five dark images, and val, of three bright ones; 32x32 and 48x40 pixels, grey."""
    folder = tmp_path_factory.mktemp("splits")
    for k in range(8):
        image = spots(k, size=48, channels=1).astype(float)
        part, image = ("train", image[:32, :32] * 0.4) if k < 5 else ("val", 130 + image[:, :40] * 0.35)
        (folder / part).mkdir(exist_ok=True)
        cv2.imwrite(str(folder / part / f"{k}.png"), np.uint8(image))
    return folder


@pytest.fixture(scope="module")
def stage_2(two_splits, tmp_path_factory):
    """A run on the range of the dtype with large rates: out, the model, its batches, its validation."""
    seen = SimpleNamespace(out=tmp_path_factory.mktemp("runs") / "srgan", brightest=[], models=[])
    seen.validations, seen.reads = [], []
    init, step, validation = SRGAN.__init__, SRGAN.pretrain_step, Validation.__init__

    def remembering(self, *arguments, **named):
        init(self, *arguments, **named)
        seen.models.append(self)

    def remembered(self, *arguments, **named):
        validation(self, *arguments, **named)
        seen.validations.append(self)

    def noted(self, batch):
        note(seen.brightest, tf.reduce_max(batch[1]))
        return step(self, batch)

    arguments = ["--data", two_splits, "--vgg", "none", "--filters", 4, "--blocks", 1, "--scale", SCALE]
    arguments += ["--patch-size", 16, "--batch-size", 2, "--pretrain-steps", 7, "--steps", 0, "--validate-every", 4]
    arguments += ["--pretrain-learning-rate", 0.03, "--normalize", "range"]
    with pytest.MonkeyPatch.context() as patch:
        remember_reads(patch, seen.reads)
        patch.setattr(SRGAN, "__init__", remembering)
        patch.setattr(Validation, "__init__", remembered)
        patch.setattr(SRGAN, "pretrain_step", noted)
        run(train_srgan.main, arguments, seen.out)
    (seen.model,), (seen.validation,) = seen.models, seen.validations
    return seen


@pytest.fixture(scope="module")
def held_out(two_splits):
    """(lr, bicubic, hr) of the val folder, made from its files by TensorFlow's resizing alone."""
    cases = []
    for path in sorted((two_splits / "val").iterdir()):
        hr = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[..., None].astype("float32") / 255
        size = np.array(hr.shape[:2])
        lr = tf.image.resize(hr, size // SCALE, "bicubic", antialias=True).numpy()
        cases.append((lr, tf.image.resize(lr, size, "bicubic").numpy(), hr))
    return cases


def decibels(cases, enlarge):
    """Average the PSNR over images; 1 is the data range."""
    return np.mean([-10 * np.log10(np.mean((enlarge(lr, smooth) - hr) ** 2)) for lr, smooth, hr in cases])


def by(generator):
    return lambda lr, smooth: (generator(lr[None] * 2 - 1, training=False).numpy()[0] + 1) / 2


def test_the_exported_model_is_the_average_and_not_the_raw_generator(stage_2):
    lr = np.random.default_rng(0).uniform(-1, 1, (1, 12, 9, 1)).astype("float32")
    exported = msrgan.load(stage_2.out)((lr + 1) / 2) * 2 - 1
    saved = keras.saving.load_model(stage_2.out / "generator.keras", compile=False)
    averaged, raw = (g(lr, training=False).numpy() for g in (stage_2.model.averaged, stage_2.model.generator))
    np.testing.assert_allclose(exported, averaged, atol=1e-5)
    np.testing.assert_allclose(saved(lr, training=False), averaged, atol=1e-6)
    assert np.abs(exported - raw).max() > 1e-3
    assert same(saved.get_weights(), stage_2.model.averaged.get_weights())
    pairs = zip(saved.get_weights(), stage_2.model.generator.get_weights(), strict=True)
    assert not any(np.array_equal(a, b) for a, b in pairs)


def test_the_scores_are_those_of_the_average_on_the_held_out_files(stage_2, held_out):
    assert [row["step"] for row in history(stage_2.out)] == ["4", "7"]
    last = history(stage_2.out)[-1]
    averaged, raw = (decibels(held_out, by(g)) for g in (stage_2.model.averaged, stage_2.model.generator))
    assert abs(averaged - raw) > 0.05
    assert float(last["val_psnr"]) == pytest.approx(averaged, abs=1e-3)


def test_bicubic_interpolation_is_scored_on_the_held_out_files(stage_2, held_out):
    expected = decibels(held_out, lambda lr, smooth: smooth)
    for row in history(stage_2.out):
        assert float(row["val_psnr_bicubic"]) == pytest.approx(expected, abs=1e-3)


def test_validation_sees_the_held_out_images_and_the_steps_the_others(stage_2):
    assert sorted(stage_2.validation.names) == ["val/5.png", "val/6.png", "val/7.png"]
    assert min(case.hr.min() for case in stage_2.validation.cases) > 0.5
    assert len(stage_2.brightest) == 7
    assert max(stage_2.brightest) < 0


def test_the_model_names_the_images_it_was_trained_on(stage_2, two_splits):
    hashes = msrgan.load(stage_2.out).metadata["training_hashes"]
    images = (read(path) for path in (two_splits / "train").iterdir())
    assert sorted(hashes) == sorted(content_hash(image)[:16] for image in images)


def test_stage_2_decodes_each_file_once(stage_2, two_splits):
    assert sorted(stage_2.reads) == sorted(two_splits.rglob("*.png"))


# Stage 1

FORCED = [0.1, 3.0, 2.0, 1.0, 1.5, 1.2]


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """Folders train, of four images of each of two classes, and val, of five of the second alone; 32x32, grey."""
    folder = tmp_path_factory.mktemp("labelled")
    for k in range(13):
        part, label = ("train", "ab"[k % 2]) if k < 8 else ("val", "b")
        image = spots(k, size=32, channels=1)
        image[:: 4 if label == "b" else 64] = 255
        (folder / part / label).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / part / label / f"{k}.png"), image)
    return folder


@pytest.fixture(scope="module")
def stage_1(labelled, tmp_path_factory):
    """A run whose best epoch is said to be the fourth: out, what it printed, weights of each epoch, its labels."""
    seen = SimpleNamespace(out=tmp_path_factory.mktemp("runs") / "vgg", epochs=[], labels=[], reads=[])
    end, step = EarlyStop.on_epoch_end, Classifier.train_step

    def forced(self, epoch, logs=None):
        seen.network = self.network
        seen.epochs.append(self.network.get_weights())
        end(self, epoch, {**logs, "val_loss": FORCED[epoch - 1]})

    def noted(self, batch):
        note(seen.labels, batch[1])
        return step(self, batch)

    arguments = ["--data", labelled, "--width", 1 / 32, "--image-size", 32, "--batch-size", 4, "--epochs", 6]
    with pytest.MonkeyPatch.context() as patch:
        remember_reads(patch, seen.reads)
        patch.setattr(EarlyStop, "on_epoch_end", forced)
        patch.setattr(Classifier, "train_step", noted)
        seen.printed = run(train_vgg.main, [*arguments, "--learning-rate", 1e-2], seen.out)
    return seen


def test_stage_1_keeps_the_weights_of_the_best_epoch(stage_1):
    # Of 12 steps the first 6 are the warm-up, in which the last epoch counts as the best.
    assert "Best epoch 4:" in stage_1.printed
    kept = weights(stage_1.out / "vgg.keras")
    assert [same(kept, each) for each in stage_1.epochs] == [False, False, False, True, False, False]


def test_stage_1_decodes_each_file_once(stage_1, labelled):
    assert sorted(stage_1.reads) == sorted(labelled.rglob("*.png"))


def test_stage_1_trains_on_the_training_images(stage_1):
    labels = np.reshape(stage_1.labels, (6, 8))
    assert np.sort(labels, axis=1).tolist() == [[0] * 4 + [1] * 4] * 6


def test_stage_1_is_scored_in_inference_mode_on_the_held_out_images(stage_1, labelled):
    pictures = []
    for path in (labelled / "val").rglob("*.png"):
        image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[..., None].astype("float64")
        low, high = np.percentile(image, (0.1, 99.9))
        pictures.append(((image - low) / (high - low)).clip(0, 1) * 2 - 1)
    network = keras.saving.load_model(stage_1.out / "vgg.keras", compile=False)
    rows = history(stage_1.out)
    assert len(rows) == 6
    for row, each in zip(rows, stage_1.epochs, strict=True):
        network.set_weights(each)
        logits = network(np.float32(pictures), training=False).numpy().astype("float64")
        assert float(row["val_loss"]) == pytest.approx(-log_softmax(logits, axis=1)[:, 1].mean(), rel=1e-4)
        assert float(row["val_accuracy"]) == np.mean(logits.argmax(axis=1) == 1)
    assert len({row["val_loss"] for row in rows}) == 6


def test_stage_1_trains_with_the_statistics_of_its_batches(stage_1):
    network = keras.saving.load_model(stage_1.out / "vgg.keras", compile=False)
    norms = [layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert len(norms) == 16
    for norm in norms:
        assert np.abs(norm.moving_mean.numpy()).max() > 0
        assert np.abs(norm.moving_variance.numpy() - 1).max() > 1e-3


# Resume

# Runs a script, and ends it with SIGKILL at the end of a step, between two checkpoints and after an epoch.
KILLED = """
import importlib, os, signal, sys
name, step = sys.argv.pop(1), int(sys.argv.pop(1))
import keras
end = keras.callbacks.CallbackList.on_train_batch_end
def kill(self, batch, logs=None):
    end(self, batch, logs)
    if batch == step:
        os.kill(os.getpid(), signal.SIGKILL)
keras.callbacks.CallbackList.on_train_batch_end = kill
importlib.import_module(name).main()
"""
VGG = ["--width", 1 / 32, "--image-size", 32, "--batch-size", 2, "--seed", 3, "--epochs", 3, "--checkpoint-every", 3]
# Batch norm and dropout: everything that has a state of its own.
STATEFUL = ["--variant", "srgan", "--dropout", 0.3, "--vgg", "none", "--alpha", 1, "--filters", 4, "--blocks", 1]
STATEFUL += ["--scale", SCALE, "--patch-size", 16, "--batch-size", 4, "--seed", 3, "--validate-every", 6]
STATEFUL += ["--pretrain-steps", 9, "--steps", 12, "--checkpoint-every", 6]


@pytest.mark.parametrize(
    ("main", "arguments", "killed_at", "resumed_at", "epochs", "product"),
    [
        # Epochs of 5 steps: the checkpoint is after the fourth of the second epoch, the kill in the third.
        (train_vgg.main, VGG, 11, 9, ["5", "10", "15"], "vgg.keras"),
        # The GAN begins at 9: the checkpoint is after the third step of its first epoch, the kill in its second.
        (train_srgan.main, STATEFUL, 17, 12, ["6", "9", "15", "21"], "generator.keras"),
    ],
)
def test_a_run_killed_in_the_middle_of_an_epoch_ends_like_one_never_killed(
    main, arguments, killed_at, resumed_at, epochs, product, image_folder, tmp_path
):
    arguments = [*map(str, ["--data", image_folder, *arguments])]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    command = [sys.executable, "-c", KILLED, main.__module__, str(killed_at), *arguments, "--out", str(killed)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == -9, done.stderr[-2000:]
    assert saved_steps(killed / "checkpoints")[-1] == resumed_at
    assert [row["step"] for row in history(killed)] == [step for step in epochs if int(step) < killed_at]
    assert not (killed / product).exists()
    printed = run(main, arguments, killed)
    assert re.findall(r"resumed at step (\d+)", printed) == [str(resumed_at)]
    assert "resumed" not in run(main, arguments, whole)
    assert same(weights(killed / product), weights(whole / product))
    assert history(killed) == history(whole)
    assert [row["step"] for row in history(killed)] == epochs
