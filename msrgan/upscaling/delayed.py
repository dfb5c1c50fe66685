"""Enlarge dask arrays: a graph of rows of tiles, each computed when it is asked for."""

import dask
import dask.array as da
import numpy as np

from msrgan.io.image import Image
from msrgan.models import Upscaler
from msrgan.upscaling.plan import Options, Plan


def upscale_dask(model: Upscaler, pixels: da.Array, axes: str, options: Options) -> da.Array:
    """Enlarge a dask array in Y and X.

    A chunk of the result is a row of tiles of one plane, computed of the pixels of its windows; all chunks wait for one
    look at all the pixels, from which the limits come (`limits.measure`).

    Args:
        model: from `load`. It stays in this process: compute with threads, dask's default.
        pixels: axes in the order of an `Image`.
        axes: their letters.
        options: as for `Plan`.

    Raises:
        ValueError: the array does not fit the model, or an argument is wrong.
    """
    plan = Plan(model, Image(pixels, axes), options)
    image = plan.image
    # Hidden in a method: dask would compute the pixels as a whole before it calls a function with them.
    levels = dask.delayed(plan.measure, pure=False)()
    planes = {}
    for field in plan.fields:
        rows = [_row(plan, field, k, levels) for k in range(len(plan.rows))]
        planes |= {index: da.concatenate([row[c] for row in rows]) for c, index in enumerate(field)}

    def nested(index):
        if len(index) == len(image.stack):
            return planes[index]
        return da.stack([nested((*index, k)) for k in range(pixels.shape[len(index)])])

    return nested(())


def _row(plan, field, k, levels):
    """Return a row of tiles of each plane of a field, to be computed: (planes, h, scale X), RGB (1, h, scale X, 3)."""
    image, scale, (window, kept) = plan.image, plan.model.scale, plan.rows[k]
    windows = [image.pixels[(*index, slice(*window))] for index in field]

    def compute(levels, *windows):
        pixels = plan.row(field, k, windows, levels)
        return pixels[None] if image.is_rgb else np.moveaxis(pixels, -1, 0)

    samples = (3,) if image.is_rgb else ()
    shape = (len(field), (kept[1] - kept[0]) * scale, image.sizes["X"] * scale, *samples)
    return da.from_delayed(dask.delayed(compute, pure=False)(levels, *windows), shape, plan.dtype)
