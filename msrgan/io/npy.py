"""Arrays of NumPy in .npy files: their pixels stay there until they are asked for."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from msrgan.io import axes as _axes
from msrgan.io.image import Image
from msrgan.io.source import UnreadableImageError, check_level, check_size

MAGIC = b"\x93NUMPY"


def read(path: str | os.PathLike, *, axes: str | None = None, level: int = 0, max_pixels: int | None = None) -> Image:
    """Open a .npy file: (H, W), (H, W, 1), or (H, W, 3) of uint8, which is RGB; others need `axes`.

    Args:
        path: the file.
        axes: what its dimensions are, as "CYX".
        level: 0, there is no pyramid.
        max_pixels: the most that its header may claim.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: `axes` are none of an image, or there is no such `level`.
        UnreadableImageError: the file is damaged, truncated or too large, or has other dimensions.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such image file")
    check_level(level, 1, path)
    told = None if axes is None else _axes.check(axes)
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError, SyntaxError, OverflowError, MemoryError) as error:
        raise UnreadableImageError(f"{path}: cannot be read as an array (damaged, truncated, or of objects)") from error
    array, letters = _labelled(array, told, path)
    check_size(tuple(n for n, axis in zip(array.shape, letters, strict=True) if axis != "S"), max_pixels, path)
    order = sorted(range(len(letters)), key=lambda place: max(0, "YXS".find(letters[place]) + 1))
    return Image(array.transpose(order), "".join(letters[place] for place in order), source=path, format="npy")


def _labelled(array: np.ndarray, told: str | None, path: Path) -> tuple[np.ndarray, str]:
    """Return an array and its axes.

    Raises:
        UnreadableImageError: they are not known, or the array holds no pixels.
    """
    if not array.size or array.dtype.kind not in "iufb":
        raise UnreadableImageError(f"{path}: pixels are integers or floats. Received: {array.dtype} {array.shape}")
    if array.dtype.kind == "b":
        array = array.view(np.uint8) * np.uint8(255)
    if told is not None and len(told) == array.ndim:
        return array, told
    if array.ndim == 3 and array.shape[2] == 1 and told is None:
        array = array[..., 0]
    if array.ndim == 2:
        return array, "YX"
    if array.ndim == 3 and array.shape[2] == 3 and array.dtype == np.uint8 and told is None:
        return array, "YXS"
    raise UnreadableImageError(
        f"`axes` have a letter for each dimension. Received: {told or 'none'} for {array.shape} in {path}. Tell them, "
        "as CYX for channels, ZYX for a stack, YXC for the channels of a pixel"
    )
