"""The losses by hand, on logits that do not cancel, and labels by hand."""

import math

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

from msrgan import losses

# Sums 5 and -1.5: neither label's weight vanishes, and real is not fake.
REAL = np.array([[3.0], [0.5], [1.5]], "float32")
FAKE = np.array([[-2.0], [1.0], [-0.5]], "float32")
TWO_REAL = np.array([[2.0], [0.0]], "float32")
TWO_FAKE = np.array([[-1.0], [1.0]], "float32")


def softplus(x):
    return math.log(1 + math.exp(x))


def value(loss, *, real=REAL, fake=FAKE, **around):
    return float(loss(np.float32(real), np.float32(fake), **around))


def log_sigmoid(x):
    return -math.log(1 + math.exp(-x))


# log(1 + e^x) by table, at 3, .5 and 1.5; at -2, 1 and -.5.
SOFTPLUS_REAL = (3.0485874 + 0.9740770 + 1.7014133) / 3
SOFTPLUS_FAKE = (0.1269280 + 1.3132617 + 0.4740770) / 3


@pytest.mark.parametrize(
    ("step", "u", "v"),
    [
        (0, 0.0, 0.0),
        # .2 * .7548776662 and .2 * .5698402910; then twice these, less the whole.
        (1, 0.15097553, 0.11396806),
        (2, 0.10195107, 0.02793612),
        (5, 0.15487767, 0.16984029),
    ],
)
def test_smoothed_labels_by_hand(step, u, v):
    # -(1 - u) log s(x) - u log(1 - s(x)) = softplus(x) - (1 - u) x; means 5 / 3 and -1 / 2.
    expected = SOFTPLUS_REAL - (1 - u) * 5 / 3 + SOFTPLUS_FAKE - v * (-1 / 2)
    smoothed = value(losses.SMOOTHED_CROSS_ENTROPY.discriminator, step=np.int64(step))
    assert smoothed == pytest.approx(expected, rel=2e-6)


def labels(step):
    """Recover u and v from two losses: one has v's logit at 0, the other u's."""
    loss = losses.SMOOTHED_CROSS_ENTROPY.discriminator
    u = value(loss, real=[[1.0]], fake=[[0.0]], step=step) - softplus(1) - math.log(2) + 1
    v = softplus(1) + math.log(2) - value(loss, real=[[0.0]], fake=[[1.0]], step=step)
    return u, v


def test_smoothed_labels_fill_their_interval():
    drawn = np.array([labels(np.int64(step)) for step in range(100)])
    assert drawn.min() > -1e-6
    assert drawn.max() < 0.2
    np.testing.assert_allclose(drawn.mean(axis=0), 0.1, atol=0.004)
    np.testing.assert_allclose(drawn.std(axis=0), 0.2 / math.sqrt(12), atol=0.003)
    assert abs(np.corrcoef(drawn.T)[0, 1]) < 0.1
    assert np.abs(np.diff(drawn, axis=0)).min() > 1e-3  # new at every step
    late = np.array([labels(np.int64(10**6 + step)) for step in range(20)])
    assert late.min() > -1e-6
    assert late.max() < 0.2
    np.testing.assert_allclose(late.mean(axis=0), 0.1, atol=0.03)


@pytest.mark.parametrize("step", [0, 1, 2])
def test_the_generators_label_is_not_smoothed(step):
    # -log s(x) = softplus(x) - x.
    loss = value(losses.SMOOTHED_CROSS_ENTROPY.generator, step=np.int64(step))
    assert loss == pytest.approx(SOFTPLUS_FAKE + 1 / 2, rel=2e-6)


def test_cross_entropy_by_hand():
    generator, discriminator = losses.CROSS_ENTROPY
    assert value(generator) == pytest.approx(SOFTPLUS_FAKE + 1 / 2, rel=2e-6)
    assert value(discriminator) == pytest.approx(SOFTPLUS_REAL - 5 / 3 + SOFTPLUS_FAKE, rel=2e-6)
    # Saturated logits on the wrong side cost their distance.
    assert value(generator, fake=[[-80.0]]) == pytest.approx(80)
    assert value(discriminator, real=[[-80.0]], fake=[[70.0]]) == pytest.approx(150)


