"""How much better than interpolation: degrade images, enlarge them again, compare, report."""

import csv
import io
import json
import math
import os
from collections.abc import Iterable
from importlib.metadata import version
from statistics import fmean
from typing import Any

from msrgan.data.registration import displacement, is_displaced
from msrgan.degradation import ACQUIRED
from msrgan.evaluation.cases import AGREEMENT, BASELINES, GAINS, METRICS, degradation_of, enlarge, picture, scores
from msrgan.evaluation.statistics import center, gain
from msrgan.evaluation.strips import stack
from msrgan.io import content_hash, write
from msrgan.io.atomic import atomic, writable_folder
from msrgan.models import Upscaler

METHODS = ("model", *BASELINES)
_PACKAGES = ("msrgan", "tensorflow", "keras", "numpy", "scipy", "scikit-image")


def evaluate(
    model: Upscaler,
    examples: Iterable[dict[str, Any]],
    *,
    out: str | os.PathLike,
    degradation: str | None = None,
    strips: int = 8,
    segment: int | None = None,
) -> dict:
    """Scores a model against nearest, bicubic and Lanczos interpolation, and writes what came out.

    Each image is cropped at the right and bottom to a multiple of the scale and degraded; the LR image is
    rounded to the dtype of the image, as in a file, and enlarged by `upscaling.upscale` with the model and by
    each interpolation. A random degradation draws from the content of the image: it degrades an image alike in
    every study. MSE, PSNR and SSIM are taken over the whole image and its channels, after both images were
    normalised by the range of the HR image (its 0.1 and 99.9 percentiles in each channel, or the range of the
    dtype, as the model has it): that range is the `data_range`, so that dim images and 12-bit data in 16-bit
    files count like any other. Channels that are constant in the HR image are left out, unless all are. Where an image
    has a mask, scores are taken inside it too. Interpolation is on the grid of the degradation.

    Of acquired pairs the LR image is enlarged as it is. Since two exposures differ, what each method made of it
    is first matched to the HR image: in each channel by the gain and the offset of least squared error, as in CARE
    (Weigert et al., Nature Methods 15, 2018).

    With `segment` the objects of a channel (bright on dark, such as nuclei) are found in the image of every method, by
    `segmentation.segment`, and compared with those of the mask, if it has two different values or more inside: then
    each is an object; with those found in the HR image otherwise. Against a mask the HR image is scored too, as
    method "hr": the most that a restored image can be expected to reach.

    Writes scores.csv (one row an image), summary.json and strips.png into `out`, when all images are done.

    Args:
        model: from `models.load`.
        examples: dicts of "id" (str) and "image" (H, W, C), uint8, uint16 or float32; "lr" (H/scale, W/scale, C)
            where it was acquired; "mask" (H, W) or (H, W, 1), not zero inside, and "group" (str), if there is one:
            a patient, a slide, a well, whose images are not independent.
        out: folder; made as needed.
        degradation: text for `degradation.make`, used even where an "lr" was acquired; "acquired": the "lr" alone;
            None: the acquired "lr", or else the model's degradation.
        strips: how many images, the first ones, strips.png shows.
        segment: index of the channel that shows the objects to compare; None: none are.

    Returns:
        The content of summary.json: "images" (their number), "mse", "psnr" and "ssim" (mean and median of each
        method), "seconds" (likewise, for an image; the first one's include start-up), "psnr_gain" and "ssim_gain"
        over bicubic with their statistics, of the groups (see `statistics.gain`), the same inside the masks as
        "mse_mask" and so on if there are any, "masks" (their number), "better_than_bicubic" (fraction of the images
        whose PSNR gain is positive), "seen_in_training" (names), "skipped" (name to reason), "displaced" (name of an
        acquired pair to how many LR pixels its LR image lies below and right of the HR image, if more than half a
        pixel), "intensity_matched", and how it was made. With `segment` also "dice", "f1" and "count" (mean and
        median of each method, those of "hr" over the images with such a mask), "dice_gain", "f1_gain" and
        "segmentation": its "channel", and the number of images by their "references", "mask" and "hr".
        Images that some method restores exactly, at infinite PSNR, are left out of means and medians of all.

    Raises:
        ValueError: unknown degradation; acquired pairs, asked for or those that the model learnt from, and an image
            without "lr"; or no image could be scored.
        OSError: `out` cannot be written.
    """
    with writable_folder(out) as folder:
        rows, pictures, about = _score(model, examples, degradation, strips, segment)
        summary = _summary(rows, segment) | about | {"model": _described(model), "versions": _versions()}
        _write(folder, rows, summary, pictures)
    return summary


