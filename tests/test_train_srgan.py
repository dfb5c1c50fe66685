"""A run of stage 2, seen from outside: which images it trains and is scored on, and what it exports."""

from types import SimpleNamespace

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import note, remember_reads, run_script, same, small_discriminators, spots, table, untrace

import msrgan
import train_srgan
from msrgan.evaluation.validation import Validation
from msrgan.io import content_hash, read_pixels
from msrgan.training.step import SRGAN

SCALE = 2


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
        untrace(patch)
        small_discriminators(patch)
        remember_reads(patch, seen.reads)
        patch.setattr(SRGAN, "__init__", remembering)
        patch.setattr(Validation, "__init__", remembered)
        patch.setattr(SRGAN, "pretrain_step", noted)
        run_script(train_srgan.main, arguments, seen.out)
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
        lr = np.clip(np.rint(lr * 255), 0, 255) / 255  # as a file holds it
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
    assert [row["step"] for row in table(stage_2.out / "history.csv")] == ["4", "7"]
    last = table(stage_2.out / "history.csv")[-1]
    averaged, raw = (decibels(held_out, by(g)) for g in (stage_2.model.averaged, stage_2.model.generator))
    assert abs(averaged - raw) > 0.05
    assert float(last["val_psnr"]) == pytest.approx(averaged, abs=1e-3)


def test_bicubic_interpolation_is_scored_on_the_held_out_files(stage_2, held_out):
    expected = decibels(held_out, lambda lr, smooth: smooth)
    for row in table(stage_2.out / "history.csv"):
        assert float(row["val_psnr_bicubic"]) == pytest.approx(expected, abs=1e-3)


def test_validation_sees_the_held_out_images_and_the_steps_the_others(stage_2):
    assert sorted(stage_2.validation.names) == ["val/5.png", "val/6.png", "val/7.png"]
    assert min(case.hr.min() for case in stage_2.validation.cases) > 0.5
    assert len(stage_2.brightest) == 7
    assert max(stage_2.brightest) < 0


def test_the_model_names_the_images_it_was_trained_on(stage_2, two_splits):
    hashes = msrgan.load(stage_2.out).metadata["training_hashes"]
    images = (read_pixels(path) for path in (two_splits / "train").iterdir())
    assert sorted(hashes) == sorted(content_hash(image)[:16] for image in images)


def test_stage_2_decodes_each_file_once(stage_2, two_splits):
    assert sorted(stage_2.reads) == sorted(two_splits.rglob("*.png"))
