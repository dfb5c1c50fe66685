"""The loop of both stages: strategy, steps, callbacks, checkpoints, resume.

`keras.Model.fit` does not run under MultiWorkerMirroredStrategy in Keras 3, and it cannot resume in the
middle of an epoch; this loop does both. A run is a list of phases, each some steps of one step function; its
data is a stream addressed by the number of the step.
"""

import bisect
import itertools
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from msrgan.messages import warn
from msrgan.training.calls import compiled
from msrgan.training.checkpoints import Checkpoints, named_variables
from msrgan.training.interrupt import held
from msrgan.training.progress import Progress
from msrgan.training.strategy import is_chief, lost_worker


class Phase(NamedTuple):
    """Part of a run: `steps` calls of `step`, which maps a batch to a dict of scalars (see `SRGAN`)."""

    name: str
    step: Callable
    steps: int


def validation_interval(images: int, crops: int, batch: int) -> int:
    """Return the default number of steps from one validation to the next: whole passes over the images, 100 at least.

    It does not depend on the length of the run: a run of fewer steps is validated at its end, and one that is
    lengthened later keeps its epochs.

    Args:
        images: of the training set.
        crops: taken from each image in one pass.
        batch: of all workers together.
    """
    one_pass = math.ceil(images * crops / batch)
    return one_pass * math.ceil(100 / one_pass)


