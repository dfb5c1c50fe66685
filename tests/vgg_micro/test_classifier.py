"""Stage 1: its scores, its steps in training mode, and when it stops."""

import csv

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn import metrics

from msrgan.training.callbacks import EarlyStop
from msrgan.training.loop import Progress
from msrgan.training.transfer import load_weights
from vgg_micro.classifier import Classifier, classify, scores, write_scores
from vgg_micro.tasks import MultiLabel, SingleLabel, task_of

MATRIX = np.array([[3, 1, 0], [2, 4, 0], [0, 0, 0]])
# Four images, four classes: the third in no image but once predicted, the fourth nowhere.
TRUE = np.array([[1, 0, 0, 0], [1, 1, 0, 0], [0, 1, 0, 0], [0, 1, 0, 0]])
LOGITS = np.array([[2, -1, -3, -1], [1, 4, -2, -1], [0.5, -2, 1, -1], [-1, 3, -1, -1]], "float32")


def per_class(folder):
    with open(folder / "per_class.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_scores_by_hand():
    scored = scores(SingleLabel(3), MATRIX)
    assert scored["accuracy"] == pytest.approx(7 / 10)
    np.testing.assert_allclose(scored["precision"], [3 / 5, 4 / 5, 0])
    np.testing.assert_allclose(scored["recall"], [3 / 4, 4 / 6, 0])
    # The third class occurs nowhere and does not count.
    f1 = [2 * 3 / (4 + 5), 2 * 4 / (6 + 5)]
    np.testing.assert_allclose(scored["f1"], [*f1, 0])
    assert scored["macro_f1"] == pytest.approx(np.mean(f1))


def test_confusion_and_loss_of_a_known_network():
    images = np.array([[0.0], [1.0], [2.0]], "float32")
    logits = np.eye(3, dtype="float32")

    def network(x):
        return logits[x[:, 0].astype(int)]

    batches = [(images[:2], np.array([0, 2])), (images[2:], np.array([2]))]
    matrix, loss = classify(network, batches, SingleLabel(3))
    assert matrix.tolist() == [[1, 0, 0], [0, 0, 0], [0, 1, 1]]
    right, wrong = np.log(np.e + 2) - 1, np.log(np.e + 2)
    assert loss == pytest.approx((2 * right + wrong) / 3, rel=1e-5)


def test_written_scores(tmp_path):
    write_scores(SingleLabel(3), MATRIX, ("a", "b", "c"), tmp_path)
    rows = per_class(tmp_path)
    assert [(r["class"], r["images"], r["recall"]) for r in rows] == [
        ("a", "4", "0.7500"),
        ("b", "6", "0.6667"),
        ("c", "0", "0.0000"),
    ]
    assert (tmp_path / "confusion.png").stat().st_size > 1000


def test_a_step_minimises_the_cross_entropy():
    network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, use_bias=False, kernel_initializer="zeros")])
    model = Classifier(network, SingleLabel(2))
    model.compile(keras.optimizers.SGD(1.0))
    batch = (np.array([[1.0, 0.0], [0.0, 2.0]], "float32"), np.array([0, 1]))
    logs = model.train_step(batch)
    assert float(logs["loss"]) == pytest.approx(np.log(2))
    # Gradient of the mean: (softmax - one hot) x, softmax 1/2.
    np.testing.assert_allclose(network.get_weights()[0], [[0.25, -0.25], [-0.5, 0.5]], atol=1e-6)


def multi_label_table():
    batches = [(LOGITS[:3], TRUE[:3]), (LOGITS[3:], TRUE[3:])]
    return classify(lambda logits: logits, batches, MultiLabel(4))


def test_multi_label_scores_by_hand():
    table, _ = multi_label_table()
    assert table.tolist() == [[[1, 1], [0, 2]], [[1, 0], [1, 2]], [[3, 1], [0, 0]], [[4, 0], [0, 0]]]
    scored = scores(MultiLabel(4), table)
    np.testing.assert_allclose(scored["precision"], [2 / 3, 1, 0, 0])
    np.testing.assert_allclose(scored["recall"], [1, 2 / 3, 0, 0])
    np.testing.assert_allclose(scored["f1"], [0.8, 0.8, 0, 0])
    assert scored["macro_f1"] == pytest.approx(1.6 / 3)
    assert scored["accuracy"] == pytest.approx(13 / 16)


def test_multi_label_scores_are_those_of_scikit_learn():
    table, _ = multi_label_table()
    predicted = (1 / (1 + np.exp(-LOGITS)) > 0.5).astype(int)
    np.testing.assert_array_equal(table, metrics.multilabel_confusion_matrix(TRUE, predicted))
    f1 = metrics.f1_score(TRUE, predicted, average="macro", labels=[0, 1, 2], zero_division=0)
    assert scores(MultiLabel(4), table)["macro_f1"] == pytest.approx(f1)


def test_multi_label_loss_is_the_mean_of_images_and_classes():
    probability = 1 / (1 + np.exp(-LOGITS.astype("float64")))
    by_hand = -np.where(TRUE, np.log(probability), np.log(1 - probability))
    np.testing.assert_allclose(MultiLabel(4).losses(TRUE, LOGITS), by_hand.mean(axis=1), rtol=1e-5)
    # The second batch is smaller: images count alike.
    assert multi_label_table()[1] == pytest.approx(by_hand.mean(), rel=1e-5)
    np.testing.assert_allclose(MultiLabel(4).right(TRUE, LOGITS), [1, 1, 1 / 4, 1])


