"""An image to show a model at work on: a given one or one drawn, and the picture of both sides."""

from typing import Any

import numpy as np
from PIL import Image

from msrgan.degradation import ACQUIRED, make
from msrgan.intensity import to_channels
from msrgan.models.interpolation import interpolation
from msrgan.models.upscaler import Upscaler

_SIDE = 96  # a multiple of 3
_SHAPES = 40


def low_resolution(image: np.ndarray | None, model: Upscaler) -> np.ndarray:
    """Return the middle of an image, (side, side, C), with pixels that do not see its border; drawn if None.

    Raises:
        ValueError: it is too small, or its channels are not those of the model.
    """
    side = max(_SIDE, 2 * model.radius + 1)
    if image is None:
        return _drawn(side, model.channels)
    if min(image.shape[:2]) < side:
        raise ValueError(f"`image` has at least {side} x {side} pixels. Received: {image.shape[0]} x {image.shape[1]}")
    top, left = ((length - side) // 2 for length in image.shape[:2])
    return to_channels(image, model.channels)[top : top + side, left : left + side]


def _drawn(side: int, channels: int) -> np.ndarray:
    """Draw spots and threads on a dark ground, uint16, as a camera with 16 bits sees them."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:side, :side]
    image = np.full((side, side, channels), 300.0)
    for y, x, angle in zip(*rng.uniform(0, side, (2, _SHAPES)), rng.uniform(0, np.pi, _SHAPES), strict=True):
        along = (rows - y) * np.sin(angle) + (columns - x) * np.cos(angle)
        across = (rows - y) * np.cos(angle) - (columns - x) * np.sin(angle)
        shape = np.exp(-((along / rng.uniform(1, 12)) ** 2) - (across / rng.uniform(0.8, 2)) ** 2)
        image += shape[..., None] * rng.uniform(500, 8000, channels)
    return rng.poisson(image).astype(np.uint16)


def cover(lr: np.ndarray, sr: np.ndarray, card: dict[str, Any]) -> Image.Image:
    """Put an image and its enlargements side by side: as squares, bicubic, super-resolved; twice as wide as high.

    Args:
        lr: (H, W, C), normalised: 0 becomes black, 1 white.
        sr: what the model makes of it, (sH, sW, C).
        card: of the model.
    """
    grid = "centre" if card["degradation"] == ACQUIRED else make(card["degradation"]).grid
    scale = card["scale"]
    height = min(_SIDE, len(lr) // 3 * 3)
    versions = [lr.repeat(scale, 0).repeat(scale, 1), interpolation("bicubic", scale, grid)(lr[None])[0], sr]
    panels = [version[: scale * height, : scale * height * 2 // 3] for version in versions]
    return Image.fromarray(_colours(np.concatenate(panels, axis=1)))


def _colours(image: np.ndarray) -> np.ndarray:
    """Show one channel grey, two as red and green, three and the first three of more as red, green and blue."""
    image = np.rint(255 * np.clip(image[..., :3], 0, 1)).astype(np.uint8)
    if image.shape[-1] == 1:
        return image.repeat(3, axis=-1)
    return np.pad(image, [(0, 0), (0, 0), (0, 3 - image.shape[-1])])