class Loop:
    """Run phases, from the last checkpoint if there is one.

    Args:
        model: the keras model whose steps are run; `update_average()`, if it has one, follows every step.
        optimizers: its optimizers, built.
        phases: what to run, in order.
        batches: (ctx: tf.distribute.InputContext, step) -> dataset of this worker's batches from `step` on.
        steps_per_epoch: steps between two validations; the last epoch of a phase may be shorter.
        folder: of the checkpoints.
        checkpoint_every: steps between two checkpoints.
        distribution: a strategy, in whose scope model and optimizers were made.
        jit: compile the steps with XLA, see `strategy.use_xla`.
        steps_per_call: at most, see `strategy.steps_per_call`; it changes neither weights nor logs.
        validate: () -> dict of scalars, added to the logs of an epoch.
        progress: made by the caller where callbacks keep something in `progress.memory`.
    """

    def __init__(
        self,
        model: keras.Model,
        optimizers: Sequence[keras.optimizers.Optimizer],
        phases: Sequence[Phase],
        batches: Callable[[tf.distribute.InputContext, int], tf.data.Dataset],
        *,
        steps_per_epoch: int,
        folder: Path,
        checkpoint_every: int,
        distribution: tf.distribute.Strategy,
        jit: bool = False,
        steps_per_call: int = 1,
        validate: Callable[[], dict[str, float]] = dict,
        progress: Progress | None = None,
    ):
        self.model, self.phases, self.batches, self.validate = model, phases, batches, validate
        self.steps_per_epoch, self.checkpoint_every = steps_per_epoch, checkpoint_every
        self.distribution, self.jit, self.steps_per_call = distribution, jit, steps_per_call
        self.progress = progress or Progress()
        self.total, self.phase = sum(phase.steps for phase in phases), phases[0]
        self.checkpoints = Checkpoints(folder, named_variables(model, optimizers), self.progress)
        self._saved = 0

    @property
    def epoch_ends(self) -> list[int]:
        """The steps after which there is a validation: every `steps_per_epoch` of a phase, and its last."""
        ends, start = [], 0
        for phase in self.phases:
            end = start + phase.steps
            ends += [*range(start + self.steps_per_epoch, end, self.steps_per_epoch), end] if phase.steps else []
            start = end
        return ends

    def restore(self) -> int:
        """Go on from the last checkpoint that can be read, if there is one; return the step it was taken at.

        Raises:
            ValueError: there are checkpoints, none of which can be read, or one of another network.
        """
        if is_chief():
            self.checkpoints.tidy()
        self.checkpoints.restore()
        self._saved = self.progress.step
        return self.progress.step

    def run(self, callbacks: Sequence[keras.callbacks.Callback] = ()) -> None:
        """Run what is left of the phases.

        `on_train_batch_end` receives the last step of a call and the means of the call's logs, `on_epoch_end` the means
        of the epoch and the validation.

        Raises:
            FloatingPointError: a loss, a score or a weight became NaN or infinite. The last checkpoint is intact.
                Among several workers only the chief has scores: it stops, and the others fail when they miss it.
            OSError: a checkpoint cannot be written, or another worker is lost. The last checkpoint is intact.
            KeyboardInterrupt: Ctrl-C, between two calls or in a validation. The steps done are in a checkpoint.
        """
        hooks = keras.callbacks.CallbackList(list(callbacks), model=self.model)
        self.model.stop_training = False
        hooks.on_train_begin()
        ends = itertools.accumulate(phase.steps for phase in self.phases)
        try:
            with lost_worker(self.distribution):
                for phase, end in zip(self.phases, ends, strict=True):
                    if self._left(end):
                        self._run_phase(phase, end, hooks)
        except KeyboardInterrupt:
            self._save_interrupted()
            raise
        hooks.on_train_end()

    def _left(self, end):
        """Tell whether there is something to do before a step: steps, or the validation after them."""
        before = self.progress.step < end or (self.progress.step == end and self.progress.count)
        return bool(before) and not self.model.stop_training

    def _run_phase(self, phase, end, hooks):
        progress, ends = self.progress, self.epoch_ends
        self.phase = phase
        # A run that was interrupted in a validation begins with it.
        self._end_epoch(ends, hooks)
        call = self._compiled(phase.step)
        data = iter(self.distribution.distribute_datasets_from_function(lambda ctx: self.batches(ctx, progress.step)))
        while progress.step < end and not self.model.stop_training:
            with held():  # weights, averages and their count belong together
                logs = call(data, tf.constant(self._next_stop(ends) - progress.step))
                self._count({name: values.numpy().tolist() for name, values in logs.items()}, hooks)
            self._end_epoch(ends, hooks)
            if progress.step % self.checkpoint_every == 0 or progress.step == end or self.model.stop_training:
                with held():
                    self._save()

    def _next_stop(self, ends):
        """Return the last step of the next call: at the latest the next validation's, checkpoint's or phase's."""
        step = self.progress.step
        checkpoint = (step // self.checkpoint_every + 1) * self.checkpoint_every
        return min(step + self.steps_per_call, checkpoint, ends[bisect.bisect(ends, step)])

    def _compiled(self, step):
        after = getattr(self.model, "update_average", lambda: None)
        return compiled(step, self.distribution, after=after, jit=self.jit)

    def _count(self, logs, hooks):
        """Count the steps of a call, one by one, as if each had been a call."""
        for values in zip(*logs.values(), strict=True):
            step = dict(zip(logs, values, strict=True))
            self.progress.add(step)
            self._check(step)
        hooks.on_train_batch_end(self.progress.step, {name: float(np.mean(v)) for name, v in logs.items()})

    def _end_epoch(self, ends, hooks):
        """Validate, where an epoch is over; what was counted stays until that is done."""
        progress = self.progress
        if not progress.count or progress.step not in ends:
            return
        validated = self.validate()
        self._check(validated)
        with held():
            means = {name: total / progress.count for name, total in progress.totals.items()}
            progress.end_epoch()
            logs = {"phase": self.phase.name, "step": progress.step, **means, **validated}
            hooks.on_epoch_end(progress.epoch, logs)

    def _check(self, logs):
        def allowed(name, value):
            # Gradients may overflow in half precision: loss scaling skips such a step and adapts. An image that is
            # restored exactly has an infinite PSNR.
            return np.isfinite(value) or name.startswith("norm_") or ("psnr" in name and value == np.inf)

        bad = [name for name, value in logs.items() if not allowed(name, value)]
        if bad:
            self._diverged(f"{', '.join(bad)} became NaN or infinite at step {self.progress.step}")

    def _save(self):
        weights = self.checkpoints.variables.values()
        if not all(bool(tf.reduce_all(tf.math.is_finite(v))) for v in weights if v.dtype.is_floating):
            # The loss of the next step would be NaN; keep it out of the checkpoint.
            self._diverged(f"a weight became NaN or infinite by step {self.progress.step}")
        if is_chief():
            self.checkpoints.save(self.progress.step)
        self._saved = self.progress.step

    def _save_interrupted(self):
        if self.progress.step > self._saved:
            try:
                with held():
                    self._save()
            except (OSError, FloatingPointError) as error:
                warn(str(error))

    def _diverged(self, what):
        last = self.checkpoints.latest
        kept = f"The last good checkpoint is {last}." if last else "There was no checkpoint yet."
        raise FloatingPointError(
            f"{what}. Go on with a lower learning rate, or start anew by `resume`, in float32. {kept}"
        )
