"""mSRGAN: 4x super-resolution of microscopy images with TensorFlow and Keras 3.

    Image               pixels, their axes, pixel size, channels, and what else a file knows
    read, write         image files of all formats
    load                a trained model, or plain interpolation to compare with
    upscale             enlarge an array, an Image, or a dask array
    export              write a trained generator as a model
    SRGAN, VARIANTS     train

The command `msrgan` enlarges files and scores models: see `msrgan --help`.
"""

import importlib

_HOMES = {
    "Image": "msrgan.io.image",
    "SRGAN": "msrgan.training.step",
    "VARIANTS": "msrgan.training.variants",
    "export": "msrgan.models",
    "load": "msrgan.models",
    "read": "msrgan.io.formats",
    "upscale": "msrgan.upscaling",
    "write": "msrgan.io.formats",
}

__all__ = ["Image", "SRGAN", "VARIANTS", "__version__", "export", "load", "read", "upscale", "write"]


def __getattr__(name):
    # TensorFlow takes seconds to import: it waits until a name that needs it is used (PEP 562).
    if name == "__version__":
        from importlib.metadata import version

        return version("msrgan")
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return __all__
