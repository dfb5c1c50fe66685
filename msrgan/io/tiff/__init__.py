"""TIFF files: any compression, any axes, read window by window."""

from pathlib import Path

import numpy as np
import tifffile

from msrgan.io.tiff.reading import MAGIC, decode, read

__all__ = ["MAGIC", "decode", "encode", "read"]


def encode(path: Path, image: np.ndarray, *, pixel_size: float | None = None, rgb: bool = True) -> None:
    """Write an image (H, W, C): RGB if it is so and has three channels, else one plane a channel, as ImageJ does."""
    if rgb and image.shape[2] == 3:
        size = {} if pixel_size is None else {"resolution": (1e4 / pixel_size,) * 2, "resolutionunit": 3}
        tifffile.imwrite(path, image, photometric="rgb", metadata=None, **size)
    else:
        # ImageJ's dialect keeps channels apart from other planes, and micrometres as micrometres.
        size = {} if pixel_size is None else {"resolution": (1 / pixel_size,) * 2}
        metadata = {"axes": "CYX"} | ({} if pixel_size is None else {"unit": "um"})
        planes = np.moveaxis(image, -1, 0)
        tifffile.imwrite(path, planes, imagej=True, photometric="minisblack", metadata=metadata, **size)
