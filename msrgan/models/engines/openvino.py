"""OpenVINO, Intel's runtime: the fastest on processors, of AMD too."""

from importlib.metadata import version
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from msrgan.models import packages
from msrgan.models.engines.base import Engine
from msrgan.models.formats import openvino


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
        file = self.conversion(path, metadata, "model.xml", openvino.write, version=version("openvino"))
        hints = {"INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[precision]}
        self._network = core.compile_model(core.read_model(file), "CPU", hints)
        self._lock = Lock()

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """Enlarge a batch."""
        with self._lock:  # it keeps one request, which fails where two threads ask at once
            return self._network(batch)[0]
