"""The loop of both stages: strategy, steps, callbacks, checkpoints, resume.

`keras.Model.fit` does not run under MultiWorkerMirroredStrategy in Keras 3, and it cannot resume in the
middle of an epoch; this loop does both. A run is a list of stages, each some steps of one step function; its
data is a stream addressed by the number of the step.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from msrgan.training.strategy import is_chief


class Phase(NamedTuple):
    """Part of a run: `steps` calls of `step`, which maps a batch to a dict of scalars (see `SRGAN`)."""

    name: str
    step: Callable
    steps: int


class Progress(tf.train.experimental.PythonState):
    """How far a run is: plain values, saved with every checkpoint.

    Attributes:
        step: steps done.
        epoch: epochs done.
        totals: sums of the logs since the last epoch's end.
        count: steps that they sum.
        memory: what callbacks keep from epoch to epoch.
    """

    _SAVED = ("step", "epoch", "totals", "count", "memory")

    def __init__(self):
        self.step, self.epoch, self.totals, self.count, self.memory = 0, 0, {}, 0, {}

    def serialize(self):
        """Return the values as JSON."""
        return json.dumps({name: getattr(self, name) for name in self._SAVED})

    def deserialize(self, string):
        """Take the values from JSON."""
        vars(self).update(json.loads(string))


class Loop:
    """Run stages, from the last checkpoint if there is one.

    Args:
        model: the keras model whose steps are run; `update_average()`, if it has one, follows every step.
        optimizers: its optimizers, built.
        stages: what to run, in order.
        batches: (ctx: tf.distribute.InputContext, step) -> dataset of this worker's batches from `step` on.
        steps_per_epoch: steps between two validations; the last epoch of a stage may be shorter.
        folder: of the checkpoints.
        checkpoint_every: steps between two checkpoints.
        distribution: a strategy, in whose scope model and optimizers were made.
        jit: compile the steps with XLA.
        validate: () -> dict of scalars, added to the logs of an epoch.
        progress: made by the caller where callbacks keep something in `progress.memory`.
    """

    def __init__(
        self,
        model: keras.Model,
        optimizers: Sequence[keras.optimizers.Optimizer],
        stages: Sequence[Phase],
        batches: Callable[[tf.distribute.InputContext, int], tf.data.Dataset],
        *,
        steps_per_epoch: int,
        folder: Path,
        checkpoint_every: int,
        distribution: tf.distribute.Strategy,
        jit: bool = False,
        validate: Callable[[], dict[str, float]] = dict,
        progress: Progress | None = None,
    ):
        self.model, self.stages, self.batches, self.validate = model, stages, batches, validate
        self.steps_per_epoch, self.checkpoint_every = steps_per_epoch, checkpoint_every
        self.distribution, self.jit = distribution, jit
        self.progress = progress or Progress()
        self.total, self.stage = sum(stage.steps for stage in stages), stages[0]
        variables = [*model.variables, *(v for optimizer in optimizers for v in optimizer.variables)]
        # A plain list: the order of building, the same for the same configuration.
        self.variables = [v.value for v in {id(v): v for v in variables}.values()]
        self.checkpoint = tf.train.Checkpoint(progress=self.progress, variables=self.variables)
        self.manager = tf.train.CheckpointManager(self.checkpoint, str(folder), max_to_keep=2)

    def restore(self) -> int:
        """Go on from the last checkpoint that can be read, if there is one; return the step it was taken at.

        Raises:
            ValueError: there are checkpoints, none of which can be read.
        """
        for path in reversed(self.manager.checkpoints):
            try:
                self.checkpoint.restore(path).assert_existing_objects_matched()
                return self.progress.step
            except (tf.errors.OpError, IndexError):
                continue  # damaged, by a full disk for instance; the one before it is kept for this
        if self.manager.checkpoints:
            raise ValueError(f"{self.manager.directory}: no checkpoint can be read. Start anew with --no-resume.")
        return 0

    def run(self, callbacks: Sequence[keras.callbacks.Callback] = ()):
        """Run what is left of the stages; `on_epoch_end` receives the means of the epoch and the validation.

        Raises:
            FloatingPointError: a loss, a score or a weight became NaN or infinite. The last checkpoint is intact.
                Among several workers only the chief has scores: it stops, and the others fail when they miss it.
        """
        hooks = keras.callbacks.CallbackList(list(callbacks), model=self.model)
        self.model.stop_training = False
        hooks.on_train_begin()
        start = 0
        for stage in self.stages:
            if self.progress.step < start + stage.steps and not self.model.stop_training:
                self._run_stage(stage, start, hooks)
            start += stage.steps
        hooks.on_train_end()

    def _run_stage(self, stage, start, hooks):
        progress, end = self.progress, start + stage.steps
        self.stage = stage
        step = self._compiled(stage.step)
        data = iter(self.distribution.distribute_datasets_from_function(lambda ctx: self.batches(ctx, progress.step)))
        while progress.step < end and not self.model.stop_training:
            logs = {name: float(value) for name, value in step(next(data)).items()}
            progress.step += 1
            progress.count += 1
            progress.totals = {k: progress.totals.get(k, 0.0) + v for k, v in logs.items()}
            self._check(logs)
            hooks.on_train_batch_end(progress.step, logs)
            if (progress.step - start) % self.steps_per_epoch == 0 or progress.step == end:
                self._end_epoch(stage, hooks)
            if progress.step % self.checkpoint_every == 0 or progress.step == end or self.model.stop_training:
                self._save()

    def _compiled(self, step):
        replica_step = tf.function(step, jit_compile=True) if self.jit else step

        @tf.function
        def distributed(batch):
            logs = self.distribution.run(replica_step, args=(batch,))
            if hasattr(self.model, "update_average"):
                self.model.update_average()
            return {k: self.distribution.reduce("SUM", v, axis=None) for k, v in logs.items()}

        return distributed

    def _end_epoch(self, stage, hooks):
        progress = self.progress
        means = {name: total / progress.count for name, total in progress.totals.items()}
        validated = self.validate()
        self._check(validated)
        progress.totals, progress.count = {}, 0
        progress.epoch += 1
        hooks.on_epoch_end(progress.epoch, {"stage": stage.name, "step": progress.step, **means, **validated})

    def _check(self, logs):
        def allowed(name, value):
            # Gradients may overflow in half precision: loss scaling skips such a step and adapts. An image that is
            # restored exactly has an infinite PSNR.
            return np.isfinite(value) or name.startswith("norm_") or ("psnr" in name and value == np.inf)

        bad = [name for name, value in logs.items() if not allowed(name, value)]
        if bad:
            self._diverged(f"{', '.join(bad)} became NaN or infinite at step {self.progress.step}")

    def _save(self):
        finite = all(bool(tf.reduce_all(tf.math.is_finite(v))) for v in self.variables if v.dtype.is_floating)
        if not finite:
            # The loss of the next step would be NaN; keep it out of the checkpoint.
            self._diverged(f"a weight became NaN or infinite by step {self.progress.step}")
        if is_chief():
            self.manager.save(self.progress.step)

    def _diverged(self, what):
        last = self.manager.latest_checkpoint
        kept = f"The last good checkpoint is {last}." if last else "There was no checkpoint yet."
        raise FloatingPointError(
            f"{what}. Go on with a lower learning rate, or start anew with --no-resume, in float32. {kept}"
        )
