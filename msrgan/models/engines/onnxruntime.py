"""ONNX Runtime, on the processor."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from msrgan.models.engines.base import Engine
from msrgan.models.formats import onnx
from msrgan.models.packages import required


class ONNXRuntime(Engine):
    """A session of ONNX Runtime."""

    name = "onnxruntime"

    def __init__(self, path: Path, metadata: dict[str, Any], precision: str = "float32"):
        """Convert and compile."""
        super().__init__(path, metadata, precision)
        library = required("onnxruntime", "onnx")
        required("tf2onnx", "onnx")
        file = self.conversion(path, metadata, "model.onnx", onnx.write, version=version("tf2onnx"))
        self._session = library.InferenceSession(file, providers=["CPUExecutionProvider"])

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """Enlarge a batch."""
        return self._session.run(None, {"image": batch})[0]
