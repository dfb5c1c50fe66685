"""The card of a model, msrgan.json: what it enlarges, how far it looks, what it learnt from."""

from importlib.metadata import version
from pathlib import Path

from msrgan import intensity

METADATA = "msrgan.json"
NORMALIZATIONS = ("percentile", "range")


def defaults() -> dict:
    """Return what a card says where nothing else is known."""
    normalization = {"normalization": "percentile", "percentiles": list(intensity.PERCENTILES)}
    return normalization | {"degradation": "bicubic", "training_hashes": [], "version": version("msrgan")}


def check(metadata: dict, path: Path) -> None:
    """Raise ValueError if the card of a model lacks something."""
    wanted = {"scale": int, "channels": int, "receptive_radius": int, "percentiles": list, "degradation": str}
    for key, kind in (wanted | {"training_hashes": list}).items():
        if not isinstance(metadata.get(key), kind):
            raise ValueError(f"{path}: metadata need {key}, {kind.__name__}. Received: {metadata.get(key)!r}")
    if metadata.get("normalization") not in NORMALIZATIONS:
        raise ValueError(
            f"{path}: normalization is one of {NORMALIZATIONS}. Received: {metadata.get('normalization')!r}"
        )