def _score(model, examples, asked, strips, segment):
    """Score every image: the rows of scores.csv, the first few pictures, and what else there is to be told."""
    rows, skipped, displaced, pictures, degradation = [], {}, {}, [], None
    trained_on = set(model.metadata["training_hashes"])
    for example in examples:
        name, image = example["id"], example["image"]
        degradation = degradation_of(example, model, asked)
        try:
            case = enlarge(example, model, degradation)
            scored = scores(case, segment)
        except ValueError as error:
            skipped[name] = str(error)
            continue
        if not degradation and is_displaced(shift := displacement(image, example["lr"])):
            displaced[name] = list(shift)
        height, width, channels = case.hr.shape
        seen = content_hash(image) in trained_on
        row = {"id": name, "group": example.get("group", name), "height": height, "width": width, "channels": channels}
        rows.append(row | {"seen_in_training": seen} | scored)
        if len(pictures) < strips:
            pictures.append(picture(case, scored))
    if not rows:
        raise ValueError(f"No image could be scored. {_first(skipped)}")
    about = {"skipped": skipped, "displaced": displaced, "intensity_matched": degradation is None}
    return rows, pictures, about | {"degradation": degradation.text if degradation else ACQUIRED}


def _summary(rows, channel):
    def counted(metric):
        # Of the same images for every method: a model near an image that interpolation restores exactly, at infinite
        # PSNR, is not to count alone.
        keys = [f"{metric}_{method}" for method in METHODS]
        return [row for row in rows if all(math.isfinite(row.get(key, math.nan)) for key in keys)]

    def by_method(metric, methods=METHODS):
        keys = {method: f"{metric}_{method}" for method in methods}
        return {method: center([row[key] for row in counted(metric) if key in row]) for method, key in keys.items()}

    def over_bicubic(metric):
        those = counted(metric)
        return gain([row[f"{metric}_gain"] for row in those], [row["group"] for row in those])

    masks = sum("mse_mask_model" in row for row in rows)
    summary = {"images": len(rows), "masks": masks, "seconds": by_method("seconds")}
    for where in ("", "_mask") if masks else ("",):
        summary |= {metric + where: by_method(metric + where) for metric in METRICS}
        summary |= {f"{metric}{where}_gain": over_bicubic(metric + where) for metric in GAINS}
    if channel is not None:
        instances = sum("dice_hr" in row for row in rows)
        methods = (*METHODS, "hr") if instances else METHODS
        summary["segmentation"] = {"channel": channel, "references": {"mask": instances, "hr": len(rows) - instances}}
        summary |= {measure: by_method(measure, methods) for measure in (*AGREEMENT, "count")}
        summary |= {f"{measure}_gain": over_bicubic(measure) for measure in AGREEMENT}
    return summary | {
        "better_than_bicubic": fmean(row["psnr_gain"] > 0 for row in rows),
        "seen_in_training": [row["id"] for row in rows if row["seen_in_training"]],
    }


def _described(model):
    hashes = {"training_hashes": len(model.metadata["training_hashes"])}
    return model.metadata | hashes


def _versions():
    return {package: version(package) for package in _PACKAGES}


def _write(out, rows, summary, pictures):
    table = io.StringIO()
    # Images without a mask leave its columns empty.
    columns = list(dict.fromkeys(key for row in sorted(rows, key=len, reverse=True) for key in row))
    writer = csv.DictWriter(table, fieldnames=columns, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({k: f"{v:.7g}" if isinstance(v, float) else v for k, v in row.items()})
    if pictures:
        write(out / "strips.png", stack(pictures, [row["id"] for row in rows[: len(pictures)]]))
    with atomic(out / "scores.csv") as path:
        path.write_text(table.getvalue(), encoding="utf-8")
    with atomic(out / "summary.json") as path:
        path.write_text(json.dumps(summary, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _first(skipped):
    return next((f"{name}: {reason}" for name, reason in skipped.items()), "There are none that can be read")
