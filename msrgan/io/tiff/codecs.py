"""Lossless compression of the tiles and strips of a TIFF."""

from __future__ import annotations

import collections
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import imagecodecs
import numpy as np
from tifffile import COMPRESSION, PREDICTOR

_TAGS = {
    "zlib": COMPRESSION.ADOBE_DEFLATE,
    "lzw": COMPRESSION.LZW,
    "zstd": COMPRESSION.ZSTD,
    "lzma": COMPRESSION.LZMA,
}
COMPRESSIONS = tuple(_TAGS)


def tags(compression: str | None, dtype: np.dtype) -> dict[str, int]:
    """Return the arguments of tifffile's `write` that say how segments are compressed."""
    if compression is None:
        return {}
    return {"compression": _TAGS[compression]} | ({"predictor": PREDICTOR.HORIZONTAL} if _differs(dtype) else {})


def encoder(compression: str | None, dtype: np.dtype) -> Callable[[np.ndarray], bytes]:
    """Return a function from a segment (h, w) or (h, w, samples) to its bytes, little-endian."""
    little = np.dtype(dtype).newbyteorder("<")
    if compression is None:
        return lambda segment: segment.astype(little, copy=False).tobytes()
    compress = getattr(imagecodecs, f"{compression}_encode")

    def encode(segment: np.ndarray) -> bytes:
        if _differs(dtype):
            segment = imagecodecs.delta_encode(segment, axis=1)
        return bytes(compress(segment.astype(little, copy=False).tobytes()))

    return encode


def encoded(segments: Iterable[np.ndarray], encode: Callable[[np.ndarray], bytes]) -> Iterator[bytes]:
    """Encode segments in threads, in order, while the next ones are made; few wait at a time."""
    workers = min(8, os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) as pool:
        waiting = collections.deque()
        for segment in segments:
            waiting.append(pool.submit(encode, segment))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _differs(dtype: np.dtype) -> bool:
    """Tell whether pixels are stored as differences to their left neighbours.

    Bio-Formats reads the differences of whole numbers only.
    """
    return np.dtype(dtype).kind in "iu"
