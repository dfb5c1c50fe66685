"""One image of a study: its LR version, made or acquired, enlarged by every method, and the scores of each."""

from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from msrgan import io
from msrgan.degradation import ACQUIRED, Degradation, content_seed, make
from msrgan.evaluation.strips import LABELS, strip
from msrgan.metrics import match_intensity, mse, psnr, ssim, varying_channels
from msrgan.metrics.objects import agreement, segment
from msrgan.models import Upscaler, interpolation
from msrgan.upscaling import upscale

METRICS = {"mse": mse, "psnr": psnr, "ssim": ssim}
GAINS = ("psnr", "ssim")
AGREEMENT = ("dice", "f1")
BASELINES = ("nearest", "bicubic", "lanczos")


class Case(NamedTuple):
    """An image as it is and as each method restored it, in units in which 0 and 1 are the ends of its range.

    Attributes:
        hr: (H, W, C).
        enlarged: method -> (H, W, C).
        mask: int (H, W), not zero inside, or None.
        seconds: method -> how long it took, normalisation and tiles included.
    """

    hr: np.ndarray
    enlarged: dict[str, np.ndarray]
    mask: np.ndarray | None
    seconds: dict[str, float]


def degradation_of(example: dict[str, Any], model: Upscaler, asked: str | None) -> Degradation | None:
    """Choose how the LR image of an example is made; None: it is taken as it was acquired.

    Args:
        example: with an "lr", where it was acquired.
        model: of which metadata tell how it learnt.
        asked: text for `degradation.make`, used even where an "lr" was acquired; "acquired": the "lr" alone; None: the
            acquired "lr", or else the model's degradation.

    Raises:
        ValueError: unknown degradation; or the acquired image is wanted, and there is none.
    """
    if "lr" in example and asked in (None, ACQUIRED):
        return None
    text = asked or model.metadata["degradation"]
    if text == ACQUIRED:
        why = "--degradation asks for" if asked else "The model learnt from"
        raise ValueError(
            f"{why} acquired pairs, and {example['id']} has no LR image. Use --degradation bicubic or another"
        )
    return make(text)


