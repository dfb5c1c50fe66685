"""The numbers of a file <-> those that are counted, and that a network's float32 holds.

file        uint8   uint16   int16            uint32             float16, float32, float64
counted     uint8   uint16   uint16: + 2^15   float32: <= 2^24   as they are
"""

import numpy as np

from msrgan.intensity import Limits, Normalization, dtype_range

DTYPES = ("uint8", "uint16", "int16", "uint32", "float16", "float32", "float64")
NAN = ("refuse", "zero")
# Whole numbers up to it are exact in float32.
LARGEST_UINT32 = 1 << 24


def check_dtype(dtype: np.dtype) -> None:
    """Raise ValueError for a dtype whose numbers float32 does not hold."""
    if dtype.name not in DTYPES:
        raise ValueError(
            f"Pixels are uint8, uint16, int16, uint32 up to {LARGEST_UINT32}, float16, float32 or float64. "
            f"Received: {dtype}. Convert them first"
        )


def counted(pixels: np.ndarray, nan: str = "refuse") -> np.ndarray:
    """Return pixels as they are counted, see the head of this module.

    Args:
        pixels: of one of `DTYPES`, in any byte order.
        nan: "refuse" NaN and infinite pixels, or take them for "zero".

    Raises:
        ValueError: pixels are not finite, or larger than float32 holds.
    """
    pixels = np.asarray(pixels, pixels.dtype.newbyteorder("="))
    if pixels.dtype == np.int16:
        return pixels.view(np.uint16) ^ np.uint16(1 << 15)
    if pixels.dtype == np.uint32:
        if pixels.size and pixels.max() > LARGEST_UINT32:
            raise ValueError(
                f"Pixels of uint32 are at most {LARGEST_UINT32}, what float32 holds. Received: {pixels.max()}. "
                "Divide them first"
            )
        return pixels.astype(np.float32)
    return _finite(pixels, nan) if pixels.dtype.kind == "f" else pixels


def _finite(pixels, nan):
    finite = np.isfinite(pixels)
    if not finite.all():
        if nan == "refuse":
            raise ValueError(
                "An image must have finite pixels. Received: NaN or infinite ones. Replace them first, or set `nan` to "
                "zero"
            )
        pixels = np.where(finite, pixels, pixels.dtype.type(0))
    largest = np.finfo(np.float32).max
    if pixels.dtype == np.float64 and pixels.size and max(pixels.max(), -pixels.min()) > largest:
        raise ValueError(
            f"Pixels lie within {largest:.3g} of 0, what float32 holds. Received: larger ones. Divide them"
        )
    return pixels


def full_range(normalization: Normalization, dtype: np.dtype, samples: int) -> Limits | None:
    """Return the limits, of numbers as they are counted, that do not depend on the pixels; None if they do."""
    if normalization.kind != "range":
        return None
    return dtype_range(np.empty((0, 0, samples), np.uint16 if dtype == np.int16 else dtype))


def restored(
    x: np.ndarray, limits: Limits, dtype: np.dtype, bounds: tuple[np.ndarray, np.ndarray] | None = None
) -> np.ndarray:
    """Bring the result of a network back to the numbers of a file: integers are rounded, and clipped to what they hold.

    Args:
        x: (..., C), normalised.
        limits: of numbers as they are counted.
        dtype: of the file, one of `DTYPES`.
        bounds: least and largest number, as they are counted, (C,) each, within which the result is kept.

    Raises:
        ValueError: a result is too large for float32.
    """
    if dtype == np.uint32:
        pixels = limits.denormalize(x, np.float32)
        pixels = np.clip(np.rint(pixels), 0, LARGEST_UINT32).astype(dtype)
    elif dtype.kind == "f":
        with np.errstate(over="ignore", invalid="ignore"):
            pixels = limits.denormalize(x, np.float32)
        if not np.isfinite(pixels).all():
            raise ValueError("The range of the intensities is larger than float32 holds. Divide the pixels first")
        if dtype == np.float16:  # whatever lies a little beyond
            pixels = np.clip(pixels, -np.finfo(dtype).max, np.finfo(dtype).max)
        pixels = pixels.astype(dtype)
    else:
        pixels = limits.denormalize(x, np.uint16 if dtype == np.int16 else dtype)
    if bounds is not None:
        pixels = np.clip(pixels, *(bound.astype(pixels.dtype) for bound in bounds))
    return uncounted(pixels, dtype)


def uncounted(pixels: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return pixels that were counted as those of a file of a dtype."""
    if dtype == np.int16:
        return (pixels.astype(np.uint16) ^ np.uint16(1 << 15)).view(np.int16)
    return pixels.astype(dtype)
