"""Score a model on held-out images of a source, as `msrgan evaluate` does; see whether it keeps their brightness."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import msrgan
from msrgan import datasets
from msrgan.degradation import make
from msrgan.evaluation import evaluate
from msrgan.evaluation.cases import make_case


def score(run: Path, folder: Path, degradation: str, out: Path, source: dict[str, Any]) -> dict[str, Any]:
    """Score a model on the images of a folder.

    Args:
        run: of the training.
        folder: of the images, with the name of their source.
        degradation: by which they are made coarse.
        out: folder of the reports.
        source: of recipes.toml.

    Returns:
        Means, gain and interval, as card.json has them.
    """
    model = msrgan.load(run)
    report = out / folder.name / degradation.replace(":", "_")
    summary = evaluate(model, _examples(folder), out=report, degradation=degradation)
    means = {metric: {name: of["mean"] for name, of in summary[metric].items()} for metric in ("psnr", "ssim")}
    gain = summary["psnr_gain"]
    scored = {
        "source": folder.name,
        "title": source["title"],
        "degradation": degradation,
        "images": summary["images"],
        "gain": gain["mean"],
        "interval": gain["interval"],
        "better": summary["better_than_bicubic"],
        "brightness": brightness(model, folder, degradation),
    }
    print(f"{folder.name}, {degradation}: {scored['gain']:+.2f} dB, {scored['better']:.0%} better", flush=True)
    return scored | means


def brightness(model: msrgan.models.Upscaler, folder: Path, degradation: str) -> float:
    """Return by which part of itself the mean of a channel changes at most when its image is enlarged."""
    changes = []
    for example in _examples(folder):
        settings = {"scale": model.scale, "normalization": model.normalization, "degradation": make(degradation)}
        lr = make_case(example, **settings).lr_file
        means = [image.mean(axis=(0, 1), dtype=np.float64) for image in (lr, msrgan.upscale(model, lr))]
        changes.append(np.abs(means[1] / means[0] - 1).max())
    return float(max(changes))


def _examples(folder: Path) -> Iterator[dict[str, Any]]:
    for example in datasets.load(str(folder), "all").as_numpy_iterator():
        yield example | {"id": example["id"].decode()}
