"""How the pixels of an image came to be, as files say it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import version

from msrgan.io.image import Image


def items(image: Image) -> Mapping[str, str]:
    """Return how the pixels were computed, by key; nothing where they are as they were read."""
    return {str(key): str(value) for key, value in image.extra.get("provenance", {}).items()}


def text(image: Image) -> str:
    """Return the same as lines of "key: value"."""
    return "\n".join(f"{key}: {value}" for key, value in items(image).items())


@cache
def software() -> str:
    """Return the name and version of the program that writes the file."""
    return f"msrgan {version('msrgan')}"
