"""The three terms of the generator's loss, and the discriminator's.

    l = alpha * pixel + beta * content + gamma * adversarial

Every term is a mean over batch and elements. The thesis code sums instead (`tf.nn.l2_loss`, half a sum of
squares), with alpha = .4 and beta = .8: its numbers are not comparable with the weights used here.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from keras import ops

Tensor = Any


def mse(hr: Tensor, sr: Tensor) -> Tensor:
    """Mean squared error of two batches (B, H, W, C): the pixel loss of the thesis and of SRGAN (eq. 4)."""
    return ops.mean(ops.square(hr - sr))


def l1(hr: Tensor, sr: Tensor) -> Tensor:
    """Mean absolute error of two batches (B, H, W, C)."""
    return ops.mean(ops.abs(hr - sr))


PIXEL_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"mse": mse, "l1": l1}


def content(
    features: Callable[[Tensor], list[Tensor]], distance: Callable[[Tensor, Tensor], Tensor] = mse
) -> Callable[[Tensor, Tensor], Tensor]:
    """Make a content loss: the sum over feature maps of their distance.

    Thesis, section 3; SRGAN eq. 5 with several layers; with `l1` ESRGAN's (arXiv 1809.00219, eq. 3).

    Args:
        features: [-1, 1] images (B, H, W, C) -> list of feature maps, frozen (see `vgg_micro.features`).
        distance: of two feature maps, `mse` or `l1`.

    Returns:
        (hr, sr) -> scalar.
    """

    def loss(hr, sr):
        pairs = zip(features(hr), features(sr), strict=True)
        return sum(distance(ops.cast(x, "float32"), ops.cast(y, "float32")) for x, y in pairs)

    return loss


class Adversarial(NamedTuple):
    """A pair of losses over logits (B, 1); each maps (real_logits, fake_logits) to a scalar.

    Attributes:
        generator: what the generator minimises.
        discriminator: what the discriminator minimises.
        smoothing: upper end of the random u by which the discriminator's labels are smoothed (`smoothed`).
    """

    generator: Callable[[Tensor, Tensor], Tensor]
    discriminator: Callable[[Tensor, Tensor], Tensor]
    smoothing: float = 0.0


def _bce(logits, label):
    # -log sigmoid(x) for label 1, -log(1 - sigmoid(x)) for label 0, in its stable form.
    return ops.mean(ops.softplus(-logits if label else logits))


LEAST_SQUARES = Adversarial(
    generator=lambda real, fake: ops.mean(ops.square(fake - 1)),
    discriminator=lambda real, fake: ops.mean(ops.square(real - 1)) + ops.mean(ops.square(fake + 1)),
)
"""Least squares with targets +1 (real) and -1 (fake), as in the thesis. Mao et al., arXiv 1611.04076."""

CROSS_ENTROPY = Adversarial(
    generator=lambda real, fake: _bce(fake, 1),
    discriminator=lambda real, fake: _bce(real, 1) + _bce(fake, 0),
)
"""Binary cross entropy, the generator's in its non-saturating form -log D(G(x)) (SRGAN eq. 6)."""

SMOOTHED_CROSS_ENTROPY = CROSS_ENTROPY._replace(smoothing=0.2)
"""Cross entropy with random label smoothing (real-time SRGAN, arXiv 2010.04634)."""

RELATIVISTIC = Adversarial(
    generator=lambda real, fake: (_bce(fake - ops.mean(real), 1) + _bce(real - ops.mean(fake), 0)) / 2,
    discriminator=lambda real, fake: (_bce(real - ops.mean(fake), 1) + _bce(fake - ops.mean(real), 0)) / 2,
)
"""Relativistic average discriminator (ESRGAN, arXiv 1809.00219, eq. 1-2; means of the two halves)."""


def smoothed(real: Tensor, fake: Tensor, u: Tensor) -> Tensor:
    """Return what cross entropy gains where the labels are 1 - u and u instead of 1 and 0.

    The cross entropy of logit x for label y is softplus(x) - y x: linear in y.

    Args:
        real: logits (B, 1).
        fake: logits (B, 1).
        u: (2, B, 1), for the real and the fake ones.
    """
    return ops.mean(u[0] * real) - ops.mean(u[1] * fake)


class Objective(NamedTuple):
    """What the generator minimises: alpha * pixel + beta * content + gamma * adversarial.

    Attributes:
        pixel: (hr, sr) -> scalar, such as `mse` or `l1`.
        content: (hr, sr) -> scalar, such as `content(features)`; None to leave it out.
        adversarial: an `Adversarial` pair.
        alpha: weight of the pixel loss.
        beta: weight of the content loss.
        gamma: weight of the adversarial loss.
    """

    pixel: Callable[[Tensor, Tensor], Tensor] = mse
    content: Callable[[Tensor, Tensor], Tensor] | None = None
    adversarial: Adversarial = LEAST_SQUARES
    alpha: float = 1.0
    beta: float = 0.006
    gamma: float = 1e-5
