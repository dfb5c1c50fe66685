"""An image as its file has it: pixels, what their axes are, and what else the file knows of them.

    axes     letters of T (time), C (channel), Z (depth) in the order of the file, then Y (rows), X (columns), and S
             (samples of a pixel: red, green, blue) if the file says that the image is RGB
    index    one number for each letter before Y: a plane
    plane    the pixels (Y, X) or (Y, X, S) at an index
    band     rows of a plane, of full width

Every reader of `msrgan.io` makes an `Image` and every writer takes one; nothing opens a file again to ask for more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

STACK_AXES = "TCZ"
BAND_BYTES = 1 << 24
# What ImageJ says in pixels of X and Y.
_OF_PIXELS = ("roi", "overlays", "xorigin", "yorigin")


class Pixels(Protocol):
    """Pixels in memory or still in a file: what NumPy, dask and zarr arrays have in common."""

    shape: tuple[int, ...]
    dtype: np.dtype

    def __getitem__(self, key: tuple[int | slice, ...]) -> Any:
        """Return a block as what `np.asarray` takes; a key has whole numbers or slices of step 1 for all axes."""


class PixelSize(NamedTuple):
    """The sides of a pixel in micrometres, None where the file does not tell."""

    y: float | None = None
    x: float | None = None
    z: float | None = None


class Channel(NamedTuple):
    """What a file knows of a channel.

    Attributes:
        name: such as "DAPI".
        colour: (red, green, blue), 0 to 255, that it is shown in.
        lut: uint8 (3, 256), the colours of its values in ImageJ.
        display: the values shown as black and as full colour.
    """

    name: str | None = None
    colour: tuple[int, int, int] | None = None
    lut: np.ndarray | None = None
    display: tuple[float, float] | None = None


@dataclass(frozen=True, eq=False, repr=False)
class Image:
    """An image, or a stack of images, and what its file knows of it.

    Attributes:
        pixels: (*stack, Y, X) or (*stack, Y, X, S), in the dtype of the file; read when they are asked for.
        axes: letters of `pixels.shape`, see the head of this module.
        pixel_size: in micrometres.
        time_step: seconds between two T.
        channels: one for each C, or none where nothing is known.
        extra: what else a file of the same format carries on, by name.
        source: the file.
        format: of the file, a name of `formats.FORMATS`.
        levels: (Y, X) of each level of a pyramid, the finest first.

    Example:
        >>> import msrgan, numpy as np
        >>> image = msrgan.Image(np.zeros((2, 20, 30), np.uint16), "CYX")
        >>> image
        <Image: CYX 2x20x30, uint16>
        >>> image.read((1,)).shape
        (20, 30)
    """

    pixels: Pixels
    axes: str
    pixel_size: PixelSize = PixelSize()
    time_step: float | None = None
    channels: tuple[Channel, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    source: Path | None = None
    format: str = ""
    levels: tuple[tuple[int, int], ...] = ()

    def __post_init__(self):
        """Check the axes.

        Raises:
            ValueError: the axes are none of an image, or do not fit the pixels.
        """
        stack, _, rest = self.axes.partition("YX")
        known = len(set(stack)) == len(stack) and set(stack) <= set(STACK_AXES)
        if not known or "YX" not in self.axes or rest not in ("", "S"):
            raise ValueError(
                f"`axes` are letters of T, C and Z, each once, then YX, then S for RGB. Received: {self.axes!r}"
            )
        if len(self.pixels.shape) != len(self.axes):
            raise ValueError(
                f"`axes` have a letter for each dimension. Received: {self.axes} for {tuple(self.pixels.shape)}"
            )
        if self.is_rgb and self.pixels.shape[-1] != 3:
            raise ValueError(f"An RGB image has three samples a pixel. Received: {self.pixels.shape[-1]}")
        if self.channels and len(self.channels) != self.sizes.get("C", 1):
            raise ValueError(
                f"Every channel is described, or none. Received: {len(self.channels)} for {self.sizes.get('C', 1)}"
            )

    @property
    def sizes(self) -> dict[str, int]:
        """Length of each axis by its letter."""
        return dict(zip(self.axes, self.pixels.shape, strict=True))

    @property
    def dtype(self) -> np.dtype:
        """Of the pixels."""
        return np.dtype(self.pixels.dtype)

    @property
    def is_rgb(self) -> bool:
        """Whether the file says that the image is red, green and blue."""
        return self.axes.endswith("S")

    @property
    def stack(self) -> str:
        """The axes before Y."""
        return self.axes.partition("YX")[0]

    @property
    def nbytes(self) -> int:
        """Size of all pixels."""
        return int(np.prod(self.pixels.shape, dtype=np.int64)) * self.dtype.itemsize

    def indices(self) -> list[tuple[int, ...]]:
        """Return the index of each plane, in the order of the file."""
        return list(np.ndindex(*(self.sizes[axis] for axis in self.stack)))

    def read(self, index: tuple[int, ...] = (), rows: slice = slice(None), columns: slice = slice(None)) -> np.ndarray:
        """Return a window of a plane, (h, w) or (h, w, 3).

        Raises:
            UnreadableImageError: the file is damaged there.
        """
        samples = (slice(None),) if self.is_rgb else ()
        return np.asarray(self.pixels[(*index, rows, columns, *samples)])

    def bands(self, height: int | None = None) -> Iterator[Band]:
        """Yield all pixels as bands of some rows, plane after plane, from top to bottom.

        Args:
            height: rows of a band; by default as many as take 16 MB.
        """
        rows, row = self.sizes["Y"], self.nbytes // max(1, len(self.indices()) * self.sizes["Y"])
        height = height or max(1, BAND_BYTES // max(1, row))
        for index in self.indices():
            for top in range(0, rows, height):
                yield Band(index, top, self.read(index, slice(top, min(top + height, rows))))

    def transposed(self, stack: str) -> Image:
        """Return the same image with its stack axes in another order; no pixel is read."""
        order = [self.stack.index(axis) for axis in stack]
        return replace(self, pixels=_Transposed(self.pixels, order), axes=stack + self.axes[len(stack) :])

    def enlarged(self, scale: int, *, provenance: Mapping[str, str]) -> Image:
        """Return what a file of the image, enlarged in Y and X, says; its pixels are still to be computed.

        Args:
            scale: enlargement.
            provenance: how they are computed, for `extra`.
        """
        sizes = {axis: n * (scale if axis in "YX" else 1) for axis, n in self.sizes.items()}
        y, x, z = self.pixel_size
        size = PixelSize(y and y / scale, x and x / scale, z)
        extra = {**self.extra, "provenance": dict(provenance)}
        if "imagej" in extra:
            extra["imagej"] = {key: value for key, value in extra["imagej"].items() if key.lower() not in _OF_PIXELS}
        pixels = Promised(tuple(sizes.values()), self.dtype)
        return replace(self, pixels=pixels, pixel_size=size, extra=extra, source=None, levels=())

    def close(self) -> None:
        """Close the file; pixels that were not read are gone."""
        getattr(self.pixels, "close", lambda: None)()

    def __enter__(self) -> Image:
        """Return the image, whose file is closed at the end of the block."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the file."""
        self.close()

    def __repr__(self) -> str:
        """Tell on one line what is in it."""
        sizes = "x".join(map(str, self.pixels.shape))
        names = [channel.name for channel in self.channels if channel.name]
        width = [f"{self.pixel_size.x:g} µm"] if self.pixel_size.x else []
        return f"<Image: {', '.join([f'{self.axes} {sizes}', str(self.dtype), *width, *names])}>"


