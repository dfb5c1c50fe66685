"""Stage 2: train the generator of a published system, on pixels and then as a GAN, and export it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

from msrgan import models
from msrgan.data.pairs import sr_pairs
from msrgan.data.stream import Part
from msrgan.data.survey import Survey, common_channels, shuffle_window
from msrgan.degradation import ACQUIRED, make
from msrgan.intensity import Normalization
from msrgan.messages import say
from msrgan.training import session
from msrgan.training.build import build
from msrgan.training.callbacks import Samples, TensorBoard, spread
from msrgan.training.checkpoints import saved_steps
from msrgan.training.loop import Phase, validation_interval
from msrgan.training.settings import SRGANSettings
from msrgan.training.step import SRGAN
from msrgan.training.strategy import is_chief
from msrgan.training.transfer import start_from

HINT = (
    "`filters` 32, `blocks` 4, `batch_size` 8, `pretrain_steps` 300, `steps` 100, and a `vgg` of a quarter of the width"
)
MODEL, GENERATOR = "model", "generator.keras"


class Validation(Protocol):
    """Held-out images: called with a generator it gives scores, and then `sample` draws it at work."""

    def __call__(self, generator: Callable) -> dict[str, float]:
        """Score a generator, a function of batches in [-1, 1]."""

    def sample(self) -> np.ndarray:
        """Draw the first images as last scored; RGB, uint8 (height, width, 3)."""


def train(
    settings: SRGANSettings,
    distribution: tf.distribute.Strategy,
    *,
    images: Survey,
    held_out: Survey,
    features: Callable | None,
    validation: Validation,
    film: Callable[[Path, str], None],
) -> None:
    """Run stage 2; leaves model/ (SavedModel), generator.keras, samples/ and history.csv in the run folder.

    Args:
        settings: resolved.
        distribution: from `session.start`.
        images: to train on.
        held_out: to validate on.
        features: of the content loss, see `losses.content`; None for no content loss.
        validation: of the held-out images.
        film: (folder of the pictures, name) -> None: make an animation of them.
    """
    channels = common_channels(images, held_out)
    _check_channels(features, channels)
    models.check_target(settings.out / MODEL)
    keras.utils.set_random_seed(settings.seed)  # preparing a set draws random numbers too
    with distribution.scope():
        model = _build(settings, images, channels, features)
        if settings.init and not (settings.resume and saved_steps(settings.out / "checkpoints")):
            start_from(settings.init, model.generator, model.averaged)
    window = shuffle_window(images, settings.cache_bytes)
    degradation = ACQUIRED if images.pairs else settings.degradation
    interval = validation_interval(len(images.ids), settings.crops_per_image, settings.batch_size)
    steps_per_epoch = settings.steps_per_epoch or interval
    phases = _phases(settings, model)

    def finish(folder, loop, interrupted):
        metadata = {
            "normalization": settings.normalize,
            "degradation": degradation,
            "training_hashes": images.hashes,
            "variant": settings.variant,
            "data": settings.data,
            "steps": loop.progress.step,
        }
        metadata |= {"interrupted": True} if interrupted else {}
        models.export(model.averaged, folder.folder / MODEL, metadata=metadata)
        folder.write_network(GENERATOR, model.averaged)
        film(folder.samples, folder.folder.resolve().name)
        say(f"See {folder.folder}: model/ (SavedModel), samples/, history.csv.")

    def callbacks(folder, loop):
        if not is_chief():
            return []
        samples = Samples(folder.samples, validation.sample, spread(loop.epoch_ends))
        return [samples, TensorBoard(folder.logs, samples.path)]

    job = session.Job(
        model=model,
        optimizers=[o for o in (model.generator_optimizer, model.discriminator_optimizer) if o],
        phases=phases,
        batches=_batches(settings, images, channels, window),
        steps_per_epoch=steps_per_epoch,
        validate=(lambda: validation(model.upscale)) if is_chief() else dict,  # its scores decide nothing
        images=images,
        held_out=held_out,
        derived={
            "command": "train_srgan",
            "degradation": degradation,
            "shuffle_window": window,
            "steps_per_epoch": steps_per_epoch,
        },
        about=_about(settings, model, images, held_out, channels, phases, steps_per_epoch, features),
        hint=HINT,
        finish=finish,
        callbacks=callbacks,
        identity={"features": features.fingerprint if features else None},
    )
    session.run(job, settings, distribution)


def _check_channels(features, channels):
    if features and features.channels != channels and channels != 1:
        raise ValueError(
            f"The features of the content loss take images of {features.channels} channels. Received: images of "
            f"{channels}. Use another `vgg`, trained on such images, or none."
        )


def _build(settings: SRGANSettings, images: Survey, channels: int, features: Any) -> SRGAN:
    return build(
        settings.system,
        settings.sizes,
        settings.training,
        channels=channels,
        scale=settings.scale,
        grid="centre" if images.pairs else make(settings.degradation).grid,
        patch=settings.patch_size,
        features=features,
        pretrain_steps=settings.pretrain_steps,
        steps=settings.steps,
    )


def _phases(settings: SRGANSettings, model: SRGAN) -> list[Phase]:
    """Return the phase on the pixel loss, then that of the GAN; a system without one learns on pixels throughout."""
    if model.discriminator is None:
        return [Phase("pixel", model.pretrain_step, settings.pretrain_steps + settings.steps)]
    return [
        Phase("pixel", model.pretrain_step, settings.pretrain_steps),
        Phase("gan", model.train_step, settings.steps),
    ]


def _batches(settings: SRGANSettings, images: Survey, channels: int, window: int | None) -> Callable:
    def batches(context, step):
        return sr_pairs(
            images.images,
            patch_size=settings.patch_size,
            batch_size=settings.batch_size // context.num_replicas_in_sync,
            degradation=make(settings.degradation),
            seed=settings.seed,
            crop=settings.crop,
            part=Part(
                start=step * settings.batch_size,
                shard=(context.num_input_pipelines, context.input_pipeline_id),
                window=window,
            ),
            scale=settings.scale,
            channels=channels,
            normalization=Normalization(settings.normalize),
        )

    return batches


def _about(settings, model, images, held_out, channels, phases, steps_per_epoch, features):
    sizes = ", ".join(f"{name} {value}" for name, value in settings.sizes.items() if value is not None)
    return (
        f"{len(images.ids)} training and {len(held_out.ids)} validation images of {settings.data}, "
        f"{channels} channels; {settings.variant} generator of {model.generator.count_params():,} parameters, "
        f"{sizes}; {', then '.join(f'{phase.steps} steps of {phase.name} loss' for phase in phases)}, "
        f"{settings.batch_size} patches of {settings.patch_size} pixels each; epochs of {steps_per_epoch} steps; "
        f"content loss {'on ' + settings.vgg if features else 'off'}."
    )
