"""The frames of a stack: its images (H, W, C), one for each T and Z.

A frame is named by its place, counted from 0: "T3 Z0", "Z12". An image with a single T and Z has one frame, named "".
"""

from __future__ import annotations

import itertools

import numpy as np

from msrgan.io.image import Image


def names(image: Image) -> list[str]:
    """Return the names of the frames of an image, in the order of the file; no pixel is read."""
    axes = [axis for axis in image.stack if axis != "C" and image.sizes[axis] > 1]
    places = itertools.product(*(range(image.sizes[axis]) for axis in axes))
    return [" ".join(f"{axis}{number}" for axis, number in zip(axes, place, strict=True)) for place in places]


def titled(name: object, frame: str) -> str:
    """Return the title of a frame of a file: "cells.tif[T3 Z0]", or the name alone of an image of one frame."""
    return f"{name}[{frame}]" if frame else str(name)


def read(image: Image, frame: str = "") -> np.ndarray:
    """Read one frame and nothing else of an image, (H, W, C), in its dtype.

    Raises:
        ValueError: it has no such frame, or both channels and colours.
        UnreadableImageError: the file is damaged there.
    """
    shape = tuple(image.pixels.shape)
    if "C" in image.stack and image.is_rgb:
        raise ValueError(f"an image has channels or is RGB. Received: both, {image.axes} {shape}. Save it in parts")
    if frame not in names(image):
        raise ValueError(
            f"a frame is named by its place in T and Z, as Z0. Received: {frame or 'none'} of {image.axes} {shape}"
        )
    place = {part[0]: int(part[1:]) for part in frame.split()}
    key = tuple(slice(None) if axis in "CYXS" else place.get(axis, 0) for axis in image.axes)
    pixels = np.asarray(image.pixels[key])
    return np.moveaxis(pixels, 0, -1) if "C" in image.stack else np.atleast_3d(pixels)
