import math

import numpy as np
import pytest

from msrgan import losses

REAL = np.array([[2.0], [0.0]], "float32")
FAKE = np.array([[-1.0], [1.0]], "float32")


def log_sigmoid(x):
    return -math.log(1 + math.exp(-x))


def test_pixel_losses_are_means():
    hr, sr = np.zeros((2, 2, 2, 1), "float32"), np.zeros((2, 2, 2, 1), "float32")
    sr[0, 0, 0, 0], sr[1, 1, 1, 0] = 2, -1
    assert float(losses.mse(hr, sr)) == pytest.approx((4 + 1) / 8)
    assert float(losses.l1(hr, sr)) == pytest.approx(3 / 8)


def test_mse_is_not_the_half_sum_of_the_thesis():
    hr, sr = np.zeros((2, 3, 3, 1), "float32"), np.full((2, 3, 3, 1), 2, "float32")
    assert float(losses.mse(hr, sr)) == pytest.approx(4)
    half_sum = 4 * 18 / 2
    assert half_sum == 9 * float(losses.mse(hr, sr))


def test_content_sums_the_mean_squared_differences_of_the_maps():
    def features(images):
        return [images, images[:, ::2, ::2] * 10]

    hr, sr = np.zeros((1, 4, 4, 1), "float32"), np.ones((1, 4, 4, 1), "float32")
    assert float(losses.content(features)(hr, sr)) == pytest.approx(1 + 100)
    assert float(losses.content(features, losses.l1)(hr, sr)) == pytest.approx(1 + 10)


def test_least_squares():
    generator, discriminator = losses.LEAST_SQUARES
    assert float(generator(REAL, FAKE)) == pytest.approx((4 + 0) / 2)
    assert float(discriminator(REAL, FAKE)) == pytest.approx((1 + 1) / 2 + (0 + 4) / 2)


def test_cross_entropy():
    generator, discriminator = losses.CROSS_ENTROPY
    assert float(generator(REAL, FAKE)) == pytest.approx(-(log_sigmoid(-1) + log_sigmoid(1)) / 2)
    real = -(log_sigmoid(2) + log_sigmoid(0)) / 2
    fake = -(log_sigmoid(1) + log_sigmoid(-1)) / 2
    assert float(discriminator(REAL, FAKE)) == pytest.approx(real + fake)


def test_cross_entropy_stays_finite_for_large_logits():
    large = np.array([[1e4], [-1e4]], "float32")
    assert all(np.isfinite(float(f(large, -large))) for f in losses.CROSS_ENTROPY)


def test_relativistic_average():
    generator, discriminator = losses.RELATIVISTIC
    real, fake = REAL - 0.0, FAKE - 1.0  # minus the mean of the other
    d = -(log_sigmoid(real[0, 0]) + log_sigmoid(real[1, 0])) / 2
    d -= (log_sigmoid(-fake[0, 0]) + log_sigmoid(-fake[1, 0])) / 2
    g = -(log_sigmoid(fake[0, 0]) + log_sigmoid(fake[1, 0])) / 2
    g -= (log_sigmoid(-real[0, 0]) + log_sigmoid(-real[1, 0])) / 2
    assert float(discriminator(REAL, FAKE)) == pytest.approx(d / 2)
    assert float(generator(REAL, FAKE)) == pytest.approx(g / 2)


def test_smoothed_labels():
    assert losses.SMOOTHED_CROSS_ENTROPY.generator is losses.CROSS_ENTROPY.generator

    def entropy(label, logit):
        return -(label * log_sigmoid(logit) + (1 - label) * log_sigmoid(-logit))

    # By hand: multiples of 1 / g and 1 / g^2, where g = 1.3247 is the root of g^3 = g + 1.
    g, drawn = 1.32471795724474602596, []
    for step in (0, 1, 1000):
        u, v = (0.2 * (step / g % 1), 0.2 * (step / g**2 % 1))
        expected = (entropy(1 - u, 2) + entropy(1 - u, 0) + entropy(v, -1) + entropy(v, 1)) / 2
        loss = losses.SMOOTHED_CROSS_ENTROPY.discriminator(REAL, FAKE, step=np.int64(step))
        assert float(loss) == pytest.approx(expected, rel=1e-4)
        drawn.append(float(loss))
    assert drawn[0] == pytest.approx(float(losses.CROSS_ENTROPY.discriminator(REAL, FAKE)), rel=1e-6)
    assert len(set(drawn)) == 3


def test_relativistic_takes_the_mean_it_is_given():
    def mean(values):
        return np.float32(0.5) + np.mean(values)

    generator, discriminator = losses.RELATIVISTIC
    assert float(discriminator(REAL, FAKE, mean=mean)) == pytest.approx(
        (float(losses._bce(REAL - 0.5, 1)) + float(losses._bce(FAKE - 1.5, 0))) / 2
    )
    assert float(generator(REAL, FAKE, mean=mean)) == pytest.approx(
        (float(losses._bce(FAKE - 1.5, 1)) + float(losses._bce(REAL - 0.5, 0))) / 2
    )


def test_default_weights_are_the_projects():
    assert losses.Objective()[3:] == (1.0, 0.006, 1e-5)
