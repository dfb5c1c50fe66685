"""Packages that only some uses of a model need, each an extra of this one."""

import functools
import importlib
import sys
from types import ModuleType
from typing import Any


class MissingPackageError(ValueError):
    """A package is not installed; the message says how to install it."""


def required(package: str, extra: str) -> ModuleType:
    """Import a package.

    Args:
        package: its name in Python.
        extra: the extra of msrgan that installs it.

    Raises:
        MissingPackageError: it is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError:
        name = package.partition(".")[0].replace("_", "-")
        raise MissingPackageError(f"This needs the package {name}. Install it: pip install 'msrgan[{extra}]'") from None


def openvino() -> ModuleType:
    """Import OpenVINO, which then sends nothing.

    Whoever imports it reports that to Google Analytics through the package openvino_telemetry, where that can be
    imported, unless a file in the home folder or a variable of a build service forbids it. Where it cannot, OpenVINO
    takes a stub that sends nothing, for as long as the process lives.

    Raises:
        MissingPackageError: it is not installed.
    """
    hidden = "openvino_telemetry"
    before = sys.modules.get(hidden)
    sys.modules[hidden] = None  # what Python takes for a package that is not installed
    try:
        return required("openvino", "openvino")
    finally:
        del sys.modules[hidden]
        if before is not None:
            sys.modules[hidden] = before


@functools.cache
def openvino_core() -> Any:
    """Return the openvino.Core of this process.

    It is kept: with its last Core, OpenVINO unloads its libraries while threads still wait in them, and the next signal
    (Ctrl-C, SIGTERM) ends the process by a segmentation fault.
    """
    return openvino().Core()
