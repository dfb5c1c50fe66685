"""Scores of a case: how near each method came to the HR image, and whether its objects came out alike."""

import numpy as np

from msrgan.evaluation.cases import Case
from msrgan.metrics import mse, psnr, ssim, varying_channels
from msrgan.metrics.objects import agreement, segment

METRICS = {"mse": mse, "psnr": psnr, "ssim": ssim}
GAINS = ("psnr", "ssim")
AGREEMENT = ("dice", "f1")


def compare(hr: np.ndarray, sr: np.ndarray, mask: np.ndarray | None = None) -> dict[str, float]:
    """Score a restored image (H, W, C) by each of METRICS; 1 is the range of the HR image.

    The channels count that vary in the HR image (all of them if none does), and the pixels inside the mask (H, W).

    Raises:
        ValueError: the images are too small, or the mask is empty.
    """
    varying = varying_channels(hr)
    pair = hr[..., varying], sr[..., varying]
    return {name: metric(*pair, data_range=1, mask=mask) for name, metric in METRICS.items()}


def scores(case: Case, channel: int | None = None) -> dict[str, float]:
    """Score every method: `psnr_model`, `psnr_bicubic` and so on, and `psnr_mask_model` inside the mask.

    Inside a label map means inside any of its objects. `psnr_gain` is that of the model over bicubic interpolation.
    `seconds_model` and so on are the times. With a channel its objects are compared, too: `dice_model`, `f1_model`,
    `count_model` and so on, and `count_reference`.

    Raises:
        ValueError: the images are too small, or have no such channel.
    """
    scored = _fidelity(case, "", None)
    if case.mask is not None:
        scored |= _fidelity(case, "_mask", case.mask)
    if channel is not None:
        scored |= _objects(case, channel)
    return scored | {f"seconds_{method}": seconds for method, seconds in case.seconds.items()}


def _fidelity(case, where, mask):
    by_method = {method: compare(case.hr, sr, mask) for method, sr in case.enlarged.items()}
    scored = {f"{metric}{where}_{method}": by_method[method][metric] for metric in METRICS for method in by_method}
    return scored | _gains(scored, [metric + where for metric in GAINS])


def _objects(case, channel):
    """Segment a channel of every image, and compare with the mask if it tells objects apart, else with HR segmented.

    Against the mask the HR image is scored, too: method "hr", the most that a restored image can be expected to reach.
    A mask of a single value may mark a region, of many objects: it is no reference.
    """
    count = case.hr.shape[-1]
    if not 0 <= channel < count:
        raise ValueError(f"Objects are segmented in a channel from 0 to {count - 1} of this image. Received: {channel}")
    compared, reference = case.enlarged, case.mask
    if reference is None or _number(reference) < 2:
        reference = segment(case.hr[..., channel])
    else:
        compared = compared | {"hr": case.hr}
    scored = {"count_reference": _number(reference)}
    for method, image in compared.items():
        for measure, value in agreement(segment(image[..., channel]), reference).items():
            scored[f"{measure}_{method}"] = value
    return scored | _gains(scored, AGREEMENT)


def _number(labels):
    """Count the objects of a label map."""
    return len(np.unique(labels[labels != 0]))


def _gains(scored, metrics):
    """Subtract the score of bicubic interpolation from that of the model; two infinite ones are equal."""
    pairs = {metric: (scored[f"{metric}_model"], scored[f"{metric}_bicubic"]) for metric in metrics}
    return {f"{metric}_gain": 0.0 if ours == other else ours - other for metric, (ours, other) in pairs.items()}