class Band(NamedTuple):
    """Rows of a plane: its index, the first row, and the pixels (h, X) or (h, X, S)."""

    index: tuple[int, ...]
    top: int
    pixels: np.ndarray


class Promised:
    """The shape and dtype of pixels that are handed to a writer band by band."""

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype):
        self.shape, self.dtype = shape, np.dtype(dtype)

    def __getitem__(self, key: object) -> np.ndarray:
        """Refuse."""
        raise TypeError("These pixels are computed and written band by band: they cannot be read")


class _Transposed:
    """Pixels with their first axes in another order."""

    def __init__(self, pixels: Pixels, order: list[int]):
        self._pixels, self._order = pixels, order
        n = len(order)
        self.shape = (*(pixels.shape[axis] for axis in order), *pixels.shape[n:])
        self.dtype = np.dtype(pixels.dtype)

    def __getitem__(self, key: tuple[int | slice, ...]) -> np.ndarray:
        """Return a plane's window; its index consists of whole numbers."""
        n = len(self._order)
        index = [0] * n
        for place, number in zip(self._order, key[:n], strict=True):
            index[place] = number
        return np.asarray(self._pixels[(*index, *key[n:])])

    def close(self) -> None:
        """Close the file."""
        getattr(self._pixels, "close", lambda: None)()
