"""The microscope and its camera: from a map of stain to the pixels of a file."""

from collections.abc import Sequence

import cv2
import numpy as np

from msrgan.datasets.simulator.bodies import OVERSAMPLING
from msrgan.datasets.simulator.shapes import smooth_noise


def expose(rng: np.random.Generator, stains: np.ndarray, haze: Sequence[float]) -> np.ndarray:
    """Take the picture of one field.

    Point-spread function and binning to camera pixels, out-of-focus haze, uneven illumination, exposure,
    offset, Poisson photon noise, Gaussian read noise, 8-bit quantisation. The exposure of a channel depends
    on nothing but its bright end, so that brightness hardly tells the class.

    Args:
        rng: numpy Generator.
        stains: float32 (3, S, S) red, green, blue on the drawing grid.
        haze: for each channel, the fraction of the light that is out of focus.

    Returns:
        uint8 (S / OVERSAMPLING, S / OVERSAMPLING, 3).
    """
    return np.stack([_channel(rng, *pair) for pair in zip(stains, haze, strict=True)], -1)


def _channel(rng: np.random.Generator, stain, haze):
    sigma = rng.uniform(0.7, 1.25)
    size = stain.shape[0] // OVERSAMPLING
    sharp = cv2.GaussianBlur(stain, (0, 0), sigma)
    sharp = cv2.resize(sharp, (size, size), interpolation=cv2.INTER_AREA)
    quarter = cv2.resize(sharp, (size // 4, size // 4), interpolation=cv2.INTER_AREA)
    wide = cv2.GaussianBlur(quarter, (0, 0), rng.uniform(2, 4), borderType=cv2.BORDER_REFLECT)
    light = (1 - haze) * sharp + haze * cv2.resize(wide, (size, size), interpolation=cv2.INTER_LINEAR)

    light *= 1 + 0.12 * np.clip(smooth_noise(rng, size, size / 1.5), -2, 2)
    # Full scale lies between the bright end and the very brightest point: some pictures saturate a little,
    # others use a third of the range.
    bright, brightest = np.percentile(light[::2, ::2], 99.6) + 1e-3, light.max() + 1e-3
    white = bright * (brightest / bright) ** rng.uniform(0.2, 1)
    signal = light * (rng.uniform(0.35, 1.25) / white) + rng.uniform(0, 0.06)
    photons = 250 * 16 ** rng.uniform(0, 1)
    counts = photon_noise(rng, signal * photons) / photons
    counts += rng.standard_normal(counts.shape, dtype=np.float32) * np.float32(rng.uniform(0.002, 0.012))
    return np.clip(np.rint(counts * 255), 0, 255).astype(np.uint8)


def photon_noise(rng: np.random.Generator, expected: np.ndarray) -> np.ndarray:
    """Draw photon counts.

    The square root of a Poisson variable has a variance of about 1/4, whatever its mean (Anscombe, Biometrika
    35, 1948). Squaring a normal variable of that variance is several times as fast as drawing from the
    Poisson distribution, and right to a quarter of a photon in mean and variance.

    Args:
        rng: numpy Generator.
        expected: float32, mean counts, non-negative.

    Returns:
        float32 counts, not rounded.
    """
    noise = rng.standard_normal(expected.shape, dtype=np.float32)
    return np.square(np.sqrt(expected) + np.float32(0.5) * noise)