def test_a_multi_label_step_minimises_the_binary_cross_entropy():
    network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, use_bias=False, kernel_initializer="zeros")])
    model = Classifier(network, MultiLabel(2))
    model.compile(keras.optimizers.SGD(1.0))
    logs = model.train_step((np.array([[1.0, 0.0], [0.0, 2.0]], "float32"), np.array([[1, 1], [0, 1]])))
    assert float(logs["loss"]) == pytest.approx(np.log(2))
    assert float(logs["accuracy"]) == pytest.approx(1 / 4)  # a logit of 0 is no class
    # Gradient of the mean over 2 images and 2 classes: (sigmoid - label) x, sigmoid 1/2.
    np.testing.assert_allclose(network.get_weights()[0], [[0.125, 0.125], [-0.25, 0.25]], atol=1e-6)


def test_written_multi_label_scores(tmp_path):
    write_scores(MultiLabel(4), multi_label_table()[0], ("a", "b", "c", "d"), tmp_path)
    assert [(r["class"], r["images"], r["f1"]) for r in per_class(tmp_path)] == [
        ("a", "2", "0.8000"),
        ("b", "3", "0.8000"),
        ("c", "0", "0.0000"),
        ("d", "0", "0.0000"),
    ]
    assert (tmp_path / "scores.png").stat().st_size > 1000
    assert not (tmp_path / "confusion.png").exists()


@pytest.mark.parametrize(("label", "task"), [(np.zeros(3, np.int64), SingleLabel), (TRUE, MultiLabel)])
def test_the_shape_of_the_labels_chooses_the_task(label, task):
    assert type(task_of(tf.data.Dataset.from_tensor_slices({"label": label}), 4)) is task


@pytest.fixture
def stop(tmp_path):
    network = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    progress = Progress()
    callback = EarlyStop(network, progress, monitor="val", patience=2, file=tmp_path / "best.npz")
    callback.set_model(network)
    callback.on_train_begin()
    return callback, network, progress


def epochs(stop, values, first_step=51):
    callback, network, _ = stop
    for k, value in enumerate(values):
        network.set_weights([np.full((1, 1), value, "float32"), np.zeros(1, "float32")])
        callback.on_epoch_end(k + 1, {"val": value, "step": first_step + k})


def test_early_stop_keeps_the_best_and_waits(stop):
    callback, network, progress = stop
    epochs(stop, [3.0, 1.0, 2.0])
    assert not network.stop_training
    epochs(stop, [1.5])
    assert network.stop_training
    load_weights(network, callback.file)
    assert network.get_weights()[0][0, 0] == 1.0
    again = EarlyStop(network, progress, monitor="val", patience=2, file=callback.file)
    again.set_model(network)
    again.on_train_begin()
    assert network.stop_training


def test_early_stop_trusts_no_validation_before_batch_norm_settled(stop):
    callback, network, _ = stop
    epochs(stop, [1.0, 2.0, 3.0, 4.0], first_step=47)
    assert not network.stop_training
    load_weights(network, callback.file)
    assert network.get_weights()[0][0, 0] == 4.0


def classifier(*layers, rate=0.0):
    network = keras.Sequential([keras.Input((2,)), *layers])
    model = Classifier(network, SingleLabel(2))
    model.compile(keras.optimizers.SGD(rate))
    return model


def cross_entropy(logits, labels):
    logits = np.asarray(logits, "float64")
    return np.mean(np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(labels)), labels])


def test_a_step_uses_the_statistics_of_its_batch_and_moves_the_averages():
    norm = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-3)
    model = classifier(norm)
    x, labels = np.float32([[0, 4], [2, 0], [4, 8], [10, 0]]), np.array([0, 1, 1, 0])
    logs = model.train_step((x, labels))
    mean, variance = x.mean(axis=0), x.var(axis=0)
    normalized = (x - mean) / np.sqrt(variance + 1e-3)
    assert float(logs["loss"]) == pytest.approx(cross_entropy(normalized, labels), rel=1e-5)
    assert float(logs["accuracy"]) == np.mean(normalized.argmax(axis=1) == labels)
    np.testing.assert_allclose(norm.moving_mean, 0.1 * mean, rtol=1e-5)
    np.testing.assert_allclose(norm.moving_variance, 0.9 + 0.1 * variance, rtol=1e-5)
    # Called as a model, it uses the averages and leaves them alone.
    averaged = (x - 0.1 * mean) / np.sqrt(0.9 + 0.1 * variance + 1e-3)
    np.testing.assert_allclose(model(x), averaged, rtol=1e-5)
    np.testing.assert_allclose(norm.moving_mean, 0.1 * mean, rtol=1e-5)


def test_a_step_drops_out_and_a_call_does_not():
    model = classifier(keras.layers.Dropout(0.5, seed=0))
    x, labels = np.ones((400, 2), "float32"), np.zeros(400, int)
    loss = float(model.train_step((x, labels))["loss"])
    # Each logit is 0 or 2; without dropout the loss is log 2 = .693.
    expected = (np.log(1 + np.exp(-2)) + 2 * np.log(2) + np.log(1 + np.exp(2))) / 4
    assert loss == pytest.approx(expected, abs=0.1)
    assert expected > np.log(2) + 0.2
    np.testing.assert_array_equal(model(x), x)


def test_an_equal_epoch_is_no_better(stop):
    _, network, progress = stop
    epochs(stop, [1.0, 1.0, 1.0])
    assert network.stop_training
    assert progress.memory["best_epoch"] == 1
