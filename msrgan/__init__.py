"""mSRGAN: 4x super-resolution of microscopy images with TensorFlow and Keras 3."""

import importlib

_HOMES = {
    "SRGAN": "msrgan.training.step",
    "VARIANTS": "msrgan.training.variants",
    "export": "msrgan.models",
    "load": "msrgan.models",
    "upscale": "msrgan.upscaling",
}

__all__ = ["SRGAN", "VARIANTS", "__version__", "export", "load", "upscale"]


def __getattr__(name):
    # TensorFlow takes seconds to import: it waits until a name that needs it is used (PEP 562).
    if name == "__version__":
        from importlib.metadata import version

        return version("msrgan")
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *__all__})
