"""Image quality metrics: `metric(reference, test, *, data_range) -> float`."""

from msrgan.metrics.fidelity import match_intensity, mse, nrmse, psnr, varying_channels
from msrgan.metrics.structure import ms_ssim, ssim

__all__ = ["match_intensity", "ms_ssim", "mse", "nrmse", "psnr", "ssim", "varying_channels"]
