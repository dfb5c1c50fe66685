"""The step of stage 1 trains in training mode; scores are taken in inference mode."""

import keras
import numpy as np
import pytest

from vgg_micro.classifier import Classifier
from vgg_micro.tasks import SingleLabel


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
