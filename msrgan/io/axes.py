"""Axes of stored pixels: rows Y, columns X, channels C, depth Z, time T, samples of a pixel S; Q and I are unknown."""

from __future__ import annotations

import operator
from collections.abc import Sequence

import numpy as np

from msrgan.io.image import STACK_AXES
from msrgan.io.source import UnreadableImageError

LETTERS = "TZCYX"


def check(axes: str) -> str:
    """Return the axes that a user tells, in capitals.

    Raises:
        ValueError: they are no axes of an image or a stack.
    """
    letters = axes.upper() if isinstance(axes, str) else ""
    if len(set(letters)) != len(letters) or not set("YX") <= set(letters) <= set(LETTERS):
        raise ValueError(
            f"`axes` are Y, X and further letters of C, Z and T, each once, as CYX. Received: {axes!r}. "
            "Name the dimensions in the order in which they are stored"
        )
    return letters


def label(shape: Sequence[int], axes: str, told: str | None, name: object) -> str:
    """Return the axes of stored pixels: letters of T, C, Z, Y, X and S, each once.

    Args:
        shape: of the pixels, without dimensions of 1 other than Y and X.
        axes: a letter each, as the file has it; other letters than these six are dimensions that it does not explain.
        told: by the user, in place of them; a single plane and the samples of a pixel need no telling.
        name: of the file, for the messages.

    Raises:
        UnreadableImageError: the file does not say what its planes are, or the told axes are not those of the file.
    """
    letters, planes = list(axes), [i for i, axis in enumerate(axes) if axis != "S"]
    if told is not None and set(axes) - set("YXS"):
        if len(told) != len(planes):
            raise UnreadableImageError(
                f"`axes` have a letter for each dimension. Received: {told} for {tuple(shape)} in {name}. "
                f"Tell all {len(planes)}, or leave the file out"
            )
        for i, letter in zip(planes, told, strict=True):
            letters[i] = letter
    axes = "".join(letters)
    unknown = [i for i, axis in enumerate(axes) if axis not in LETTERS + "S"]
    if unknown:
        raise UnreadableImageError(_question(shape, axes, unknown, name))
    if len(set(axes)) != len(axes) or not set("YX") <= set(axes):
        raise UnreadableImageError(
            f"{name}: cannot be read as an image (its axes are {axes} {tuple(shape)}, an image has Y, X and further "
            "letters of C, Z and T, each once. Tell them by `axes`)"
        )
    return axes


def _question(shape: Sequence[int], axes: str, unknown: list[int], name: object) -> str:
    """Ask what the dimensions of a file are that it does not explain."""
    if len(unknown) == 1:
        # Arrays (H, W, C) that were saved without a word of their axes look like H pages of W x C pixels.
        narrow = ", YXC for an array of pixels" if "X" in axes and shape[axes.index("X")] <= 4 else ""
        known = [axis for axis in axes if axis in "TZC"]
        choice = "`axes` ZYX for a stack, CYX for channels" + narrow
        if known:
            choice = f"`axes` with a letter for each of {tuple(shape)}, as TCYX or ZCYX"
        return (
            f"pages are a stack or channels. Received: {shape[unknown[0]]} pages without axes in {name}. "
            f"Say what they are: {choice}"
        )
    return (
        f"an image has the axes Y, X and C, Z or T. Received: dimensions {tuple(shape)} without axes in {name}. "
        "Say what they are: `axes` with a letter for each, as CYX, ZYX, TCYX or TZCYX"
    )


def span(key: int | slice, size: int) -> slice:
    """Return the numbers of an axis that a key of `Pixels` means, as a slice from start to stop.

    Raises:
        IndexError: the axis is shorter, or the slice has a step.
    """
    if isinstance(key, slice):
        start, stop, step = key.indices(size)
        if step != 1:
            raise IndexError(f"Pixels are read by slices of step 1. Received: {key}")
        return slice(start, max(start, stop))
    number = operator.index(key)
    if not -size <= number < size:
        raise IndexError(f"The axis has {size} places. Received: {number}")
    return slice(number % size, number % size + 1)


class Arranged:
    """Stored pixels with their axes in the order of an `Image`.

    Args:
        pixels: read by a tuple of slices, one for each dimension.
        letters: of its dimensions; "" for one of length 1 that is left out.
        axes: the same letters in the order of the result.
    """

    def __init__(self, pixels: object, letters: Sequence[str], axes: str):
        self._pixels = pixels
        self._places = [list(letters).index(axis) for axis in axes]
        self._left_out = [i for i in range(len(letters)) if i not in self._places]
        self.shape = tuple(pixels.shape[place] for place in self._places)
        self.dtype = np.dtype(pixels.dtype).newbyteorder("=")

    def __getitem__(self, key: tuple[int | slice, ...]) -> np.ndarray:
        """Return a block; see `msrgan.io.image.Pixels`."""
        stored = [slice(0, 1)] * len(self._pixels.shape)
        key = key if isinstance(key, tuple) else (key,)
        key += (slice(None),) * (len(self._places) - len(key))
        for place, part, size in zip(self._places, key, self.shape, strict=True):
            stored[place] = span(part, size)
        block = np.asarray(self._pixels[tuple(stored)]).transpose(self._places + self._left_out)
        whole = [slice(None) if isinstance(part, slice) else 0 for part in key]
        return np.asarray(block[(*whole, *[0] * len(self._left_out))], self.dtype)

    def close(self) -> None:
        """Close the file."""
        getattr(self._pixels, "close", lambda: None)()


def arrange(pixels: object, letters: Sequence[str]) -> tuple[Arranged, str]:
    """Return pixels with their axes in the order of an `Image`, and these axes."""
    axes = "".join(axis for axis in letters if axis in STACK_AXES and axis) + "YX" + ("S" if "S" in letters else "")
    return Arranged(pixels, letters, axes), axes
