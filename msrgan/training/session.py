"""A session: one run of either stage, from its start or its last checkpoint to what it leaves.

`start` chooses strategy, seed and dtype policy; the stage builds its networks, a `Stage`; `run` opens the run folder,
runs the loop, and lets the stage write what it leaves, after Ctrl-C too.
"""

import abc
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from msrgan.data.stream import Part
from msrgan.data.survey import Survey, common_channels, identity, shuffle_window
from msrgan.messages import say
from msrgan.training.callbacks import Report
from msrgan.training.loop import Loop, Phase
from msrgan.training.run import Run
from msrgan.training.settings import FREE, LATER, Settings
from msrgan.training.strategy import is_chief, steps_per_call, strategy, use_xla


class Stage(abc.ABC):
    """What a stage of the training gives to a session: networks, batches, scores, and what it leaves.

    A subclass builds its networks in `__init__`, in the scope of the strategy.

    Args:
        settings: resolved.
        images: to train on.
        held_out: to validate on.

    Attributes:
        command: name of the script.
        hint: the options that shorten a run.
        channels: of the images.
        window: see `data.stream.Part`.
        model: has the steps that the phases run.
        optimizers: its optimizers, built.
        phases: of the training, in order.
        batch_size: of all workers together.
        steps_per_epoch: steps between two validations.
    """

    command: str
    hint: str
    model: keras.Model
    optimizers: Sequence[keras.optimizers.Optimizer]
    phases: Sequence[Phase]
    batch_size: int
    steps_per_epoch: int

    def __init__(self, settings: Settings, images: Survey, held_out: Survey):
        self.settings, self.images, self.held_out = settings, images, held_out
        self.channels = common_channels(images, held_out)
        self.window = shuffle_window(images, settings.cache_bytes)

    @property
    def images_text(self) -> str:
        """The images in a phrase, with which `about` begins."""
        return (
            f"{len(self.images.ids)} training and {len(self.held_out.ids)} validation images of {self.settings.data}, "
            f"{self.channels} channels"
        )

    @property
    @abc.abstractmethod
    def about(self) -> str:
        """The run in a line."""

    @property
    def derived(self) -> dict[str, Any]:
        """What the images decided, for config.json."""
        return {"command": self.command, "shuffle_window": self.window}

    @property
    def identity(self) -> dict[str, Any]:
        """What must be the same when the run goes on."""
        return identity(self.images, self.held_out)

    @abc.abstractmethod
    def batches(self, context: tf.distribute.InputContext, step: int) -> tf.data.Dataset:
        """Make this worker's batches from a step on."""

    @abc.abstractmethod
    def validate(self) -> dict[str, float]:
        """Score the model, in every worker: what stops early must stop everywhere."""

    @abc.abstractmethod
    def callbacks(self, folder: Run, loop: Loop) -> list[keras.callbacks.Callback]:
        """Return the callbacks of the stage's own."""

    @abc.abstractmethod
    def finish(self, folder: Run, loop: Loop, interrupted: bool) -> None:
        """Write what the run leaves, after its end or after Ctrl-C."""

    def part(self, context: tf.distribute.InputContext, step: int) -> Part:
        """Return this worker's part of the stream of samples from a step on."""
        shard = (context.num_input_pipelines, context.input_pipeline_id)
        return Part(start=step * self.batch_size, shard=shard, window=self.window)


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


def run(stage: Stage, distribution: tf.distribute.Strategy) -> None:
    """Run a stage in its folder, from the last checkpoint if there is one.

    Raises:
        KeyboardInterrupt: after Ctrl-C, when the best model so far is written.
    """
    chief = is_chief()
    with _folder(stage, writes=chief) as folder:
        if chief:
            say(stage.about)
        loop = _loop(stage, folder, distribution)
        step = loop.restore()
        if step and chief:
            say(f"resumed at step {step}")
        watching = [folder.history(step), Report(loop, stage.hint)] if chief else []
        interrupted = False
        try:
            loop.run([*stage.callbacks(folder, loop), *watching])
        except KeyboardInterrupt:
            if not loop.progress.step:
                raise
            interrupted = True
        if chief:
            stage.finish(folder, loop, interrupted)
        if interrupted:
            raise KeyboardInterrupt


def _folder(stage, writes):
    settings = stage.settings
    return Run(
        settings.out,
        arguments=settings.arguments() | stage.derived,
        data=stage.identity,
        free=settings.named(FREE),
        later=settings.named(LATER) | {"features"},
        resume=settings.resume,
        writes=writes,
    )


def _loop(stage, folder, distribution):
    settings = stage.settings
    return Loop(
        stage.model,
        stage.optimizers,
        stage.phases,
        stage.batches,
        steps_per_epoch=stage.steps_per_epoch,
        folder=folder.checkpoints,
        checkpoint_every=settings.checkpoint_every,
        distribution=distribution,
        jit=use_xla(settings.jit, distribution.num_replicas_in_sync),
        steps_per_call=steps_per_call(),
        validate=stage.validate,
    )
