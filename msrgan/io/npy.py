"""Arrays of NumPy in files: `.npy`, whose axes only its owner knows."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from msrgan.io import axes as _axes
from msrgan.io.image import Image
from msrgan.io.source import UnreadableImageError, check_level, check_size, reason

MAGIC = b"\x93NUMPY"


def read(path: str | os.PathLike, *, axes: str | None = None, level: int = 0, max_pixels: int | None = None) -> Image:
    """Read an array; it stays in its file, and no more of it is read than is asked for.

    Args:
        path: the file.
        axes: letters of C, Y, X, Z and T in the order of its dimensions; a plane (Y, X) needs none. They are also
            in `extra["axes"]`, so that a result can be saved in the same order.
        level: 0, there is no pyramid.
        max_pixels: the most pixels that its header may claim.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: `axes` are none of an image, or there is no such `level`.
        UnreadableImageError: the file is no array of numbers, is truncated or too large, or its axes are not told.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such image file")
    told = None if axes is None else _axes.check(axes)
    check_level(level, 1, path)
    try:
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise ValueError("damaged, or not an array of NumPy")
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        if array.dtype.kind not in "buif":
            raise ValueError(f"pixels are integers or floats. Received: {array.dtype}")
        behind = path.stat().st_size - array.offset - array.nbytes
        if behind:
            raise ValueError(f"damaged, or more than one array: {behind} bytes follow the first")
    except Exception as error:  # np.load raises anything from EOFError to SyntaxError on damaged headers
        raise UnreadableImageError(f"{path}: cannot be read as an image ({reason(error)})") from error
    letters = _letters(array.shape, told, path)
    check_size(array.shape, max_pixels, path)
    names = [letter if letter in "YX" or size > 1 else "" for letter, size in zip(letters, array.shape, strict=True)]
    pixels, arranged = _axes.arrange(_Bits(array) if array.dtype == bool else array, names)
    y, x = (array.shape[letters.index(letter)] for letter in "YX")
    return Image(pixels, arranged, extra={"axes": letters}, source=path, format="npy", levels=((y, x),))


def _letters(shape: tuple[int, ...], told: str | None, path: Path) -> str:
    if told is None and len(shape) == 2:
        return "YX"
    if told is None:
        raise UnreadableImageError(
            f"an array has no axes of its own. Received: {shape} in {path}. "
            "Say what they are: `axes` with a letter for each, as YXC, CYX, ZYX or TCYX"
        )
    if len(told) != len(shape):
        raise UnreadableImageError(
            f"`axes` have a letter for each dimension. Received: {told} for {shape} in {path}. Tell all {len(shape)}"
        )
    return told


class _Bits:
    """Booleans as 0 and 255."""

    def __init__(self, array: np.ndarray):
        self._array, self.shape, self.dtype = array, array.shape, np.dtype(np.uint8)

    def __getitem__(self, key: tuple[slice, ...]) -> np.ndarray:
        return np.asarray(self._array[key]).view(np.uint8) * np.uint8(255)
