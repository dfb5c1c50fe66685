"""Some of the channels of an image."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from msrgan.io.image import Image, Pixels


def select_channels(image: Image, channels: str) -> Image:
    """Return the image with some of its channels, in the order in which they are named; no pixel is read.

    Args:
        image: one without an axis C has the channel 0 alone, if it is not RGB.
        channels: numbers, 0 the first, or names, with commas between them, as "0,2" or "DAPI,GFP".

    Raises:
        ValueError: the image is RGB without an axis C, or has not these channels.
    """
    if image.is_rgb and "C" not in image.axes:
        raise ValueError(f"`channels` are chosen along an axis C. Received: {channels} for an RGB image. Leave it out")
    names = [channel.name for channel in image.channels]
    numbers = [_number(text.strip(), names, image.sizes.get("C", 1)) for text in channels.split(",")]
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"`channels` are each named once. Received: {channels}")
    if "C" not in image.axes:
        return image
    chosen = tuple(image.channels[number] for number in numbers) if image.channels else ()
    pixels = _Chosen(image.pixels, image.axes.index("C"), numbers)
    return replace(image, pixels=pixels, channels=chosen, extra=_extra(image, numbers))


def _extra(image: Image, numbers: list[int]) -> dict[str, Any]:
    """Return what else is carried, of the labels of planes those of some channels."""
    carried = image.extra.get("imagej", {})
    labels, indices = carried.get("Labels", ()), image.indices()
    if len(labels) != len(indices):
        return dict(image.extra)
    place, labelled = image.stack.index("C"), dict(zip(indices, labels, strict=True))
    shape = [len(numbers) if axis == "C" else image.sizes[axis] for axis in image.stack]
    chosen = [(*index[:place], numbers[index[place]], *index[place + 1 :]) for index in np.ndindex(*shape)]
    return {**image.extra, "imagej": {**carried, "Labels": [labelled[index] for index in chosen]}}


def _number(text: str, names: list[str | None], count: int) -> int:
    if text.isascii() and text.isdigit() and int(text) < count:
        return int(text)
    if names.count(text) == 1:
        return names.index(text)
    named = "".join(f", {number} is {name}" for number, name in enumerate(names) if name)
    raise ValueError(
        f"`channels` are numbers from 0 to {count - 1} or names, each of one channel{named}. Received: {text}"
    )


class _Chosen:
    """Pixels of which one axis has some of its places."""

    def __init__(self, pixels: Pixels, axis: int, places: list[int]):
        self._pixels, self._axis, self._places = pixels, axis, places
        self.shape = (*pixels.shape[:axis], len(places), *pixels.shape[axis + 1 :])
        self.dtype = np.dtype(pixels.dtype)

    def __getitem__(self, key: tuple[int | slice, ...]) -> np.ndarray:
        """Return a block."""
        before, place, after = key[: self._axis], key[self._axis], key[self._axis + 1 :]
        if not isinstance(place, slice):
            return np.asarray(self._pixels[(*before, self._places[place], *after)])
        axis = sum(isinstance(part, slice) for part in before)
        blocks = [np.asarray(self._pixels[(*before, number, *after)]) for number in self._places[place]]
        return np.stack(blocks, axis=axis)

    def close(self) -> None:
        """Close the file."""
        getattr(self._pixels, "close", lambda: None)()
