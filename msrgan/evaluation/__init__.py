"""Studies of a trained model: scores against interpolation, and pictures."""

from msrgan.evaluation.strips import stack, strip
from msrgan.evaluation.study import evaluate

__all__ = ["evaluate", "stack", "strip"]
