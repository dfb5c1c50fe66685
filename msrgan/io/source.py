"""What an image file gives: pixels, and what is known of them."""

from typing import NamedTuple

import numpy as np


class UnreadableImageError(ValueError):
    """A file that no image comes out of: damaged, truncated, a stack, NaN pixels; a set can be used without it."""


class Source(NamedTuple):
    """An image as it lies in a file.

    Attributes:
        pixels: (H, W, C), uint8, uint16 or float32.
        is_rgb: the three channels are red, green and blue, because the file says so; else they are planes of their own,
            such as stains.
        pixel_size: width of a pixel in micrometres, None where the file does not tell.
    """

    pixels: np.ndarray
    is_rgb: bool
    pixel_size: float | None = None
