"""What a network enlarges at once: a field, of as many planes as the network takes channels.

network of      planes of a field
1 channel       1, its samples (of RGB) one after the other
3 channels      1 of RGB; or 3, where there are three C; or 1, repeated, where there is no other C: the mean of the
three results
n channels      n, where there are n C
any number      1
"""

from collections.abc import Iterator, Sequence

import numpy as np

from msrgan.intensity import to_channels
from msrgan.io.image import Image
from msrgan.models import Upscaler
from msrgan.upscaling.numbers import counted

Index = tuple[int, ...]
Field = tuple[Index, ...]


def fields(image: Image, model: Upscaler) -> list[Field]:
    """Return the indices of the planes of each field, in the order of the file of their first planes.

    Raises:
        ValueError: the channels of the image do not fit the model.
    """
    channels = image.sizes.get("C", 1)
    if model.channels in (None, 1):
        return [(index,) for index in image.indices()]
    if image.is_rgb:
        if channels != 1 or model.channels != 3:
            raise ValueError(
                f"A model of {model.channels} channels takes stacks of as many channels, or RGB for 3. "
                f"Received: {image.axes} of {channels} RGB channels. Use a model of 1 channel"
            )
        return [(index,) for index in image.indices()]
    to_channels(np.empty((0, 0, channels)), model.channels)  # tells what is wrong
    if channels == 1:
        return [(index,) for index in image.indices()]
    place = image.stack.index("C")
    firsts = [index for index in image.indices() if index[place] == 0]
    return [tuple((*index[:place], c, *index[place + 1 :]) for c in range(channels)) for index in firsts]


def strips(
    image: Image, field: Field, spans: Sequence[tuple[int, int]], *, nan: str = "refuse"
) -> Iterator[np.ndarray]:
    """Yield rows of the planes of a field at full width, (h, X, C), as they are counted; no row is read twice.

    Args:
        image: pixels are read when they are asked for.
        field: the planes; C are their samples.
        spans: (first, last + 1) of the rows, from top to bottom, one overlapping the next.
        nan: "refuse" or "zero".
    """
    kept, bottom = None, spans[0][0]
    for start, stop in spans:
        rows = joined([image.read(index, slice(bottom, stop)) for index in field], nan)
        # Of the rows before, as many as this strip begins with.
        strip = rows if kept is None else np.concatenate([kept[len(kept) - (bottom - start) :], rows])
        yield strip
        kept, bottom = strip, stop


def joined(planes: Sequence[np.ndarray], nan: str = "refuse") -> np.ndarray:
    """Return windows of the planes of a field, (h, w), or one of RGB, (h, w, 3), as they are counted: (h, w, C)."""
    planes = [counted(plane, nan) for plane in planes]
    return planes[0] if planes[0].ndim == 3 else np.stack(planes, axis=-1)


def apply(model: Upscaler, x: np.ndarray) -> np.ndarray:
    """Enlarge normalised windows, (B, h, w, C), of C channels or samples, to (B, scale h, scale w, C)."""
    count, height, width, channels = x.shape
    if model.channels == 1 and channels > 1:
        y = model(np.moveaxis(x, -1, 1).reshape(count * channels, height, width, 1))
        return np.moveaxis(y.reshape(count, channels, *y.shape[1:3]), 1, -1)
    if model.channels == 3 and channels == 1:
        return model(np.repeat(x, 3, axis=-1)).mean(axis=-1, keepdims=True)
    return model(x)
