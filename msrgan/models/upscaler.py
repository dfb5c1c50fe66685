"""A model ready for use."""

from collections.abc import Callable
from typing import Any

import numpy as np

from msrgan.intensity import Normalization
from msrgan.models.engines import Engine


class Upscaler:
    """A model ready for use: float32 (B, H, W, C) in, (B, scale H, scale W, C) out, in normalised units.

    The normalised units come from `normalization`: 0 and 1 are the two ends of the range of an image, values
    beyond are allowed and nothing is clipped.

    Attributes:
        scale: enlargement factor.
        channels: channels of the model; None where it takes any number.
        radius: how many input pixels around its own an output pixel depends on, at most.
        normalization: which values of an image the model sees as 0 and as 1.
        metadata: dict with the first three and "normalization", "percentiles", "degradation" (text for
            `degradation.make`, or "acquired"), "training_hashes" (the first digits of each), "version", of a trained
            model "fingerprint" (SHA-256 of its graph and weights), and what the training run added.
        engine: what computes a trained model, one of `engines.ENGINES`; None of interpolation.
        precision: in which it does, one of `engines.PRECISIONS`; None of interpolation.
    """

    def __init__(self, function: Callable[[np.ndarray], np.ndarray], metadata: dict[str, Any]):
        self._function = function
        engine = function if isinstance(function, Engine) else None
        self.engine: str | None = engine and engine.name
        self.precision: str | None = engine and engine.precision
        self.metadata = metadata
        self.scale: int = metadata["scale"]
        self.channels: int | None = metadata["channels"]
        self.radius: int = metadata["receptive_radius"]
        self.normalization = Normalization(metadata["normalization"], tuple(metadata["percentiles"]))

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """Enlarge a batch in normalised units."""
        return np.asarray(self._function(np.ascontiguousarray(batch, np.float32)))

    def __repr__(self) -> str:
        """Tell on one line what it enlarges, and what it learnt from."""
        channels = "any channels" if self.channels is None else f"{self.channels} channels"
        said = {name: self.metadata[name] for name in ("interpolation", "data", "degradation") if name in self.metadata}
        if self.engine not in (None, "tensorflow"):
            said |= {"engine": self.engine, "precision": self.precision}
        return f"<Upscaler: x{self.scale}, {channels}" + "".join(f", {name} {said[name]}" for name in said) + ">"
