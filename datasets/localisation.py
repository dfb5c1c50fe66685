"""The 13 protein localisations of the mSRGAN thesis, in the order of its class numbers (CYTO 2017)."""

import re
from collections.abc import Sequence
from pathlib import Path

LOCALISATIONS = (
    "Nucleus",
    "Nucleoli",
    "Nuclear membrane",
    "Golgi apparatus",
    "Endoplasmic reticulum",
    "Vesicles",
    "Plasma membrane",
    "Mitochondria",
    "Cytosol",
    "Microtubules",
    "Centrosome",
    "Actin filaments",
    "Intermediate filaments",
)


def class_of(path: Path) -> int | None:
    """Return the class in a prepared file's name, `CC_ID.png` with CC from 00 to 12, or None without one."""
    found = re.match(r"(\d\d)_", path.name)
    return int(found.group(1)) if found and int(found.group(1)) < len(LOCALISATIONS) else None


def class_index(text: str, classes: Sequence[str]) -> int:
    """Return the index of a class that is given as its name or its index; a ValueError for any other."""
    if text in classes:
        return classes.index(text)
    if text.isascii() and text.isdigit() and int(text) < len(classes):
        return int(text)
    raise ValueError(f"{text!r} is none of the {len(classes)} classes, a name or a number from 0 on")
