"""Image quality metrics: `metric(reference, test, *, data_range) -> float`."""

from msrgan.metrics.fidelity import mse, nrmse, psnr, ssim

__all__ = ["mse", "nrmse", "psnr", "ssim"]
