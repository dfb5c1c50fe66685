"""Build the networks of a published system, with its losses, weights and learning rates."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from msrgan import losses
from msrgan.losses import PIXEL_LOSSES
from msrgan.training.optimizers import adam, learning_rates
from msrgan.training.step import SRGAN
from msrgan.training.variants import Variant


def build(
    variant: Variant,
    sizes: dict[str, Any],
    training: dict[str, Any],
    *,
    channels: int,
    scale: int,
    grid: str,
    patch: int,
    features: Callable | None,
    pretrain_steps: int,
    steps: int,
) -> SRGAN:
    """Build the networks of a system, and compile them with its losses and learning rates.

    Args:
        variant: the system.
        sizes: arguments of its generator, from `variants.complete`.
        training: from `variants.complete`.
        channels: channels of the images.
        scale: 2, 4 or 8.
        grid: of the LR images, see `Degradation.grid`.
        patch: side of the HR patches.
        features: see `losses.content`; None for no content loss.
        pretrain_steps: on the pixel loss.
        steps: after them, in which the learning rate decays.
    """
    chosen = SimpleNamespace(**training)
    pixel = PIXEL_LOSSES[chosen.pixel_loss]
    pretraining = (chosen.pretrain_learning_rate, pretrain_steps)
    rates = learning_rates(chosen.learning_rate, steps, decay=chosen.decay, pretraining=pretraining)
    optimizer = adam(rates, beta_2=chosen.adam_beta_2)
    generator = variant.generator(channels=channels, scale=scale, grid=grid, **sizes)
    if variant.discriminator is None:
        model = SRGAN(generator)
        model.compile(losses.Objective(pixel), optimizer)
        return model
    model = SRGAN(generator, variant.discriminator(channels=channels, patch=patch))
    objective = losses.Objective(
        pixel=pixel,
        content=losses.content(features, PIXEL_LOSSES[chosen.content_loss]) if features else None,
        adversarial=variant.adversarial,
        alpha=chosen.alpha,
        beta=chosen.beta,
        gamma=chosen.gamma,
    )
    d_rate = chosen.discriminator_learning_rate
    d_rates = learning_rates(chosen.learning_rate if d_rate is None else d_rate, steps, decay=chosen.decay)
    model.compile(objective, optimizer, adam(d_rates, beta_2=chosen.adam_beta_2))
    return model
