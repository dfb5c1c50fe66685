"""The three terms of the generator's loss, and the discriminator's.

    l = alpha * pixel + beta * content + gamma * adversarial

Every term is a mean over batch and elements, `negative_psnr` one over the batch. The thesis code sums instead
(`tf.nn.l2_loss`, half a sum of squares), with alpha = .4 and beta = .8: its numbers are not comparable with the weights
used here.
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


def negative_psnr(hr: Tensor, sr: Tensor) -> Tensor:
    """Mean over a batch (B, H, W, C) of the logarithm of each image's mean squared error.

        mean over b of ln(MSE_b + 1e-5) = -ln(10) / 10 * mean PSNR + constant

    Chen et al., HINet, arXiv 2105.06086. Clean and noisy images then count alike, where `mse` sees hardly more than the
    noisy ones. Beyond 56 dB, where MSE_b is the added 1e-5 of images in [-1, 1], nothing more is asked for.
    """
    return ops.mean(ops.log(ops.mean(ops.square(hr - sr), axis=(1, 2, 3)) + 1e-5))


PIXEL_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"mse": mse, "l1": l1, "psnr": negative_psnr}


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
    """A pair of losses over logits (B, 1).

    Each maps (real_logits, fake_logits, mean=..., step=...) to a scalar, a mean over the batch. `mean` takes the mean
    of logits over the batch of all replicas (`ops.mean` where there is one); `step` is the number of the step, of
    which random labels are a function.

    Attributes:
        generator: what the generator minimises.
        discriminator: what the discriminator minimises.
    """

    generator: Callable[..., Tensor]
    discriminator: Callable[..., Tensor]


def _bce(logits, label):
    # -log sigmoid(x) for label 1, -log(1 - sigmoid(x)) for label 0, in its stable form; linear in the label.
    return ops.mean(ops.softplus(logits) - label * logits)


def _smoothed(real, fake, mean=ops.mean, step=0):
    # A low-discrepancy sequence (R2, Roberts 2018) in place of random numbers, which XLA would draw otherwise.
    t = ops.cast(step % 65536, "float32")
    u, v = (0.2 * (t * ratio % 1.0) for ratio in (0.7548776662466927, 0.5698402909980532))
    return _bce(real, 1 - u) + _bce(fake, v)


def _relativistic(first, second, mean=ops.mean, step=0):
    # `first` is to be more real than `second` on average, and `second` less than `first`.
    return (_bce(first - mean(second), 1) + _bce(second - mean(first), 0)) / 2


LEAST_SQUARES = Adversarial(
    generator=lambda real, fake, **_: ops.mean(ops.square(fake - 1)),
    discriminator=lambda real, fake, **_: ops.mean(ops.square(real - 1)) + ops.mean(ops.square(fake + 1)),
)
"""Least squares with targets +1 (real) and -1 (fake), as in the thesis. Mao et al., arXiv 1611.04076."""

CROSS_ENTROPY = Adversarial(
    generator=lambda real, fake, **_: _bce(fake, 1),
    discriminator=lambda real, fake, **_: _bce(real, 1) + _bce(fake, 0),
)
"""Binary cross entropy, the generator's in its non-saturating form -log D(G(x)) (SRGAN eq. 6)."""

SMOOTHED_CROSS_ENTROPY = CROSS_ENTROPY._replace(discriminator=_smoothed)
"""Cross entropy whose discriminator sees labels 1 - u and v, in (0, 0.2), new at every step (arXiv 2010.04634)."""

RELATIVISTIC = Adversarial(
    generator=lambda real, fake, **around: _relativistic(fake, real, **around),
    discriminator=_relativistic,
)
"""Relativistic average discriminator (ESRGAN, arXiv 1809.00219, eq. 1-2; means of the two halves)."""


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
