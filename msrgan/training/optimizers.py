"""Optimizers and their learning rates."""

import itertools
import operator
from collections.abc import Sequence

import keras


def learning_rates(
    rate: float, steps: int, *, decay: Sequence[tuple[float, float]] = (), pretraining: tuple[float, int] = (0.0, 0)
) -> keras.optimizers.schedules.PiecewiseConstantDecay:
    """Make a schedule: a rate for the pre-training, then one that falls step by step.

    Args:
        rate: at the start of the `steps`.
        steps: after the pre-training.
        decay: (when, factor) pairs: at that fraction of the steps, or at that step where it is 1 or more, the rate is
            multiplied by the factor. SRGAN (section 3.2) has ((0.5, 0.1),).
        pretraining: (rate, steps) before them.
    """
    before = pretraining[1]
    falls = sorted((int(at if at >= 1 else at * steps), factor) for at, factor in decay)
    starts = [0, *(step for step, _ in falls)]
    rates = list(itertools.accumulate((factor for _, factor in falls), operator.mul, initial=rate))
    # A boundary is the last step of its rate, and steps count from 0.
    return keras.optimizers.schedules.PiecewiseConstantDecay([before + n - 1 for n in starts], [pretraining[0], *rates])


def adam(
    rate: float | keras.optimizers.schedules.LearningRateSchedule, *, beta_2: float = 0.999
) -> keras.optimizers.Optimizer:
    """Make an Adam optimizer, with dynamic loss scaling where the dtype policy is mixed_float16.

    Without it the gradients of small terms (gamma = 1e-5) are zero in half precision.
    """
    optimizer = keras.optimizers.Adam(rate, beta_2=beta_2)
    if keras.config.dtype_policy().compute_dtype == "float16":
        return keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer
