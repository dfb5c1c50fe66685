"""The models that ship: a folder each beside this file, with a card of its own that says what it learnt from.

    NAME/card.json       purpose, training images, scores, limits; `msrgan models NAME` prints it
    NAME/...             what `models.export` writes; of mini-vgg19 vgg.keras

`recipes/` makes them. A name is a text without a slash: `./fluorescence` is a folder of yours.
"""

import json
import os
from pathlib import Path
from typing import Any

UPSCALERS = ("fluorescence", "fluorescence-x2", "fluorescence-noisy", "tissue", "msrgan")
VGG = "mini-vgg19"
NAMES = (*UPSCALERS, VGG)
CARD = "card.json"


def is_name(path: str | os.PathLike) -> bool:
    """Tell whether a text names a model that ships and enlarges. A `Path` never does."""
    return isinstance(path, str) and path in UPSCALERS


def folder(name: str) -> Path:
    """Return the folder of a model that ships."""
    return Path(__file__).parent / name


def vgg() -> Path:
    """Return the file of the mini-VGG19 that ships."""
    return folder(VGG) / "vgg.keras"


def card(name: str) -> dict[str, Any]:
    """Return what is known of a model that ships.

    Raises:
        ValueError: there is no such model.
    """
    if name not in NAMES:
        raise ValueError(f"Models that ship are {', '.join(NAMES)}. Received: {name}")
    return json.loads((folder(name) / CARD).read_text(encoding="utf-8"))
