"""Scores of a generator while it trains, against bicubic interpolation, on a few held-out images."""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from msrgan.degradation import Degradation
from msrgan.evaluation.cases import Case, interpolations, make_case
from msrgan.evaluation.scores import compare
from msrgan.evaluation.strips import stack, strip
from msrgan.intensity import Normalization

IMAGES = 16
SIDE = 384
STRIPS = 3


class Validation:
    """Held-out images, degraded once; calling it scores a generator on them.

    PSNR and SSIM are taken of the normalised image: 1 is the span of its percentiles (or of its dtype) in
    each channel; channels that are constant are left out, unless all are. The first 16 images are used: they are
    degraded whole, at random from their content, as `evaluate` does, and of each the central 384 x 384 pixels at the
    most are kept. Bicubic interpolation is on the grid of the degradation. Acquired LR images are used
    as they are, normalised by their own range; what is made of them is matched in intensity to the HR image before
    it is scored (see `metrics.match_intensity`).

    A validation tells how a training goes on, and `evaluate` what a user gets: here LR images are normalised by the
    range of the HR image, as in training, there by their own, and results are rounded as in a file.

    Args:
        images: finite dataset of {"id", "image"} and, of acquired pairs, "lr".
        degradation: makes the LR images; not used with acquired pairs.
        scale: enlargement.
        channels: channels of the generator; grey images are repeated.
        normalization: of the images.

    Attributes:
        names: of the images.
        cases: of the images, with method "bicubic".
        bicubic: its mean "psnr" and "ssim".
    """

    def __init__(
        self,
        images: tf.data.Dataset,
        *,
        degradation: Degradation | None,
        scale: int,
        channels: int,
        normalization: Normalization,
    ):
        if "lr" in images.element_spec:
            degradation = None
        settings = {"scale": scale, "normalization": normalization, "degradation": degradation, "channels": channels}
        self._baselines = interpolations(degradation, scale)
        self.names: list[str] = []
        self.cases: list[Case] = []
        for example in images.take(IMAGES).as_numpy_iterator():
            name = example["id"].decode()
            try:
                case = _centre(make_case(example | {"mask": None}, **settings), scale)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
            self.names.append(name)
            self.cases.append(case._replace(enlarged={"bicubic": self._interpolate("bicubic", case)}))
        self.bicubic = _means(self.cases, [case.enlarged["bicubic"] for case in self.cases])

    def __call__(self, generator: Callable[[np.ndarray], np.ndarray]) -> dict[str, float]:
        """Score a generator, a function of batches in [-1, 1].

        Returns:
            `val_psnr` and `val_ssim`, and `val_psnr_bicubic` and `val_ssim_bicubic` for comparison.
        """
        self.enlarged = [(np.asarray(generator(case.lr[None] * 2 - 1))[0] + 1) / 2 for case in self.cases]
        with np.errstate(invalid="ignore"):  # pixels that are not finite are told by scores that are not
            means = _means(self.cases, self.enlarged)
        return {f"val_{k}": v for k, v in means.items()} | {f"val_{k}_bicubic": v for k, v in self.bicubic.items()}

    def sample(self) -> np.ndarray:
        """Draw LR, bicubic, SR and HR of the first images as last scored; RGB, uint8 (height, width, 3)."""
        shown = list(zip(self.cases, self.enlarged, strict=True))[:STRIPS]
        strips = [
            strip(self._interpolate("nearest", case), case.enlarged["bicubic"], sr, case.hr) for case, sr in shown
        ]
        return stack(strips, self.names[:STRIPS])

    def _interpolate(self, name, case):
        return self._baselines[name](case.lr[None])[0]


def _means(cases: Sequence[Case], enlarged: Sequence[np.ndarray]) -> dict[str, float]:
    """Average the scores of one method over the cases."""
    scored = [compare(case.hr, case.matched(sr)) for case, sr in zip(cases, enlarged, strict=True)]
    # Interpolation restores an empty detail exactly, at infinite PSNR: that says nothing about the others.
    varied = [np.ptp(case.hr, axis=(0, 1)).any() for case in cases]
    counted = [one["psnr"] for one, varies in zip(scored, varied, strict=True) if varies or not any(varied)]
    return {"psnr": float(np.mean(counted)), "ssim": float(np.mean([one["ssim"] for one in scored]))}


def _centre(case: Case, scale: int) -> Case:
    """Cut the central window out of a case, at most SIDE pixels a side, on the grid of LR pixels."""
    sides = [min(SIDE // scale, size) for size in case.lr.shape[:2]]
    corners = [(size - side) // 2 for size, side in zip(case.lr.shape[:2], sides, strict=True)]

    def cut(image, pixel):
        rows, columns = (slice(c * pixel, (c + side) * pixel) for c, side in zip(corners, sides, strict=True))
        return image[rows, columns].copy()  # a view would keep the whole image in memory

    return case._replace(hr=cut(case.hr, scale), lr=cut(case.lr, 1), lr_file=cut(case.lr_file, 1))
