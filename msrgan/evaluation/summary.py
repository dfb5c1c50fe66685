"""The summary of a study: means and medians of the scores, and the gains over bicubic interpolation."""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any, NotRequired, TypedDict

from msrgan.evaluation.cases import METHODS
from msrgan.evaluation.scores import AGREEMENT, GAINS, METRICS
from msrgan.evaluation.statistics import Center, Gain, center, gain

ByMethod = dict[str, Center]


class Segmentation(TypedDict):
    """The channel whose objects are compared, and how many images were compared with what: "mask" or "hr"."""

    channel: int
    references: dict[str, int]


class Summary(TypedDict):
    """The content of summary.json; docs/evaluation.md explains each key."""

    images: int
    masks: int
    seconds: ByMethod
    mse: ByMethod
    psnr: ByMethod
    ssim: ByMethod
    psnr_gain: Gain
    ssim_gain: Gain
    mse_mask: NotRequired[ByMethod]
    psnr_mask: NotRequired[ByMethod]
    ssim_mask: NotRequired[ByMethod]
    psnr_mask_gain: NotRequired[Gain]
    ssim_mask_gain: NotRequired[Gain]
    segmentation: NotRequired[Segmentation]
    dice: NotRequired[ByMethod]
    f1: NotRequired[ByMethod]
    count: NotRequired[ByMethod]
    dice_gain: NotRequired[Gain]
    f1_gain: NotRequired[Gain]
    better_than_bicubic: float
    seen_in_training: list[str]
    skipped: dict[str, str]
    displaced: dict[str, list[float]]
    intensity_matched: bool
    degradation: str
    clip: bool
    consistent: bool
    model: dict[str, Any]
    engine: str | None
    precision: str | None
    versions: dict[str, str]


def summarize(rows: Sequence[Mapping[str, Any]], channel: int | None) -> dict[str, Any]:
    """Summarize the rows of scores.csv, one an image.

    The means of all methods are over the same images, "n" of them. Images are left out that some method restores
    exactly, at infinite PSNR. Where images have label maps, what tells of objects is of these alone: an agreement with
    a label map and one with the segmented HR image are not averaged.

    Args:
        rows: "id", "group", "seen_in_training" and the `scores` of each image; one or more.
        channel: whose objects were compared; None: none were.

    Returns:
        The keys of `Summary` that follow from the rows.
    """
    masks = sum("mse_mask_model" in row for row in rows)
    summary = {"images": len(rows), "masks": masks, "seconds": _by_method(rows, "seconds")}
    for where in ("", "_mask") if masks else ("",):
        summary |= {metric + where: _by_method(rows, metric + where) for metric in METRICS}
        summary |= {f"{metric}{where}_gain": _over_bicubic(rows, metric + where) for metric in GAINS}
    if channel is not None:
        maps = sum("dice_hr" in row for row in rows)
        methods = (*METHODS, "hr") if maps else METHODS
        summary["segmentation"] = {"channel": channel, "references": {"mask": maps, "hr": len(rows) - maps}}
        summary |= {measure: _by_method(rows, measure, methods) for measure in (*AGREEMENT, "count")}
        summary |= {f"{measure}_gain": _over_bicubic(rows, measure, methods) for measure in AGREEMENT}
    return summary | {
        "better_than_bicubic": fmean(row["psnr_gain"] > 0 for row in rows),
        "seen_in_training": [row["id"] for row in rows if row["seen_in_training"]],
    }


def _by_method(rows, metric, methods=METHODS):
    counted = _counted(rows, metric, methods)
    return {method: center([row[f"{metric}_{method}"] for row in counted]) for method in methods}


def _over_bicubic(rows, metric, methods=METHODS):
    counted = _counted(rows, metric, methods)
    return gain([row[f"{metric}_gain"] for row in counted], [row["group"] for row in counted])


def _counted(rows, metric, methods):
    # Of the same images for every method: a model near an image that interpolation restores exactly, at infinite PSNR,
    # is not to count alone.
    keys = [f"{metric}_{method}" for method in methods]
    return [row for row in rows if all(math.isfinite(row.get(key, math.nan)) for key in keys)]
