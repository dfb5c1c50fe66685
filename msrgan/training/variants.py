"""The published systems: which networks, which losses, which rates. What each differs in is in docs/lineage.md."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from msrgan.losses import CROSS_ENTROPY, LEAST_SQUARES, RELATIVISTIC, SMOOTHED_CROSS_ENTROPY, Adversarial
from msrgan.networks import discriminator, rrdbnet, span, srcnn, srresnet
from msrgan.networks.discriminator import REALTIME_STAGES

VGG54 = "block5_conv4"


class Variant(NamedTuple):
    """A system: the builders of its networks, its adversarial loss, and the values it was published with.

    Attributes:
        generator: (channels, scale, grid, and the arguments that `sizes` names) -> keras.Model.
        sizes: arguments of the generator that a user may choose, with their defaults.
        training: losses, their weights, features and rates: what differs from `TRAINING`.
        discriminator: (channels, patch) -> keras.Model; None where there is only a pixel loss.
        adversarial: the pair of adversarial losses.
    """

    generator: Callable
    sizes: dict[str, Any]
    training: dict[str, Any]
    discriminator: Callable | None = None
    adversarial: Adversarial | None = None


# The thesis, Gawande, TRITA-EECS-EX-2018:10, and this project. The others were published with the features of ImageNet
# VGG19; nothing is downloaded by default, so they too begin with the mini-VGG19; `vgg` imagenet downloads.
TRAINING = {
    "alpha": 1.0,
    "beta": 0.006,
    "gamma": 1e-5,
    "pixel_loss": "mse",
    "content_loss": "mse",
    "vgg": "runs/vgg",
    "vgg_layers": ("block1_conv2_act", "block2_conv2_act", "block3_conv4_act", "block4_conv4_act", "block5_conv4_act"),
    "learning_rate": 1e-4,
    "discriminator_learning_rate": None,  # that of the generator
    "pretrain_learning_rate": 3e-4,
    "decay": (),
    "adam_beta_2": 0.999,
}
# What only a system with a discriminator has.
GAN_ONLY = {
    *("alpha", "beta", "gamma", "content_loss", "vgg", "vgg_weights", "vgg_layers", "discriminator_learning_rate"),
}
_RESNET = {
    "filters": 64,
    "blocks": 16,
    "batch_norm": "on",
    "dropout": 0.0,
    "upsample": "subpixel",
    "widths": None,
    "image_skip": "bicubic",
}
_SIZES = tuple(_RESNET)


def _srresnet(*, batch_norm, **arguments):
    return srresnet(batch_norm={"on": True, "off": False}.get(batch_norm, batch_norm), **arguments)


def _msrgan(*, filters, scale, upsample, widths, **arguments):
    # Only the thesis's first upsampling is four times as wide as the body: its second leaves filters / 4.
    if upsample == "subpixel" and not widths:
        if filters % 4 and scale > 2:
            raise ValueError(f"msrgan has `filters` that are a multiple of 4, or `widths`. Received: {filters}.")
        widths = (4 * filters,) + (filters,) * (scale.bit_length() - 2)
    thesis = {"kernel": 3, "use_bias": False, "stem_activation": "leaky_relu"}
    return _srresnet(filters=filters, scale=scale, upsample=upsample, widths=widths, **thesis, **arguments)


VARIANTS: dict[str, Variant] = {
    # As in the thesis's code. Its rate for the discriminator, 1e-3, is not kept: the published loop never updates
    # the discriminator, and at that rate ours stopped telling real from fake (D(real) - D(fake) of .004 after 300
    # steps, with the generator's rate .06 after 150, docs/results.md).
    "msrgan": Variant(
        generator=_msrgan,
        sizes=_RESNET | {"blocks": 15},
        training={},
        discriminator=partial(discriminator, batch_norm=False, use_bias=False),
        adversarial=LEAST_SQUARES,
    ),
    # Ledig et al., arXiv 1609.04802: no pixel loss after the pre-training. The features are divided by 12.75, so
    # that their weight is 1 where the paper also writes .006.
    "srgan": Variant(
        generator=_srresnet,
        sizes=_RESNET,
        training={
            "alpha": 0.0,
            "beta": 1.0,
            "gamma": 1e-3,
            "vgg_layers": (f"{VGG54}_act",),
            "pretrain_learning_rate": 1e-4,
            "decay": ((0.5, 0.1),),
        },
        discriminator=discriminator,
        adversarial=CROSS_ENTROPY,
    ),
    # Real-time SRGAN, arXiv 2010.04634. Published with widths (256, 256), and with one batch norm, "body".
    "realtime": Variant(
        generator=partial(_srresnet, tail_activation="leaky_relu", output_activation="tanh"),
        sizes=_RESNET | {"upsample": "resize", "batch_norm": "off"},
        training={
            "alpha": 1e-2,
            "beta": 1.0,
            "gamma": 1e-3,
            "pixel_loss": "l1",
            "vgg_layers": (VGG54,),
            "pretrain_learning_rate": 1e-4,
            "decay": ((30_000, 0.1),),
        },
        discriminator=partial(discriminator, batch_norm="after", head="gap", stages=REALTIME_STAGES),
        adversarial=SMOOTHED_CROSS_ENTROPY,
    ),
    # Wang et al., arXiv 1809.00219, whose schedule over 400,000 steps is kept as fractions; Adam's beta2 is that of
    # the tissue study.
    "esrgan": Variant(
        generator=rrdbnet,
        sizes={"filters": 64, "blocks": 23, "image_skip": "bicubic"},
        training={
            "alpha": 1e-2,
            "beta": 1.0,
            "gamma": 5e-3,
            "pixel_loss": "l1",
            "content_loss": "l1",
            "vgg_layers": (VGG54,),
            "pretrain_learning_rate": 2e-4,
            "decay": ((0.125, 0.5), (0.25, 0.5), (0.5, 0.5), (0.75, 0.5)),
            "adam_beta_2": 0.99,
        },
        discriminator=discriminator,
        adversarial=RELATIVISTIC,
    ),
    # Dong et al., arXiv 1501.00092; Adam, where the paper has plain descent over 8e8 samples.
    "srcnn": Variant(generator=srcnn, sizes={"image_skip": "bicubic"}, training={}),
    # Wan et al., arXiv 2311.12770, with 48 or 28 filters. Its L1 loss is not kept: dark images teach it little.
    "span": Variant(
        generator=span,
        sizes={"filters": 32, "blocks": 6, "image_skip": "bicubic"},
        training={"pretrain_learning_rate": 5e-4},
    ),
}


def complete(variant: Variant, chosen: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """Complete what a user chose by what the system was published with.

    Args:
        variant: the system.
        chosen: values by name, None where there is no choice; other names are of no account.

    Returns:
        The arguments of the generator's size; the settings of `TRAINING`, None for what the system lacks; the names of
        what was chosen in vain because it does.
    """
    lacking = set(_SIZES) - set(variant.sizes)
    if variant.discriminator is None:
        lacking |= GAN_ONLY
    ignored = sorted(name for name in lacking if chosen.get(name) is not None)
    taken = {name: value for name, value in chosen.items() if value is not None and name not in lacking}
    sizes = {name: taken.get(name, value) for name, value in variant.sizes.items()}
    published = {name: v for name, v in (TRAINING | variant.training).items() if name not in lacking}
    training = dict.fromkeys(TRAINING) | {name: taken.get(name, value) for name, value in published.items()}
    return sizes, training, ignored
