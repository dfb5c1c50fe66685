"""Learning rates at their steps; Adam in every precision."""

import math

import keras
import pytest

from msrgan.training.optimizers import adam, learning_rates


def test_adam_scales_the_loss_in_float16_alone():
    for policy, scales in (("float32", False), ("mixed_bfloat16", False), ("mixed_float16", True)):
        keras.config.set_dtype_policy(policy)
        try:
            optimizer = adam(1e-3, beta_2=0.95)
        finally:
            keras.config.set_dtype_policy("float32")
        assert isinstance(optimizer, keras.optimizers.LossScaleOptimizer) is scales
        inner = optimizer.inner_optimizer if scales else optimizer
        assert type(inner) is keras.optimizers.Adam
        assert (inner.beta_1, inner.beta_2, inner.epsilon) == (0.9, 0.95, 1e-7)
        assert float(inner.learning_rate) == pytest.approx(1e-3)
    assert adam(1e-3).beta_2 == 0.999


def test_learning_rate_schedule():
    rates = learning_rates(1e-4, 10, decay=((0.5, 0.1),), pretraining=(3e-4, 4))
    schedule = [float(rates(k)) for k in range(14)]
    assert schedule == pytest.approx([3e-4] * 4 + [1e-4] * 5 + [1e-5] * 5)
    assert [float(learning_rates(1e-4, 10)(k)) for k in (0, 9, 99)] == pytest.approx([1e-4] * 3)
    # A fraction of the steps, and a step.
    halved = learning_rates(1.0, 100, decay=((30, 0.5), (0.25, 0.5)))
    assert [float(halved(k)) for k in (24, 25, 29, 30)] == [1, 0.5, 0.5, 0.25]


@pytest.mark.parametrize(
    ("decay", "steps", "falls"),
    [
        ((), 100, {}),
        (((0.5, 0.1),), 100, {50: 0.1}),
        (((0.5, 0.1),), 7, {3: 0.1}),  # 3.5: before the middle
        (((50, 0.1),), 100, {50: 0.1}),
        (((1, 0.5),), 100, {1: 0.5}),  # 1 is a step, and not all of them
        (((0.99, 0.5),), 100, {99: 0.5}),
        (((60, 0.1), (0.25, 0.5)), 100, {25: 0.5, 60: 0.05}),
        (((0.0, 0.5),), 100, {0: 0.5}),
        (((300, 0.1),), 100, {300: 0.1}),
        (((0.125, 0.5), (0.25, 0.5), (0.5, 0.5), (0.75, 0.5)), 16, {2: 0.5, 4: 0.25, 8: 0.125, 12: 0.0625}),
    ],
)
@pytest.mark.parametrize("pretraining", [0, 13])
def test_learning_rate_at_every_step(decay, steps, falls, pretraining):
    rates = learning_rates(2.0, steps, decay=decay, pretraining=(3.0, pretraining))
    expected, factor = [3.0] * pretraining, 1.0
    for step in range(max(steps, *falls, 0) + 2 if falls else steps):
        factor = falls.get(step, factor)
        expected.append(2.0 * factor)
    checked = range(len(expected))
    if len(expected) > 150:
        checked = [k for k in checked if k < 20 or math.isclose(k, pretraining + max(falls), abs_tol=3)]
    assert [float(rates(k)) for k in checked] == pytest.approx([expected[k] for k in checked])


def test_a_cosine_falls_to_zero_in_each_phase():
    rates = learning_rates(2.0, 8, decay=("cosine",), pretraining=(4.0, 4))
    # cos(0), cos(45 degrees), cos(90 degrees), ... of the first phase; every 22.5 degrees of the second.
    first = [4.0, 2 + math.sqrt(2), 2.0, 2 - math.sqrt(2)]
    assert [float(rates(k)) for k in range(4)] == pytest.approx(first, abs=1e-6)
    assert [float(rates(k)) for k in (4, 6, 8, 10)] == pytest.approx([x / 2 for x in first], abs=1e-6)
    assert float(rates(11)) == pytest.approx(1 - math.cos(math.pi / 8), abs=1e-6)
    assert float(rates(12)) == float(rates(100)) == 0
    assert float(learning_rates(2.0, 8, decay=("cosine",))(0)) == 2
