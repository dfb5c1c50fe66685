"""A study of a model: degrade, enlarge, compare, report."""

import csv
import io
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from msrgan.data.registration import displacement, is_displaced
from msrgan.degradation import ACQUIRED
from msrgan.evaluation.cases import Case, cases
from msrgan.evaluation.scores import scores
from msrgan.evaluation.strips import LABELS, stack, strip
from msrgan.evaluation.summary import Summary, summarize
from msrgan.io import content_hash, write_pixels
from msrgan.io.atomic import atomic, writable_folder
from msrgan.messages import versions
from msrgan.models import Upscaler
from msrgan.models.card import HASH_DIGITS


def evaluate(
    model: Upscaler,
    examples: Iterable[dict[str, Any]],
    *,
    out: str | os.PathLike,
    degradation: str | None = None,
    strips: int = 8,
    segment: int | None = None,
    clip: bool = False,
    consistent: bool = False,
) -> Summary:
    """Score a model against nearest, bicubic and Lanczos interpolation, and write what came out.

    Writes scores.csv (one row an image), summary.json and strips.png into `out`, when all images are done.
    docs/evaluation.md tells how images are degraded, enlarged and compared, and what each key of the summary means.

    Args:
        model: from `models.load`.
        examples: dicts of "id" (str) and "image" (H, W, C), uint8, uint16 or float32; optionally "lr"
            (H/scale, W/scale, C), acquired; "mask" (H, W) or (H, W, 1), not zero inside, or a label map, each value an
            object; "group" (str), a patient, a slide or a well, whose images are not independent.
        out: folder; made as needed.
        degradation: text for `degradation.make`, used even where an "lr" was acquired; "acquired": the "lr" alone;
            None: the acquired "lr", or else the model's degradation.
        strips: how many images, the first ones, strips.png shows.
        segment: index of the channel that shows bright objects to compare; None: none are.
        clip: correct the model's results as `upscale` does, to measure what it costs or gains.
        consistent: likewise.

    Returns:
        The content of summary.json.

    Raises:
        ValueError: unknown degradation; acquired images are wanted, by `degradation` or by the model, and one has no
            "lr"; or no image could be scored.
        OSError: `out` cannot be written.
    """
    rows, pictures, skipped, displaced = [], [], {}, {}
    trained_on = {digits[:HASH_DIGITS] for digits in model.metadata["training_hashes"]}
    with writable_folder(out) as folder:
        scored_cases = cases(
            model,
            examples,
            lambda case: scores(case, segment),
            degradation=degradation,
            skipped=skipped,
            corrections={"clip": clip, "consistent": consistent},
        )
        for example, case, scored in scored_cases:
            rows.append(_row(example, case, trained_on) | scored)
            if not case.degradation and is_displaced(shift := displacement(example["image"], example["lr"])):
                displaced[example["id"]] = list(shift)
            if len(pictures) < strips:
                pictures.append(_picture(case, scored))
        summary = summarize(rows, segment) | {
            "skipped": skipped,
            "displaced": displaced,
            "intensity_matched": case.degradation is None,
            "degradation": case.degradation.text if case.degradation else ACQUIRED,
            "clip": clip,
            "consistent": consistent,
            "model": model.metadata | {"training_hashes": len(model.metadata["training_hashes"])},
            "engine": model.engine,
            "precision": model.precision,
            "versions": versions(),
        }
        _write(folder, rows, summary, pictures)
    return summary


def _row(example: dict[str, Any], case: Case, trained_on: set[str]) -> dict[str, Any]:
    """Tell what an image is, for its row of scores.csv."""
    name, (height, width, channels) = example["id"], case.hr.shape
    sizes = {"height": height, "width": width, "channels": channels}
    seen = content_hash(example["image"])[:HASH_DIGITS] in trained_on
    return {"id": name, "group": example.get("group", name)} | sizes | {"seen_in_training": seen}


def _picture(case: Case, scored: dict[str, float]) -> np.ndarray:
    """Draw LR, bicubic, SR and HR of a case side by side, with their PSNR; RGB, uint8 (height, width, 3)."""
    decibels = ("", f" {scored['psnr_bicubic']:.2f} dB", f" {scored['psnr_model']:.2f} dB", "")
    labels = [label + value for label, value in zip(LABELS, decibels, strict=True)]
    return strip(case.enlarged["nearest"], case.enlarged["bicubic"], case.enlarged["model"], case.hr, labels=labels)


def _write(folder: Path, rows: list[dict[str, Any]], summary: Summary, pictures: list[np.ndarray]) -> None:
    table = io.StringIO()
    # Images without a mask leave its columns empty.
    columns = list(dict.fromkeys(key for row in sorted(rows, key=len, reverse=True) for key in row))
    writer = csv.DictWriter(table, fieldnames=columns, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({k: f"{v:.7g}" if isinstance(v, float) else v for k, v in row.items()})
    if pictures:
        write_pixels(folder / "strips.png", stack(pictures, [row["id"] for row in rows[: len(pictures)]]))
    with atomic(folder / "scores.csv") as path:
        path.write_text(table.getvalue(), encoding="utf-8")
    with atomic(folder / "summary.json") as path:
        path.write_text(json.dumps(summary, indent=2, allow_nan=False) + "\n", encoding="utf-8")
