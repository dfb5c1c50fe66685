"""The published systems: which networks, which losses, which learning rates."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from msrgan.losses import CROSS_ENTROPY, LEAST_SQUARES, Adversarial
from msrgan.networks import discriminator, srresnet


class Variant(NamedTuple):
    """A system: the builders of its networks, its adversarial loss, and the rates it was published with.

    Attributes:
        generator: (channels, scale, filters, blocks, ...) -> keras.Model, arguments of `srresnet`.
        discriminator: (channels, patch) -> keras.Model.
        adversarial: the pair of adversarial losses.
        filters: default width of the generator.
        blocks: default number of its residual blocks.
    """

    generator: Callable
    discriminator: Callable
    adversarial: Adversarial
    filters: int = 64
    blocks: int = 16


def _msrgan(*, filters, scale, **arguments):
    # Only the thesis's first upsampling is four times as wide as the body: its second leaves filters / 4.
    stages = scale.bit_length() - 1
    widths = (4 * filters,) + (filters,) * (stages - 1)
    return srresnet(
        filters=filters,
        scale=scale,
        widths=widths,
        kernel=3,
        use_bias=False,
        stem_activation="leaky_relu",
        **arguments,
    )


VARIANTS: dict[str, Variant] = {
    # Gawande, TRITA-EECS-EX-2018:10, as in its code. Its rate for the discriminator, 1e-3, is not kept: the
    # published loop never updates the discriminator, and at that rate ours stopped telling real from fake
    # (D(real) - D(fake) of .004 after 300 steps, with this one .06 after 150, docs/results.md).
    "msrgan": Variant(
        generator=_msrgan,
        discriminator=partial(discriminator, batch_norm=False, use_bias=False),
        adversarial=LEAST_SQUARES,
        blocks=15,
    ),
    # Ledig et al., arXiv 1609.04802.
    "srgan": Variant(generator=srresnet, discriminator=discriminator, adversarial=CROSS_ENTROPY),
}
