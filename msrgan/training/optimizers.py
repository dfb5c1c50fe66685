"""Optimizers and their learning rates."""

import itertools
import math
import operator
from collections.abc import Sequence

import keras

Schedule = keras.optimizers.schedules.LearningRateSchedule
COSINE = "cosine"
Decay = Sequence[tuple[float, float]] | tuple[str]


@keras.saving.register_keras_serializable("msrgan")
class Cosine(Schedule):
    """In each phase, of n steps, the rate falls from r to 0 by half a cosine: step k has r (1 + cos(pi k / n)) / 2.

    Loshchilov and Hutter, arXiv 1608.03983, equation 5. Beyond the last phase it is 0.

    Args:
        phases: (r, n) of each.
    """

    def __init__(self, phases: Sequence[tuple[float, int]]):
        self.phases = [tuple(phase) for phase in phases]

    def __call__(self, step: keras.KerasTensor | int) -> keras.KerasTensor:
        """Return the rate of a step, counted from 0 over all phases."""
        step, total, start = keras.ops.cast(step, "float32"), 0.0, 0
        for rate, steps in self.phases:
            k = step - start
            fallen = rate * (1 + keras.ops.cos(math.pi * k / max(steps, 1))) / 2
            total += keras.ops.where((k >= 0) & (k < steps), fallen, 0.0)
            start += steps
        return total

    def get_config(self) -> dict[str, list[tuple[float, int]]]:
        """Return the arguments."""
        return {"phases": self.phases}


def learning_rates(
    rate: float, steps: int, *, decay: Decay = (), pretraining: tuple[float, int] = (0.0, 0)
) -> Schedule:
    """Make a schedule: a rate for the pre-training, then one that falls step by step; or both by a cosine.

    Args:
        rate: at the start of the `steps`.
        steps: after the pre-training.
        decay: (when, factor) pairs: at that fraction of the steps, or at that step where it is 1 or more, the rate is
            multiplied by the factor. SRGAN (section 3.2) has ((0.5, 0.1),). Or ("cosine",), see `Cosine`.
        pretraining: (rate, steps) before them.
    """
    if COSINE in decay:
        return Cosine([pretraining, (rate, steps)])
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