def test_least_squares_by_hand():
    generator, discriminator = losses.LEAST_SQUARES
    assert value(generator) == pytest.approx((9 + 0 + 2.25) / 3)
    assert value(discriminator) == pytest.approx((4 + 0.25 + 0.25) / 3 + (1 + 4 + 0.25) / 3)
    # Targets +1 and -1.
    assert value(discriminator, real=[[1.0]], fake=[[-1.0]]) == 0
    assert value(generator, fake=[[1.0]]) == 0


def test_relativistic_by_hand():
    generator, discriminator = losses.RELATIVISTIC
    # real - mean(fake) = 3.5, 1, 2; fake - mean(real) = -11/3, -2/3, -13/6.
    real, fake = (3.5, 1.0, 2.0), (-11 / 3, -2 / 3, -13 / 6)
    wins = (sum(softplus(-x) for x in real) + sum(softplus(x) for x in fake)) / 3 / 2
    loses = (sum(softplus(x) for x in real) + sum(softplus(-x) for x in fake)) / 3 / 2
    assert value(discriminator) == pytest.approx(wins, rel=1e-6)
    assert value(generator) == pytest.approx(loses, rel=1e-6)
    assert wins < 0.2 < 2 < loses
    # Only the distance of real and fake counts.
    assert value(generator, real=REAL + 7, fake=FAKE + 7) == pytest.approx(loses, rel=1e-5)


def test_relativistic_takes_the_mean_of_the_other_side():
    means = {5.0: 2.0, -1.5: -1.0}  # by sum: not those of this batch, as under several replicas

    def mean(values):
        return np.float32(means[float(np.sum(values))])

    real, fake = (4.0, 1.5, 2.5), (-4.0, -1.0, -2.5)
    expected = (sum(softplus(-x) for x in real) + sum(softplus(x) for x in fake)) / 3 / 2
    assert value(losses.RELATIVISTIC.discriminator, mean=mean) == pytest.approx(expected, rel=1e-6)
    expected = (sum(softplus(x) for x in real) + sum(softplus(-x) for x in fake)) / 3 / 2
    assert value(losses.RELATIVISTIC.generator, mean=mean) == pytest.approx(expected, rel=1e-6)


def test_pixel_losses_by_name():
    hr, sr = np.zeros((1, 2, 2, 1), "float32"), np.array([2, -1, 0, 0], "float32").reshape(1, 2, 2, 1)
    values = {name: float(loss(hr, sr)) for name, loss in losses.PIXEL_LOSSES.items()}
    assert values == {"mse": 1.25, "l1": 0.75, "psnr": pytest.approx(math.log(1.25 + 1e-5))}


def test_the_psnr_loss_is_the_mean_psnr_of_the_images():
    rng = np.random.default_rng(0)
    hr = rng.uniform(-1, 1, (3, 8, 6, 2)).astype("float32")
    sr = hr + rng.normal(0, 1, hr.shape).astype("float32") * np.array([0.1, 0.3, 1], "float32")[:, None, None, None]
    psnr = [peak_signal_noise_ratio(a, b, data_range=2) for a, b in zip(hr, sr, strict=True)]
    # PSNR = 10 / ln 10 * (ln 4 - ln MSE), the range being 2.
    expected = math.log(4) - math.log(10) / 10 * np.mean(psnr)
    assert float(losses.negative_psnr(hr, sr)) == pytest.approx(expected, abs=1e-3)
    assert float(losses.negative_psnr(hr, hr)) == pytest.approx(math.log(1e-5))


def test_content_sums_over_maps_of_other_sizes_in_float32():
    def features(images):
        # Half precision, as an extractor computes in mixed_float16: 300 squared is beyond it.
        return [np.float16(300 * images), np.float16(images[:, :1])]

    hr, sr = np.zeros((1, 2, 2, 1), "float32"), np.array([1, 0, 0, 0], "float32").reshape(1, 2, 2, 1)
    assert float(losses.content(features)(hr, sr)) == pytest.approx(90_000 / 4 + 1 / 2)
    assert float(losses.content(features, losses.l1)(hr, sr)) == pytest.approx(300 / 4 + 1 / 2)


def test_content_compares_as_many_maps_as_there_are():
    maps = iter([[np.zeros((1, 1))] * 2, [np.zeros((1, 1))]])
    with pytest.raises(ValueError, match="shorter"):
        losses.content(lambda _: next(maps))(None, None)


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


def test_least_squares_of_two_logits():
    generator, discriminator = losses.LEAST_SQUARES
    assert float(generator(TWO_REAL, TWO_FAKE)) == pytest.approx((4 + 0) / 2)
    assert float(discriminator(TWO_REAL, TWO_FAKE)) == pytest.approx((1 + 1) / 2 + (0 + 4) / 2)


def test_cross_entropy_of_two_logits():
    generator, discriminator = losses.CROSS_ENTROPY
    assert float(generator(TWO_REAL, TWO_FAKE)) == pytest.approx(-(log_sigmoid(-1) + log_sigmoid(1)) / 2)
    real = -(log_sigmoid(2) + log_sigmoid(0)) / 2
    fake = -(log_sigmoid(1) + log_sigmoid(-1)) / 2
    assert float(discriminator(TWO_REAL, TWO_FAKE)) == pytest.approx(real + fake)


def test_cross_entropy_stays_finite_for_large_logits():
    large = np.array([[1e4], [-1e4]], "float32")
    assert all(np.isfinite(float(f(large, -large))) for f in losses.CROSS_ENTROPY)


def test_relativistic_average_of_two_logits():
    generator, discriminator = losses.RELATIVISTIC
    real, fake = TWO_REAL - 0.0, TWO_FAKE - 1.0  # minus the mean of the other
    d = -(log_sigmoid(real[0, 0]) + log_sigmoid(real[1, 0])) / 2
    d -= (log_sigmoid(-fake[0, 0]) + log_sigmoid(-fake[1, 0])) / 2
    g = -(log_sigmoid(fake[0, 0]) + log_sigmoid(fake[1, 0])) / 2
    g -= (log_sigmoid(-real[0, 0]) + log_sigmoid(-real[1, 0])) / 2
    assert float(discriminator(TWO_REAL, TWO_FAKE)) == pytest.approx(d / 2)
    assert float(generator(TWO_REAL, TWO_FAKE)) == pytest.approx(g / 2)


def test_smoothed_labels_of_two_logits():
    assert losses.SMOOTHED_CROSS_ENTROPY.generator is losses.CROSS_ENTROPY.generator

    def entropy(label, logit):
        return -(label * log_sigmoid(logit) + (1 - label) * log_sigmoid(-logit))

    # By hand: multiples of 1 / g and 1 / g^2, where g = 1.3247 is the root of g^3 = g + 1.
    g, drawn = 1.32471795724474602596, []
    for step in (0, 1, 1000):
        u, v = (0.2 * (step / g % 1), 0.2 * (step / g**2 % 1))
        expected = (entropy(1 - u, 2) + entropy(1 - u, 0) + entropy(v, -1) + entropy(v, 1)) / 2
        loss = losses.SMOOTHED_CROSS_ENTROPY.discriminator(TWO_REAL, TWO_FAKE, step=np.int64(step))
        assert float(loss) == pytest.approx(expected, rel=1e-4)
        drawn.append(float(loss))
    assert drawn[0] == pytest.approx(float(losses.CROSS_ENTROPY.discriminator(TWO_REAL, TWO_FAKE)), rel=1e-6)
    assert len(set(drawn)) == 3


def test_relativistic_takes_the_mean_it_is_given():
    def mean(values):
        return np.float32(0.5) + np.mean(values)

    generator, discriminator = losses.RELATIVISTIC
    assert float(discriminator(TWO_REAL, TWO_FAKE, mean=mean)) == pytest.approx(
        (float(losses._bce(TWO_REAL - 0.5, 1)) + float(losses._bce(TWO_FAKE - 1.5, 0))) / 2
    )
    assert float(generator(TWO_REAL, TWO_FAKE, mean=mean)) == pytest.approx(
        (float(losses._bce(TWO_FAKE - 1.5, 1)) + float(losses._bce(TWO_REAL - 0.5, 0))) / 2
    )


def test_default_weights_are_the_projects():
    assert losses.Objective()[3:] == (1.0, 0.006, 1e-5)
