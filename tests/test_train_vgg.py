"""A run of stage 1, seen from outside: which images it trains and is scored on, and which weights it keeps."""

from types import SimpleNamespace

import cv2
import keras
import numpy as np
import pytest
from conftest import note, remember_reads, run_script, same, spots, table
from scipy.special import log_softmax

import train_vgg
from msrgan.training.callbacks import EarlyStop
from vgg_micro.classifier import Classifier

FORCED = [0.1, 3.0, 2.0, 1.0, 1.5, 1.2]


def weights(path):
    return keras.saving.load_model(path, compile=False).get_weights()


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
        seen.printed = run_script(train_vgg.main, [*arguments, "--learning-rate", 1e-2], seen.out)
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
    rows = table(stage_1.out / "history.csv")
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
