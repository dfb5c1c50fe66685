"""Models in use: a trained generator as a SavedModel, and interpolation as a null model."""

from msrgan.models.interpolation import interpolation
from msrgan.models.savedmodel import check_target, export, load
from msrgan.models.upscaler import Upscaler

__all__ = ["Upscaler", "check_target", "export", "interpolation", "load"]
