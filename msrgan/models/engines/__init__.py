"""Engines: the runtimes that can compute the network of an exported model.

Each is a module of this folder with one class, imported when it is used: only TensorFlow is always installed. What an
engine other than TensorFlow gives is compared with TensorFlow before it is used (`engines.choice`).
"""

import importlib
from pathlib import Path
from typing import Any

from msrgan.models.engines.base import Engine

_CLASSES = {"tensorflow": "TensorFlow", "openvino": "OpenVINO", "onnxruntime": "ONNXRuntime", "ncnn": "NCNN"}
ENGINES = tuple(_CLASSES)
PRECISIONS = ("float32", "bfloat16")


def make(name: str, path: Path, metadata: dict[str, Any], precision: str = "float32") -> Engine:
    """Prepare the network of an exported model for an engine.

    Args:
        name: one of `ENGINES`.
        path: folder of the model, whose operations and files were checked.
        metadata: its card, with the fingerprint.
        precision: one of `PRECISIONS`.

    Raises:
        ValueError: the engine or the processor has not this precision, a package is not installed
            (MissingPackageError), or the network cannot be converted.
        OSError: the conversion cannot be written.
    """
    engine = getattr(importlib.import_module(f"{__name__}.{name}"), _CLASSES[name])
    if precision not in engine.precisions:
        known = ", ".join(engine.precisions)
        raise ValueError(f"`precision` of the engine {name} is one of {known}. Received: {precision}")
    return engine(path, metadata, precision)
