"""Models applied to images of any size."""

from msrgan.upscaling.array import upscale

__all__ = ["upscale"]
