"""OpenVINO, Intel's runtime: fast on processors of Intel and AMD, and the only engine here with bfloat16."""

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from msrgan.models import packages
from msrgan.models.engines.base import Engine
from msrgan.models.formats import openvino

# Calls of one shape in a row after which a network of its own is compiled.
REPEATS = 2


class OpenVINO(Engine):
    """A network compiled for the processor."""

    name = "openvino"
    precisions = ("float32", "bfloat16")

    def __init__(self, path: Path, metadata: dict[str, Any], precision: str = "float32"):
        """Convert and compile."""
        super().__init__(path, metadata, precision)
        core = packages.openvino_core()
        if precision == "bfloat16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise ValueError("`precision` bfloat16 needs a processor that has it, by AVX-512 or AMX. Use float32")
        self._core = core
        file = self.conversion(path, metadata, "model.xml", openvino.write, version=version("openvino"))
        self._model = core.read_model(file)
        self._any_shape = self._compiled(self._model)
        self._shape = self._of_shape = self._last = None
        self._times = 0  # that the last shape came in a row
        self._lock = Lock()

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """Enlarge a batch."""
        with self._lock:  # a network keeps one request, which fails where two threads ask at once
            return self._suited(batch.shape)(batch)[0]

    def _suited(self, shape: tuple[int, ...]) -> Callable:
        """Return a network for a shape that has come `REPEATS` times in a row, or the one for all shapes.

        The first is 1.1 to 1.8 times as fast (docs/results.md), and takes .1 to .3 s to compile. Most tiles of an image
        follow one of their own shape.
        """
        self._times = self._times + 1 if shape == self._last else 1
        self._last = shape
        if self._times > REPEATS and shape != self._shape:
            model = self._model.clone()
            model.reshape(shape)
            self._of_shape, self._shape = self._compiled(model), shape
        return self._of_shape if shape == self._shape else self._any_shape

    def _compiled(self, model: Any) -> Callable:
        hints = {"INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[self.precision]}
        return self._core.compile_model(model, "CPU", hints)
