"""The card of a model, msrgan.json: what it enlarges, how far it looks, what it learnt from.

A card may come from a stranger, or by a hand that mended it: every field is checked before it is used, and what a
network itself can tell is compared with it when it is loaded (`models.probe`).
"""

import hashlib
import json
import math
import re
import reprlib
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from msrgan import intensity
from msrgan.degradation import ACQUIRED, make

METADATA = "msrgan.json"
NORMALIZATIONS = ("percentile", "range")
LARGEST_FILE = 64 * 2**20  # bytes; a hash of 64 characters for each of a million training images
# Hexadecimal digits of a hash of a training image: two of a million images share them once in 10^7 cards.
HASH_DIGITS = 16


def defaults() -> dict[str, Any]:
    """Return what a card says where nothing else is known."""
    normalization = {"normalization": "percentile", "percentiles": list(intensity.PERCENTILES)}
    return normalization | {"degradation": "bicubic", "training_hashes": [], "version": version("msrgan")}


def fingerprint(path: Path) -> str:
    """Return the SHA-256 (hex) of a network in the folder of a model: of its graph and its weights."""
    digest = hashlib.sha256()
    for file in [path / "saved_model.pb", *sorted((path / "variables").glob("*"))]:
        content = file.read_bytes()
        digest.update(f"{file.relative_to(path).as_posix()} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def read(path: Path) -> dict[str, Any]:
    """Read and check the card in the folder of a model.

    Raises:
        ValueError: there is none, it cannot be read, or a field is wrong.
    """
    file = path / METADATA
    try:
        if file.stat().st_size > LARGEST_FILE:
            raise ValueError(f"it has {file.stat().st_size} bytes, at most {LARGEST_FILE} are read")
        metadata = json.loads(file.read_bytes())
    except FileNotFoundError:
        raise ValueError(f"{path} is a SavedModel without {METADATA}. Export it with msrgan.export") from None
    except RecursionError:
        raise ValueError(f"{file} cannot be read (brackets in brackets, too deep). Export the model again") from None
    except ValueError as error:
        raise ValueError(f"{file} cannot be read ({error}). Export the model again") from None
    check(metadata, file)
    return metadata


def check(metadata: Any, source: Path) -> None:
    """Check every field of the card of a trained model; fields of other names may say anything.

    Args:
        metadata: what the card says.
        source: its file, for messages.

    Raises:
        ValueError: a field lacks or is wrong.
    """
    if not isinstance(metadata, dict):
        raise ValueError(f"{source} is one JSON object. Received: {reprlib.repr(metadata)}. Export the model again")
    # It marks null models, in whose place plain interpolation is scored.
    if "interpolation" in metadata:
        raise ValueError(f"{source}: a trained model has no field interpolation. Export it again")
    for key, (rule, valid) in (_REQUIRED | {key: _OPTIONAL[key] for key in _OPTIONAL if key in metadata}).items():
        if key not in metadata:
            raise ValueError(f"{source}: {key} lacks, {rule}. Export the model again")
        if not valid(metadata[key]):
            raise ValueError(
                f"{source}: {key} is {rule}. Received: {reprlib.repr(metadata[key])}. Export the model again"
            )


def _whole(low: int, high: int) -> tuple[str, Callable[[Any], bool]]:
    # Of the type itself: True is an int, too.
    return f"a whole number from {low} to {high}", lambda value: type(value) is int and low <= value <= high


def _is_percentiles(value):
    if not (isinstance(value, list) and len(value) == 2 and all(type(q) in (int, float) for q in value)):
        return False
    return all(map(math.isfinite, value)) and 0 <= value[0] < value[1] <= 100


def _is_pixel_sizes(value):
    if not (isinstance(value, list) and len(value) == 2 and all(type(size) in (int, float) for size in value)):
        return False
    return 0 < value[0] <= value[1] < math.inf


def _is_degradation(value):
    if value == ACQUIRED:
        return True
    try:
        return isinstance(value, str) and bool(make(value))
    except ValueError:
        return False


def _is_hashes(value):
    return isinstance(value, list) and all(isinstance(x, str) and re.fullmatch("[0-9a-f]{1,128}", x) for x in value)


def _is_fingerprint(value):
    return isinstance(value, str) and bool(re.fullmatch("[0-9a-f]{64}", value))


_REQUIRED: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "scale": _whole(2, 8),
    "channels": _whole(1, 1024),
    "receptive_radius": _whole(0, 4096),
    "normalization": (f"one of {', '.join(NORMALIZATIONS)}", lambda value: value in NORMALIZATIONS),
    "percentiles": ("two numbers [low, high], 0 <= low < high <= 100", _is_percentiles),
    "degradation": (f"a text for degradation.make, or {ACQUIRED}", _is_degradation),
    "training_hashes": ("a list of hexadecimal texts", _is_hashes),
}
_OPTIONAL: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "fingerprint": ("64 hexadecimal digits", _is_fingerprint),
    "version": ("a text", lambda value: isinstance(value, str)),
    "interrupted": ("true or false", lambda value: isinstance(value, bool)),
    "pixel_size_um": ("two numbers [low, high], 0 < low <= high", _is_pixel_sizes),
}
