"""The 13 protein localisations of the mSRGAN thesis, in the order of its class numbers (CYTO 2017)."""

import re
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
    match = re.match(r"([0-9]{2})_", path.name)
    return int(match[1]) if match and int(match[1]) < len(LOCALISATIONS) else None
