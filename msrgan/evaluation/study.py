"""How much better than interpolation: degrade images, enlarge them again, compare, report."""

import csv
import io
import json
import math
import os
from collections.abc import Iterable
from importlib.metadata import version
from statistics import fmean, median

import numpy as np

from msrgan import images
from msrgan.degradation import DEGRADATIONS
from msrgan.evaluation.strips import LABELS, stack, strip
from msrgan.files import atomic, writable_folder
from msrgan.inference import Upscaler, load, upscale, value_range
from msrgan.metrics import psnr, ssim

BASELINES = ("nearest", "bicubic", "lanczos")
METHODS = ("model", *BASELINES)
METRICS = {"psnr": psnr, "ssim": ssim}
_PACKAGES = ("msrgan", "tensorflow", "keras", "numpy", "scikit-image")


def evaluate(
    model: Upscaler,
    examples: Iterable[tuple[str, np.ndarray]],
    *,
    out: str | os.PathLike,
    degradation: str | None = None,
    strips: int = 8,
) -> dict:
    """Scores a model against nearest, bicubic and Lanczos interpolation, and writes what came out.

    Each image is cropped at the right and bottom to a multiple of the scale and degraded; the LR image is
    rounded to the dtype of the image, as in a file, and enlarged by `inference.upscale` with the model and by
    each interpolation. PSNR and SSIM are taken over the whole image and all channels, after both images were
    normalised by the range of the HR image (its 0.1 and 99.9 percentiles in each channel, or the range of the
    dtype, as the model has it): that range is the `data_range`, so that dim images and 12-bit data in 16-bit
    files count like any other.

    Writes scores.csv (one row an image), summary.json and strips.png into `out`, when all images are done.

    Args:
        model: from `inference.load`.
        examples: pairs of a name and an image (H, W, C), uint8, uint16 or float32.
        out: folder; made as needed.
        degradation: key of DEGRADATIONS; that of the model if None.
        strips: how many images, the first ones, strips.png shows.

    Returns:
        The content of summary.json: "images" (their number), "psnr" and "ssim" (mean and median of each
        method), "psnr_gain" and "ssim_gain" over bicubic, "better_than_bicubic" (fraction of the images whose
        PSNR gain is positive), "seen_in_training" (names), "skipped" (name to reason), and how it was made.
        Infinite values (a constant image restored exactly) are left out of means and medians.

    Raises:
        ValueError: unknown degradation, or no image could be scored.
        OSError: `out` cannot be written.
    """
    degradation = degradation or model.metadata["degradation"]
    if degradation not in DEGRADATIONS:
        raise ValueError(f"degradation is one of {', '.join(DEGRADATIONS)}. Received: {degradation}")
    out = writable_folder(out)
    methods = {"model": model} | {name: load(name, scale=model.scale) for name in BASELINES}
    trained_on = set(model.metadata["training_hashes"])

    rows, skipped, pictures = [], {}, []
    for name, image in examples:
        try:
            hr, lr = _pair(image, degradation, model.scale)
            enlarged = {method: upscale(upscaler, lr) for method, upscaler in methods.items()}
            scores = _scores(hr, enlarged, value_range(hr, model.metadata))
        except ValueError as error:
            skipped[name] = str(error)
            continue
        height, width, channels = hr.shape
        seen = images.content_hash(image) in trained_on
        row = {"id": name, "height": height, "width": width, "channels": channels, "seen_in_training": seen}
        rows.append(row | scores)
        if len(pictures) < strips:
            pictures.append(_picture(lr, enlarged, hr, scores))
    if not rows:
        raise ValueError(f"No image could be scored. {_first(skipped)}")

    summary = _summary(rows, skipped)
    summary |= {"degradation": degradation, "model": _described(model), "versions": _versions()}
    _write(out, rows, summary, pictures)
    return summary


def _pair(image, degradation, scale):
    """Returns an image cropped to a multiple of the scale, and its degraded version in the same dtype."""
    height, width = (size // scale * scale for size in image.shape[:2])
    hr = image[:height, :width]
    if min(height, width) < 4 * scale:
        raise ValueError(f"An image must have {4 * scale} pixels or more a side. Received: {image.shape}")
    lr = DEGRADATIONS[degradation](hr.astype(np.float32), scale=scale)
    return hr, images.denormalize(np.asarray(lr), 0, 1, hr.dtype)


def _scores(hr, enlarged, limits):
    reference = images.normalize(hr, *limits)
    scores = {}
    for metric, function in METRICS.items():
        for method, image in enlarged.items():
            value = function(reference, images.normalize(image, *limits), data_range=1)
            scores[f"{metric}_{method}"] = value
        ours, bicubic = scores[f"{metric}_model"], scores[f"{metric}_bicubic"]
        scores[f"{metric}_gain"] = 0.0 if ours == bicubic else ours - bicubic
    return scores


def _picture(lr, enlarged, hr, scores):
    decibels = ("", f" {scores['psnr_bicubic']:.2f} dB", f" {scores['psnr_model']:.2f} dB", "")
    labels = [label + value for label, value in zip(LABELS, decibels, strict=True)]
    return strip(lr, enlarged["bicubic"], enlarged["model"], hr, labels=labels)


def _summary(rows, skipped):
    def statistics(key):
        finite = [row[key] for row in rows if math.isfinite(row[key])]
        return {"mean": fmean(finite), "median": median(finite)} if finite else {"mean": None, "median": None}

    summary = {"images": len(rows)}
    for metric in METRICS:
        summary[metric] = {method: statistics(f"{metric}_{method}") for method in METHODS}
        summary[f"{metric}_gain"] = statistics(f"{metric}_gain")
    return summary | {
        "better_than_bicubic": fmean(row["psnr_gain"] > 0 for row in rows),
        "seen_in_training": [row["id"] for row in rows if row["seen_in_training"]],
        "skipped": skipped,
    }


def _described(model):
    hashes = {"training_hashes": len(model.metadata["training_hashes"])}
    return model.metadata | hashes


def _versions():
    return {package: version(package) for package in _PACKAGES}


def _write(out, rows, summary, pictures):
    table = io.StringIO()
    writer = csv.DictWriter(table, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({k: f"{v:.5f}" if isinstance(v, float) else v for k, v in row.items()})
    if pictures:
        images.write(out / "strips.png", stack(pictures, [row["id"] for row in rows[: len(pictures)]]))
    with atomic(out / "scores.csv") as path:
        path.write_text(table.getvalue(), encoding="utf-8")
    with atomic(out / "summary.json") as path:
        path.write_text(json.dumps(summary, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _first(skipped):
    return " ".join(f"{name}: {reason}" for name, reason in list(skipped.items())[:1]) or "There are none"
