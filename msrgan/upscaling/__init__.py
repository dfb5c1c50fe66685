"""Models applied to images of any size."""

from msrgan.upscaling.array import upscale, value_range

__all__ = ["upscale", "value_range"]
