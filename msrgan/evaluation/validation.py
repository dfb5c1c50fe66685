"""Scores of a generator while it trains, against bicubic interpolation, on a few held-out images."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from msrgan import io, metrics
from msrgan.degradation import Degradation, content_seed
from msrgan.evaluation.strips import stack, strip
from msrgan.intensity import Normalization, to_channels
from msrgan.models import interpolation

IMAGES = 16
SIDE = 384
STRIPS = 3


class Validation:
    """Held-out images, degraded once; calling it scores a generator on them.

    PSNR and SSIM are those of the normalised image: 1 is the span of its percentiles (or of its dtype) in
    each channel; channels that are constant are left out, unless all are. The first 16 images are used: they are
    degraded whole, at random from their content, as `evaluate` does, and of each the central 384 x 384 pixels at the
    most are kept. Bicubic interpolation is on the grid of the degradation. Acquired LR images are used
    as they are, normalised by their own range; what is made of them is matched in intensity to the HR image before
    it is scored (see `metrics.match_intensity`).

    Args:
        images: finite dataset of {"id", "image"} and, of acquired pairs, "lr".
        degradation: makes the LR images; not used with acquired pairs.
        scale: enlargement.
        channels: channels of the generator; grey images are repeated.
        normalization: of the images.
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
        def normalized(image):
            image = to_channels(image, channels)
            return normalization.limits(image).normalize(image)

        self.paired = "lr" in images.element_spec
        self.scale, self.grid = scale, "centre" if self.paired else degradation.grid
        self.names, self.cases = [], []
        for example in images.take(IMAGES).as_numpy_iterator():
            name, image = example["id"].decode(), example["image"]
            try:
                height, width = (size // scale * scale for size in image.shape[:2])
                hr = normalized(image[:height, :width])
                if self.paired:
                    lr = normalized(example["lr"])
                else:
                    lr = degradation(hr, scale=scale, seed=content_seed(io.content_hash(image))).numpy()
                window = _centre(image.shape, scale)
                hr, lr = hr[window(scale)], lr[window(1)]
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
            self.names.append(name)
            self.cases.append((lr, self._interpolate("bicubic", lr), hr))
        self.bicubic = self._mean([case[1] for case in self.cases])

    def __call__(self, generator: Callable) -> dict[str, float]:
        """Score a generator, a function of batches in [-1, 1].

        Returns:
            `val_psnr` and `val_ssim`, and `val_psnr_bicubic` and `val_ssim_bicubic` for comparison.
        """
        self.enlarged = [self._enlarge(generator, lr) for lr, _, _ in self.cases]
        with np.errstate(invalid="ignore"):  # pixels that are not finite are told by scores that are not
            scores = self._mean(self.enlarged)
        return {f"val_{k}": v for k, v in scores.items()} | {f"val_{k}_bicubic": v for k, v in self.bicubic.items()}

    def sample(self) -> np.ndarray:
        """Draw LR, bicubic, SR and HR of the first images as last scored; RGB, uint8 (height, width, 3)."""
        rows = list(zip(self.names, self.cases, self.enlarged, strict=True))[:STRIPS]
        strips = [strip(self._interpolate("nearest", lr), bicubic, sr, hr) for _, (lr, bicubic, hr), sr in rows]
        return stack(strips, [name for name, _, _ in rows])

    def _interpolate(self, name, lr):
        return interpolation(name, self.scale, self.grid)(lr[None])[0]

    def _enlarge(self, generator, lr):
        return (np.asarray(generator(lr[None] * 2 - 1))[0] + 1) / 2

    def _mean(self, enlarged):
        pairs = [(hr, x) for (_, _, hr), x in zip(self.cases, enlarged, strict=True)]
        if self.paired:
            pairs = [(hr, metrics.match_intensity(hr, x)) for hr, x in pairs]
        pairs = [(hr[..., kept], x[..., kept]) for hr, x in pairs for kept in [metrics.varying_channels(hr)]]
        psnr, ssim = ([score(hr, x, data_range=1) for hr, x in pairs] for score in (metrics.psnr, metrics.ssim))
        # Interpolation restores an empty detail exactly, at infinite PSNR: that says nothing about the others.
        counted = [value for value, (hr, _) in zip(psnr, pairs, strict=True) if np.ptp(hr) > 0]
        return {"psnr": float(np.mean(counted or psnr)), "ssim": float(np.mean(ssim))}


def _centre(shape, scale):
    """Find the central window of an image, at most SIDE pixels a side, on the grid of LR pixels.

    Returns:
        Function of the size of a pixel of that grid, `scale` for HR and 1 for LR: slices of rows and columns.
    """
    sides = [min(SIDE, size) // scale for size in shape[:2]]
    corners = [(size // scale - side) // 2 for size, side in zip(shape[:2], sides, strict=True)]
    return lambda pixel: tuple(
        slice(corner * pixel, (corner + side) * pixel) for corner, side in zip(corners, sides, strict=True)
    )
