"""Axes of stored pixels: rows Y, columns X, channels C, depth Z, time T, samples of a pixel S; Q and I are unknown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

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
    """Return the axes of stored pixels that are an image: Y, X and at most one of C and S, each once.

    Args:
        shape: of the pixels, without dimensions of 1 other than Y and X.
        axes: a letter each, as the file has it.
        told: by the user, in place of them; a single plane and the samples of a pixel need no telling.
        name: of the file, for the messages.

    Raises:
        UnreadableImageError: the file does not say what its planes are, or they are a stack.
    """
    if told is not None and set(axes) - set("YXS"):
        if len(told) != len(axes):
            raise UnreadableImageError(
                f"`axes` have a letter for each dimension. Received: {told} for {tuple(shape)} in {name}. "
                f"Tell all {len(axes)}, or leave the file out"
            )
        axes = told
    planes = "".join(axis for axis in axes if axis not in "YX")
    if planes in ("I", "Q"):
        # Arrays (H, W, C) that were saved without a word of their axes look like H pages of W x C pixels.
        narrow = ", YXC for an array of pixels" if shape[axes.index("X")] <= 4 else ""
        raise UnreadableImageError(
            f"an image has the axes Y, X and channels. Received: {shape[axes.index(planes)]} pages without axes "
            f"in {name}. Say what they are: `axes` CYX for channels, ZYX for a stack{narrow}"
        )
    if planes not in ("", "C", "S"):
        raise UnreadableImageError(
            f"{name}: cannot be read as an image (an image has the axes Y, X and channels, this stack has {axes} "
            f"{tuple(shape)}. Save its planes as single files)"
        )
    return axes


def channels_last(pixels: np.ndarray, axes: str) -> np.ndarray:
    """Bring pixels with the axes from `label` into the order (H, W, C)."""
    order = "YX" + axes.replace("Y", "").replace("X", "")
    return np.atleast_3d(pixels.transpose([axes.index(axis) for axis in order]))
