"""What a run is told: every option, resolved once and frozen.

When a run goes on, a field must be the same as before; or it is FREE, because it changes nothing that was computed
before; or it counts LATER, from the first step of the GAN on, and is null until then.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msrgan.degradation import make
from msrgan.messages import say
from msrgan.training.optimizers import COSINE, Decay
from msrgan.training.variants import TRAINING, VARIANTS, Variant, complete

_CHANGES = "changes"
FREE, LATER = {_CHANGES: "free"}, {_CHANGES: "later"}


def free(default: Any = dataclasses.MISSING) -> Any:
    """Declare a field that may differ when a run goes on."""
    return dataclasses.field(default=default, metadata=FREE)


def later(default: Any = dataclasses.MISSING) -> Any:
    """Declare a field that counts from the first step of the GAN on."""
    return dataclasses.field(default=default, metadata=LATER)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """What both stages are told of data, machine and run folder; the options of the scripts have these names."""

    data: str
    manual_dir: Path | None = free(None)
    data_dir: Path | None = free(None)
    axes: str | None = None
    cache_gb: float = free(4.0)
    batch_size: int
    learning_rate: float = free()
    seed: int = 0
    precision: str = "float32"
    jit: str = free("auto")
    out: Path = free()
    resume: bool = free(True)
    checkpoint_every: int = free(200)

    @property
    def cache_bytes(self) -> int:
        """Memory for decoded images."""
        return int(self.cache_gb * 2**30)

    def arguments(self) -> dict[str, Any]:
        """Return what config.json records: every field."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    @classmethod
    def named(cls, changes: Mapping[str, str]) -> set[str]:
        """Return the names of the fields that are FREE, or that count LATER."""
        return {field.name for field in dataclasses.fields(cls) if field.metadata == changes}


@dataclasses.dataclass(frozen=True, kw_only=True)
class SRGANSettings(Settings):
    """What stage 2 is told; None where the system that `variant` names lacks the thing."""

    variant: str
    scale: int
    filters: int | None
    blocks: int | None
    batch_norm: str | None
    dropout: float | None
    upsample: str | None
    widths: tuple[int, ...] | None
    image_skip: str | None
    init: str | None
    alpha: float | None = later()
    beta: float | None = later()
    gamma: float | None = later()
    pixel_loss: str
    content_loss: str | None = later()
    vgg: str | None = later()
    vgg_weights: str | None = later()
    vgg_layers: tuple[str, ...] | None = later()
    patch_size: int
    degradation: str
    crop: str
    crops_per_image: int
    normalize: str
    pretrain_steps: int
    steps: int = free()
    steps_per_epoch: int | None
    learning_rate: float = free()
    discriminator_learning_rate: float | None = free()
    pretrain_learning_rate: float = free()
    decay: Decay = free()
    adam_beta_2: float

    @property
    def system(self) -> Variant:
        """The published system."""
        return VARIANTS[self.variant]

    @property
    def sizes(self) -> dict[str, Any]:
        """The arguments of its generator."""
        return {name: getattr(self, name) for name in self.system.sizes}

    @property
    def training(self) -> dict[str, Any]:
        """Its losses, their weights, and its learning rates."""
        return {name: getattr(self, name) for name in TRAINING}

    def arguments(self) -> dict[str, Any]:
        """Return what config.json records: every field, null what counts later where there is no GAN yet."""
        unused = () if self.steps else self.named(LATER)
        return super().arguments() | dict.fromkeys(unused)


def resolve(options: Mapping[str, Any]) -> SRGANSettings:
    """Complete the options of stage 2 by what the variant was published with.

    Args:
        options: value by name, None where there is no choice.

    Raises:
        ValueError: options do not fit each other, or the variant is unknown.
    """
    if options["variant"] not in VARIANTS:
        raise ValueError(
            f"`variant` is one of {', '.join(VARIANTS)}. Received: {options['variant']}. Interpolation has nothing to "
            "learn: score it by msrgan evaluate, model bicubic."
        )
    _check(**options)
    options = dict(options) | {"vgg": options["vgg"] or (options["vgg_weights"] and "imagenet")}
    sizes, training, ignored = complete(VARIANTS[options["variant"]], options)
    if ignored:
        say(f"{options['variant']} has no {', '.join(f'`{name}`' for name in ignored)}: ignored.")
    absent = dict.fromkeys(ignored)
    return SRGANSettings(**options | absent | sizes | training | {"degradation": make(options["degradation"]).text})


def _check(*, vgg, vgg_weights, patch_size, scale, pretrain_steps, steps, init, decay, **_):
    """Check what needs neither the variant nor the data."""
    if COSINE in (decay or ()) and len(decay) > 1:
        raise ValueError(f"`decay` is {COSINE}, or times and factors. Received: {decay}.")
    if vgg_weights and vgg not in (None, "imagenet"):
        raise ValueError(f"`vgg_weights` belong to ImageNet's VGG19. Received: `vgg` {vgg}. Use imagenet.")
    if patch_size % scale:
        raise ValueError(f"`patch_size` must be a multiple of `scale`. Received: {patch_size}, {scale}.")
    if not (pretrain_steps or steps or init):
        raise ValueError("Without `pretrain_steps`, `steps` and `init` there is nothing to do. Name one of them.")