def enlarge(example: dict[str, Any], model: Upscaler, degradation: Degradation | None) -> Case:
    """Make a case of an example: enlarge it by the model, and by interpolation on the grid of the degradation.

    Args:
        example: {"image": (H, W, C)}, optionally "lr" (H/scale, W/scale, C) and "mask" (H, W) or (H, W, 1).
        model: says how images are normalised, too. A null model enlarges on the grid of the degradation, like the
            baselines.
        degradation: makes the LR image, which is rounded to the dtype of the image as in a file; the image is
            cropped at the right and bottom to a multiple of the scale. None: "lr" is taken as it was acquired,
            and since two exposures differ, each image is matched in intensity to the HR image.

    Raises:
        ValueError: the image is too small, or an image does not fit another, the mask, the degradation or the model.
    """
    image, scale = example["image"], model.scale
    height, width = (size // scale * scale for size in image.shape[:2])
    if min(height, width) < 4 * scale:
        raise ValueError(f"An image must have {4 * scale} pixels or more a side. Received: {image.shape}")
    hr = image[:height, :width]
    limits = model.normalization.limits(hr)
    reference = limits.normalize(hr)
    if degradation:
        seed = content_seed(io.content_hash(image))
        degraded = degradation(reference, scale=scale, seed=seed).numpy()
        lr = limits.denormalize(degraded, hr.dtype)
    else:
        lr = _acquired(example["lr"], image, scale)
    grid = degradation.grid if degradation else "centre"
    baselines = {name: interpolation(name, scale, grid) for name in BASELINES}
    methods = {"model": baselines.get(model.metadata.get("interpolation"), model)} | baselines
    enlarged, seconds = {}, {}
    for name, method in methods.items():
        start = perf_counter()
        enlarged[name] = upscale(method, lr)
        seconds[name] = perf_counter() - start
    mask = _mask(example["mask"], image)[:height, :width] if "mask" in example else None
    if mask is not None and not mask.any():
        mask = None
    if degradation:
        enlarged = {name: limits.normalize(sr) for name, sr in enlarged.items()}
    else:
        enlarged = {name: match_intensity(reference, sr) for name, sr in enlarged.items()}
    return Case(reference, enlarged, mask, seconds)


def scores(case: Case, channel: int | None = None) -> dict[str, float]:
    """Score every method: `psnr_model`, `psnr_bicubic` and so on, and `psnr_mask_model` inside the mask.

    `psnr_gain` is that of the model over bicubic interpolation. Channels count that vary in the HR image.
    `seconds_model` and so on are the times. With a channel, its objects are found and compared, too: `dice_model`,
    `f1_model`, `count_model` and so on, and `count_reference`.

    Raises:
        ValueError: the images are too small, or have no such channel.
    """
    varying = varying_channels(case.hr)
    hr = case.hr[..., varying]
    masks = {"": None} if case.mask is None else {"": None, "_mask": case.mask}
    found = {}
    for where, mask in masks.items():
        for metric, function in METRICS.items():
            for method, sr in case.enlarged.items():
                found[f"{metric}{where}_{method}"] = function(hr, sr[..., varying], data_range=1, mask=mask)
        found |= _gains(found, [metric + where for metric in GAINS])
    if channel is not None:
        found |= _objects(case, channel)
    return found | {f"seconds_{method}": seconds for method, seconds in case.seconds.items()}


def picture(case: Case, scored: dict[str, float]) -> np.ndarray:
    """Draw LR, bicubic, SR and HR of a case side by side, with their PSNR; RGB, uint8 (height, width, 3)."""
    decibels = ("", f" {scored['psnr_bicubic']:.2f} dB", f" {scored['psnr_model']:.2f} dB", "")
    labels = [label + value for label, value in zip(LABELS, decibels, strict=True)]
    return strip(case.enlarged["nearest"], case.enlarged["bicubic"], case.enlarged["model"], case.hr, labels=labels)


def _objects(case, channel):
    """Segment a channel of every image, and compare with the mask if it tells objects apart, else with HR segmented.

    Against the mask the HR image is scored, too: method "hr", the most that a restored image can be expected to reach.
    """
    count = case.hr.shape[-1]
    if not 0 <= channel < count:
        raise ValueError(f"Objects are segmented in a channel from 0 to {count - 1} of this image. Received: {channel}")
    compared, reference = case.enlarged, case.mask
    if reference is None or _objects_in(reference) < 2:
        reference = segment(case.hr[..., channel])
    else:
        compared = compared | {"hr": case.hr}
    found = {"count_reference": _objects_in(reference)}
    for method, image in compared.items():
        for measure, value in agreement(segment(image[..., channel]), reference).items():
            found[f"{measure}_{method}"] = value
    return found | _gains(found, AGREEMENT)


def _objects_in(labels):
    return len(np.unique(labels[labels != 0]))


def _gains(found, metrics):
    """Subtract the score of bicubic interpolation from that of the model; two infinite ones are equal."""
    pairs = {metric: (found[f"{metric}_model"], found[f"{metric}_bicubic"]) for metric in metrics}
    return {f"{metric}_gain": 0.0 if ours == other else ours - other for metric, (ours, other) in pairs.items()}


def _acquired(lr, image, scale):
    height, width, channels = lr.shape
    if image.shape != (height * scale, width * scale, channels):
        raise ValueError(
            f"An acquired LR image has exactly 1/{scale} of the sides of its HR image, and its channels. "
            f"Received: {lr.shape} of {image.shape}"
        )
    return lr


def _mask(mask, image):
    if mask.shape not in (image.shape[:2], (*image.shape[:2], 1)):
        raise ValueError(f"A mask has the height and width of its image. Received: {mask.shape} of {image.shape}")
    return mask.reshape(image.shape[:2])
