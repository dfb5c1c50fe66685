"""Put a trained model into the package, with its card and its picture.

msrgan/zoo/NAME/        the exported model, card.json
docs/models/NAME.png    held-out images: low resolution, bicubic, super-resolved, original;
                        of a GAN: bicubic, before the GAN, after it, original
"""

import csv
import hashlib
import json
import shutil
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
from layout import HASHES

import msrgan
from msrgan import io, zoo
from msrgan.degradation import make
from msrgan.evaluation import evaluate
from msrgan.evaluation.cases import enlarge
from msrgan.evaluation.strips import stack, strip
from msrgan.metrics import psnr
from msrgan.models import card, network
from vgg_micro.features import LAST_ACTIVATIONS

PICTURES = Path(__file__).resolve().parent.parent / "docs" / "models"
LICENCE = "Apache-2.0"


def pack_upscaler(
    name: str,
    recipe: dict[str, Any],
    sources: dict[str, dict[str, Any]],
    run: Path,
    scores: list[dict[str, Any]],
) -> None:
    """Pack a generator.

    Args:
        name: of the model.
        recipe: of recipes.toml.
        sources: of recipes.toml.
        run: of the training; beside it lie its images and the processor time.
        scores: from `scores.score`.
    """
    target = _empty(zoo.folder(name))
    shutil.copytree(run / "model", target, dirs_exist_ok=True)
    shutil.rmtree(target / "assets", ignore_errors=True)
    metadata = json.loads((target / card.METADATA).read_text())
    # Where the images lay on the machine of the training says nothing to others.
    images = run.parent / "images"
    parts = [io.content_hash(io.read_pixels(file)) for file in (images / "data" / "train").iterdir()]
    hashes = {*json.loads((images / HASHES).read_text()), *parts}
    metadata |= {"name": name, "data": ", ".join(recipe["train"])}
    metadata |= {"training_hashes": sorted(digits[: card.HASH_DIGITS] for digits in hashes)}
    pixel_size = {"pixel_size_um": recipe["pixel_size_um"]} if "pixel_size_um" in recipe else {}
    metadata |= pixel_size
    (target / card.METADATA).write_text(json.dumps(metadata, indent=1) + "\n")
    _write(
        target,
        name,
        recipe,
        run.parent,
        scale=metadata["scale"],
        channels=metadata["channels"],
        parameters=network.read(target).count_params(),
        degradation=metadata["degradation"],
        steps=sum(card.read(one / "model")["steps"] for one in {run.parent / "run", run}),
        sources=_learnt_from(recipe, sources, images / "data" / "train", images / "data" / "val"),
        scores=scores,
        fingerprint=metadata["fingerprint"],
        **pixel_size,
    )
    _draw(name, recipe, run.parent)


def pack_vgg(name: str, recipe: dict[str, Any], run: Path) -> None:
    """Pack the convolutions of a classifier, which are all that a content loss uses.

    Its three dense layers are as large as two times its convolutions. Arguments as of `pack_upscaler`.
    """
    target = _empty(zoo.folder(name))
    classifier = keras.saving.load_model(run / "vgg.keras", compile=False)
    trunk = keras.Model(classifier.input, classifier.get_layer(LAST_ACTIVATIONS[-1]).output, name=classifier.name)
    trunk.save(target / "vgg.keras")
    shutil.copy(run / "confusion.png", PICTURES / f"{name}.png")
    with open(run / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    best = min(rows, key=lambda row: float(row["val_loss"]))
    _write(
        target,
        name,
        recipe,
        run.parent,
        channels=trunk.input_shape[-1],
        parameters=trunk.count_params(),
        steps=int(rows[-1]["step"]),
        sources=recipe["sources"],
        accuracy=f"Accuracy on validation images, by which the epoch was chosen: {float(best['val_accuracy']):.3f}, of "
        "13 classes.",
        fingerprint=hashlib.sha256((target / "vgg.keras").read_bytes()).hexdigest(),
    )


def _empty(target: Path) -> Path:
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    PICTURES.mkdir(parents=True, exist_ok=True)
    return target


def _write(target: Path, name: str, recipe: dict[str, Any], folder: Path, *, steps: int, **facts: Any) -> None:
    training = {
        "command": f"python recipes/make.py {name} --sources RAW",
        "date": date.today().isoformat(),
        "steps": steps,
        "processor_hours": float((folder / "processor_seconds").read_text()) / 3600,
        "version": version("msrgan"),
    }
    described = {
        "name": name,
        "purpose": recipe["purpose"],
        "network": recipe["network"],
        "bytes": sum(file.stat().st_size for file in target.rglob("*") if file.is_file()),
        "training": training,
        "limits": recipe["limits"],
        "licence": LICENCE,
    }
    text = json.dumps(_rounded(described | facts), indent=1, ensure_ascii=False)
    (target / zoo.CARD).write_text(text + "\n", encoding="utf-8")


def _rounded(value: Any) -> Any:
    """Keep five digits of every number: a card is read by people."""
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(one) for one in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value


def _learnt_from(recipe, sources, train, validate) -> list[dict[str, Any]]:
    """Count the images of each source; large ones lie there in parts."""
    told = [
        {key: sources[name][key] for key in ("title", "licence", "citation", "url")}
        | {part: len(list(of.glob(f"{name}_*.png"))) for part, of in (("train", train), ("validate", validate))}
        for name in recipe["train"]
    ]
    drawn = len(list(train.glob("simulated_*.png")))
    simulated = {
        "title": "Simulated fields of cells: microtubules, proteins in 13 places",
        "licence": "Apache-2.0",
        "citation": "this project",
        "url": "msrgan datasets simulated",
        "train": drawn,
        "validate": 0,
    }
    return told + ([simulated] if drawn else [])


def _draw(name: str, recipe: dict[str, Any], folder: Path) -> None:
    """Draw the held-out images that `recipe["drawn"]` names, in that order."""
    files = []
    for start in recipe["drawn"]:
        (file,) = (folder / "images" / "test").glob(f"*/{start}*")
        files.append(file)
    examples = [{"id": file.stem[:20], "image": io.read_pixels(file)} for file in files]
    degradation, model = recipe["scored_by"][0], msrgan.load(name)
    if recipe.get("gan"):
        before = msrgan.load(folder / "run")
        pictures = [_before_and_after(example, before, model, degradation) for example in examples]
        io.write_pixels(PICTURES / f"{name}.png", stack(pictures, [example["id"] for example in examples]))
        return
    report = folder / "drawn"
    evaluate(model, examples, out=report, degradation=degradation, strips=len(files))
    shutil.copy(report / "strips.png", PICTURES / f"{name}.png")


def _before_and_after(example, before, after, degradation):
    """Draw what a GAN changed: bicubic, before it, after it, the original; RGB, uint8 (height, width, 3)."""
    cases = [enlarge(example, model, make(degradation)) for model in (before, after)]
    hr, panels = cases[0].hr, [cases[0].enlarged["bicubic"], *(case.enlarged["model"] for case in cases)]
    titles = ("bicubic", "before the GAN", "after the GAN")
    labels = [f"{title} {psnr(hr, panel, data_range=1.0):.2f} dB" for title, panel in zip(titles, panels, strict=True)]
    return strip(*panels, hr, labels=[*labels, "original"])
