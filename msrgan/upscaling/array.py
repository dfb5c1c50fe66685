"""Enlarge what a Python program holds: arrays, images of files, dask arrays."""

import os
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from msrgan.io.image import STACK_AXES, Image
from msrgan.models import Upscaler, load
from msrgan.upscaling.plan import Options, Plan
from msrgan.upscaling.provenance import provenance

if TYPE_CHECKING:
    import dask.array

_Pixels = TypeVar("_Pixels", np.ndarray, Image, "dask.array.Array")
_AXES = {2: "YX", 3: "YXC"}


def upscale(
    model: Upscaler | str | os.PathLike,
    image: _Pixels,
    *,
    axes: str | None = None,
    tile: int = 256,
    overlap: int | None = None,
    batch: int | None = None,
    clip: bool = False,
    consistent: bool = False,
    normalize_over: str = "stack",
    nan: str = "refuse",
    progress: Callable[[int, int], None] | None = None,
) -> _Pixels:
    """Enlarge an image or a stack of any size in Y and X, tile by tile.

    Intensities are normalised by limits (`intensity.Normalization`), and the result is brought back to the units and
    the dtype of the image: integers are rounded and clipped to what the dtype holds. A plane whose pixels are all equal
    stays as it is.

    A model of one channel is applied to each channel of an image. One of three takes RGB or three channels together; a
    grey image is repeated for it, and the mean of the three results is returned.

    Args:
        model: from `load`, or what `load` takes.
        image: a NumPy or dask array, or an `Image`; uint8, uint16, int16, uint32 up to 2^24, float16, float32 or
            float64.
        axes: a letter for each dimension of an array: T, C, Z, Y, X, and S for RGB. By default YX or YXC.
        tile: side, in input pixels, of the square that each call of the model contributes. The call itself
            sees up to tile + 2 overlap pixels a side: larger is faster and takes more memory.
        overlap: context on each side of a tile, at least the receptive radius of the model, with `consistent` more,
            which is the default: so tiles leave no trace in the result.
        batch: tiles that a call takes; 1 by default.
        clip: whether results stay within the values of the input (of what `normalize_over` names).
        consistent: whether the result is corrected so that, degraded as the model learnt it, it is the input again.
        normalize_over: "stack": a channel has one range in all its planes; "plane": each plane has its own.
        nan: "refuse" NaN and infinite pixels, or take them for "zero".
        progress: is called with (tiles done, tiles in all); not for a dask array.

    Returns:
        What `image` is, Y and X `scale` times as long, dtype and other axes the same. A dask array is computed when it
        is asked for, an `Image` comes back in memory.

    Raises:
        ValueError: the image does not fit the model or has NaN pixels, an argument is wrong, or the model gives
            NaN or infinite pixels.

    Example:
        >>> import msrgan, numpy as np
        >>> image = np.full((16, 20), 700, np.uint16)
        >>> msrgan.upscale("bicubic", image).shape
        (64, 80)
        >>> msrgan.upscale("bicubic", np.zeros((5, 16, 20), np.uint16), axes="ZYX").shape
        (5, 64, 80)
    """
    model = model if isinstance(model, Upscaler) else load(model)
    options = Options(tile, overlap, batch, clip, consistent, normalize_over, nan)
    if isinstance(image, Image):
        if axes is not None:
            raise ValueError(f"`axes` are for arrays; an image has its own, {image.axes}. Received: {axes}")
        return _enlarged_image(model, image, options, progress)
    if type(image).__module__.partition(".")[0] == "dask":
        from msrgan.upscaling.delayed import upscale_dask

        axes = _checked_axes(axes, image)
        order = _order(axes)
        enlarged = upscale_dask(model, image.transpose(order), _sorted(axes, order), options)
        return enlarged.transpose([order.index(place) for place in range(len(order))])
    image = np.asarray(image)
    axes = _checked_axes(axes, image)
    order = _order(axes)
    sides = [n * (model.scale if axis in "YX" else 1) for n, axis in zip(image.shape, axes, strict=True)]
    plan = Plan(model, Image(image.transpose(order), _sorted(axes, order)), options)
    out = np.empty(sides, image.dtype)
    _fill(plan, out.transpose(order), progress)
    return out


def _enlarged_image(model, image, options, progress):
    plan = Plan(model, image, options)
    enlarged = image.enlarged(model.scale, provenance=provenance(model))
    out = np.empty(enlarged.pixels.shape, image.dtype)
    _fill(plan, out, progress)
    return replace(enlarged, pixels=out)


def _fill(plan: Plan, out: np.ndarray, progress: Callable[[int, int], None] | None) -> None:
    """Put all rows of tiles where they belong."""
    done = 0
    for field, tiles, rows in plan.run():
        done += tiles
        if progress:
            progress(done, plan.tiles)
        if rows is None:
            continue
        kept = slice(rows.top, rows.top + len(rows.pixels))
        if plan.image.is_rgb:
            out[(*field[0], kept)] = rows.pixels
        else:
            for c, index in enumerate(field):
                out[(*index, kept)] = rows.pixels[..., c]


def _checked_axes(axes: str | None, image) -> str:
    chosen = _AXES.get(image.ndim) if axes is None else axes
    if chosen is None:
        raise ValueError(
            f"Images are (H, W) or (H, W, C), or have `axes`. Received: {image.shape} {image.dtype}. Name a letter for "
            'each dimension, such as "TCZYX"'
        )
    known = len(set(chosen)) == len(chosen) == image.ndim and set("YX") <= set(chosen) <= set(STACK_AXES + "YXS")
    if not known:
        raise ValueError(
            "`axes` are a letter for each dimension: Y, X and others of T, C, Z and, for RGB, S, each once. "
            f"Received: {axes or chosen} for {image.shape} {image.dtype}"
        )
    return chosen


def _order(axes: str) -> list[int]:
    """Return the places of the axes in the order of an `Image`: those of a stack, then Y, X, S."""
    return sorted(range(len(axes)), key=lambda place: max(0, "YXS".find(axes[place]) + 1))


def _sorted(axes: str, order: list[int]) -> str:
    return "".join(axes[place] for place in order)
