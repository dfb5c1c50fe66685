import keras
import numpy as np
import pytest

from msrgan import losses
from msrgan.training import average
from msrgan.training.step import SRGAN


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


def averaging():
    """An SRGAN of one convolution and a batch norm, and a function that sets every current weight."""
    image = keras.Input((None, None, 1))
    x = keras.layers.BatchNormalization()(keras.layers.Conv2D(1, 1)(image))
    model = SRGAN(keras.Model(image, x))
    model.compile(losses.Objective(), keras.optimizers.SGD(0.0))

    def put(network, value):
        network.set_weights([np.full(w.shape, value, "float32") for w in network.weights])

    put(model.generator, 1.0)
    put(model.averaged, 1.0)
    return model, lambda value: put(model.generator, value)


def test_average_by_hand():
    model, put = averaging()
    assert len(model.averaged.weights) == 6  # kernel, bias, gamma, beta, moving mean and variance
    # decays 2/11, 3/12, 4/13: 2 - 2/11; 5 - (5 - 20/11) / 4; -1 + (185/44 + 1) 4 / 13.
    for t, current, expected in ((1, 2.0, 20 / 11), (2, 5.0, 185 / 44), (3, -1.0, -1 + 229 / 143)):
        put(current)
        model.generator_optimizer.iterations.assign(t)
        model.update_average()
        for weight in model.averaged.get_weights():
            assert weight.item() == pytest.approx(expected, rel=1e-6)
        for weight in model.generator.get_weights():
            assert weight.item() == current


@pytest.mark.parametrize(
    ("t", "decay"), [(0, 0.1), (80, 0.9), (890, 0.99), (8_989, 8990 / 8999), (8_991, 0.999), (10**6, 0.999)]
)
def test_decay_of_the_average(t, decay):
    model, put = averaging()
    put(101.0)
    model.generator_optimizer.iterations.assign(t)
    model.update_average()
    for weight in model.averaged.get_weights():
        assert 101 - weight.item() == pytest.approx(100 * decay, abs=2e-5)
