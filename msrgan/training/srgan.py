"""Stage 2: train the generator of a published system, on pixels and then as a GAN, and export it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

from msrgan import models
from msrgan.data.pairs import sr_pairs
from msrgan.data.survey import Survey
from msrgan.degradation import ACQUIRED, make
from msrgan.intensity import Normalization
from msrgan.messages import say
from msrgan.training import session
from msrgan.training.build import build
from msrgan.training.callbacks import Samples, TensorBoard, spread
from msrgan.training.checkpoints import saved_steps
from msrgan.training.loop import Loop, Phase, validation_interval
from msrgan.training.run import Run
from msrgan.training.settings import SRGANSettings
from msrgan.training.strategy import is_chief
from msrgan.training.transfer import start_from

MODEL, GENERATOR = "model", "generator.keras"


class Validation(Protocol):
    """Held-out images: called with a generator it gives scores, and then `sample` draws it at work."""

    def __call__(self, generator: Callable) -> dict[str, float]:
        """Score a generator, a function of batches in [-1, 1]."""

    def sample(self) -> np.ndarray:
        """Draw the first images as last scored; RGB, uint8 (height, width, 3)."""


class SuperResolution(session.Stage):
    """Stage 2: a generator learns to enlarge, on pixels and then as a GAN.

    It leaves model/ (SavedModel), generator.keras, samples/ and history.csv in the run folder.

    Args:
        settings: resolved.
        distribution: from `session.start`.
        images: to train on.
        held_out: to validate on.
        features: of the content loss, see `losses.content`; None for no content loss.
        validation: of the held-out images.
        film: (folder of the pictures, name) -> None: make an animation of them.
    """

    command = "train_srgan"
    hint = (
        "`filters` 32, `blocks` 4, `batch_size` 8, `pretrain_steps` 300, `steps` 100, and a `vgg` of a quarter of the "
        "width"
    )

    def __init__(
        self,
        settings: SRGANSettings,
        distribution: tf.distribute.Strategy,
        *,
        images: Survey,
        held_out: Survey,
        features: Callable | None,
        validation: Validation,
        film: Callable[[Path, str], None],
    ):
        super().__init__(settings, images, held_out)
        self.features, self.validation, self.film = features, validation, film
        _check_channels(features, self.channels)
        models.check_target(settings.out / MODEL)
        self.degradation = ACQUIRED if images.pairs else settings.degradation
        self.batch_size = settings.batch_size
        interval = validation_interval(len(images.ids), settings.crops_per_image, self.batch_size)
        self.steps_per_epoch = settings.steps_per_epoch or interval
        keras.utils.set_random_seed(settings.seed)  # preparing a set draws random numbers too
        with distribution.scope():
            self.model = self._built()
            if settings.init and not (settings.resume and saved_steps(settings.out / "checkpoints")):
                start_from(settings.init, self.model.generator, self.model.averaged)
        self.optimizers = [o for o in (self.model.generator_optimizer, self.model.discriminator_optimizer) if o]
        self.phases = _phases(settings, self.model)

    def _built(self):
        settings = self.settings
        return build(
            settings.system,
            settings.sizes,
            settings.training,
            channels=self.channels,
            scale=settings.scale,
            grid="centre" if self.images.pairs else make(settings.degradation).grid,
            patch=settings.patch_size,
            features=self.features,
            pretrain_steps=settings.pretrain_steps,
            steps=settings.steps,
        )

    @property
    def about(self) -> str:
        """The run in a line."""
        settings = self.settings
        sizes = ", ".join(f"{name} {value}" for name, value in settings.sizes.items() if value is not None)
        phases = ", then ".join(f"{phase.steps} steps of {phase.name} loss" for phase in self.phases)
        return (
            f"{self.images_text}; {settings.variant} generator of {self.model.generator.count_params():,} "
            f"parameters, {sizes}; {phases}, {self.batch_size} patches of {settings.patch_size} pixels each; epochs "
            f"of {self.steps_per_epoch} steps; content loss {'on ' + settings.vgg if self.features else 'off'}."
        )

    @property
    def derived(self) -> dict[str, Any]:
        """What the images decided, for config.json."""
        return super().derived | {"degradation": self.degradation, "steps_per_epoch": self.steps_per_epoch}

    @property
    def identity(self) -> dict[str, Any]:
        """What must be the same when the run goes on."""
        return super().identity | {"features": self.features.fingerprint if self.features else None}

    def batches(self, context: tf.distribute.InputContext, step: int) -> tf.data.Dataset:
        """Make this worker's batches from a step on."""
        settings = self.settings
        return sr_pairs(
            self.images.images,
            patch_size=settings.patch_size,
            batch_size=self.batch_size // context.num_replicas_in_sync,
            degradation=make(settings.degradation),
            seed=settings.seed,
            crop=settings.crop,
            part=self.part(context, step),
            scale=settings.scale,
            channels=self.channels,
            normalization=Normalization(settings.normalize),
        )

    def validate(self) -> dict[str, float]:
        """Score the averaged generator, in the chief alone: the scores decide nothing."""
        return self.validation(self.model.upscale) if is_chief() else {}

    def callbacks(self, folder: Run, loop: Loop) -> list[keras.callbacks.Callback]:
        """Return what the chief writes: pictures and a log."""
        if not is_chief():
            return []
        samples = Samples(folder.samples, self.validation.sample, spread(loop.epoch_ends))
        return [samples, TensorBoard(folder.logs, samples.path)]

    def finish(self, folder: Run, loop: Loop, interrupted: bool) -> None:
        """Export the averaged generator, and make the film."""
        metadata = {
            "normalization": self.settings.normalize,
            "degradation": self.degradation,
            "training_hashes": self.images.hashes,
            "variant": self.settings.variant,
            "data": self.settings.data,
            "steps": loop.progress.step,
        }
        metadata |= {"interrupted": True} if interrupted else {}
        models.export(self.model.averaged, folder.folder / MODEL, metadata=metadata)
        folder.write_network(GENERATOR, self.model.averaged)
        self.film(folder.samples, folder.folder.resolve().name)
        say(f"See {folder.folder}: model/ (SavedModel), samples/, history.csv.")


def _check_channels(features, channels):
    if features and features.channels != channels and channels != 1:
        raise ValueError(
            f"The features of the content loss take images of {features.channels} channels. Received: images of "
            f"{channels}. Use another `vgg`, trained on such images, or none."
        )


def _phases(settings, model):
    """Return the phase on the pixel loss, then that of the GAN; a system without one learns on pixels throughout."""
    if model.discriminator is None:
        return [Phase("pixel", model.pretrain_step, settings.pretrain_steps + settings.steps)]
    return [
        Phase("pixel", model.pretrain_step, settings.pretrain_steps),
        Phase("gan", model.train_step, settings.steps),
    ]
