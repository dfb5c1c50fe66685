import keras
import numpy as np
import pytest

from msrgan.training import average


def test_decay_grows_from_a_tenth_to_its_limit():
    # (1 + t) / (10 + t) reaches 0.999 at t = 8990.
    expected = {0: 1 / 10, 1: 2 / 11, 90: 91 / 100, 8980: 8981 / 8990, 8990: 0.999, 10**6: 0.999}
    for t, value in expected.items():
        assert float(average.decay(t)) == pytest.approx(value, rel=1e-6)


def test_every_weight_moves_towards_its_own():
    layers = [keras.layers.Dense(1, name="dense"), keras.layers.BatchNormalization(name="norm")]
    current = keras.Sequential([keras.Input((2,)), *layers])
    averaged = keras.models.clone_model(current)
    old = [np.full(w.shape, 10.0 * k) for k, w in enumerate(current.weights)]
    new = [np.full(w.shape, 10.0 * k + 1) for k, w in enumerate(current.weights)]
    averaged.set_weights(old)
    current.set_weights(new)
    average.update(averaged, current, 90)
    for k, w in enumerate(averaged.get_weights()):
        np.testing.assert_allclose(w, 10 * k + 0.09, rtol=1e-5)
    assert len(averaged.weights) == 6
    for w, value in zip(current.get_weights(), new, strict=True):
        np.testing.assert_array_equal(w, value)
