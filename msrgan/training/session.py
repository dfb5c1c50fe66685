"""A session: one run of either stage, from its start or its last checkpoint to what it leaves.

`start` chooses strategy, seed and dtype policy; the stage reads its images and builds its networks, a `Job`; `run`
opens the run folder, runs the loop, and lets the job write what it leaves, after Ctrl-C too.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from msrgan.data.survey import Survey, identity
from msrgan.messages import say
from msrgan.training.callbacks import Report
from msrgan.training.loop import Loop, Phase
from msrgan.training.run import Run
from msrgan.training.settings import FREE, LATER, Settings
from msrgan.training.strategy import is_chief, strategy, use_xla


class Job(NamedTuple):
    """What a stage gives to a session.

    Attributes:
        model: has the steps that the phases run.
        optimizers: its optimizers, built.
        phases: of the training, in order.
        batches: see `loop.Loop`.
        steps_per_epoch: steps between two validations.
        validate: () -> scores, in every worker: what stops early must stop everywhere.
        images: those that are trained on.
        held_out: those that are validated on.
        derived: what the images decided, for config.json.
        about: one line for the user.
        hint: the options that shorten the run.
        finish: (folder, loop, whether it was interrupted) -> None: write what the run leaves.
        callbacks: (folder, loop) -> callbacks of the stage's own.
        identity: what else must be the same when the run goes on.
    """

    model: keras.Model
    optimizers: Sequence[keras.optimizers.Optimizer]
    phases: Sequence[Phase]
    batches: Callable[[tf.distribute.InputContext, int], tf.data.Dataset]
    steps_per_epoch: int
    validate: Callable[[], dict[str, float]]
    images: Survey
    held_out: Survey
    derived: dict[str, Any]
    about: str
    hint: str
    finish: Callable[[Run, Loop, bool], None]
    callbacks: Callable[[Run, Loop], list[keras.callbacks.Callback]] = lambda folder, loop: []
    identity: dict[str, Any] = {}


def start(settings: Settings) -> tf.distribute.Strategy:
    """Choose the strategy, the seed and the dtype policy of this process; workers connect here.

    Raises:
        ValueError: the batch cannot be divided among the replicas, or XLA is wanted for several.
    """
    distribution = strategy()
    replicas = distribution.num_replicas_in_sync
    if settings.batch_size % replicas:
        raise ValueError(
            f"`batch_size` must be a multiple of the {replicas} replicas. Received: {settings.batch_size}."
        )
    use_xla(settings.jit, replicas)
    keras.utils.set_random_seed(settings.seed)
    keras.config.set_dtype_policy(settings.precision)
    return distribution


def run(job: Job, settings: Settings, distribution: tf.distribute.Strategy) -> None:
    """Run a job in its folder, from the last checkpoint if there is one.

    Raises:
        KeyboardInterrupt: after Ctrl-C, when the best model so far is written.
    """
    chief = is_chief()
    folder = Run(
        settings.out,
        arguments=settings.arguments() | job.derived,
        data=identity(job.images, job.held_out) | job.identity,
        free=settings.named(FREE),
        later=settings.named(LATER) | {"features"},
        resume=settings.resume,
        writes=chief,
    )
    with folder:
        if chief:
            say(job.about)
        loop = Loop(
            job.model,
            job.optimizers,
            job.phases,
            job.batches,
            steps_per_epoch=job.steps_per_epoch,
            folder=folder.checkpoints,
            checkpoint_every=settings.checkpoint_every,
            distribution=distribution,
            jit=use_xla(settings.jit, distribution.num_replicas_in_sync),
            validate=job.validate,
        )
        step = loop.restore()
        if step and chief:
            say(f"resumed at step {step}")
        watching = [folder.history(step), Report(loop, job.hint)] if chief else []
        interrupted = False
        try:
            loop.run([*job.callbacks(folder, loop), *watching])
        except KeyboardInterrupt:
            if not loop.progress.step:
                raise
            interrupted = True
        if chief:
            job.finish(folder, loop, interrupted)
        if interrupted:
            raise KeyboardInterrupt
