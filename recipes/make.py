"""Make a model that ships with mSRGAN: lay out its images, train it, score it, pack it into the package.

    python recipes/make.py fluorescence --sources RAW

Started again, it goes on where it was. RAW holds the folders that recipes.toml names, one a public image set. Each
takes two hours of two processor cores or less.
"""

import argparse
import sys
import time
import tomllib
from pathlib import Path

from msrgan.messages import import_tensorflow

import_tensorflow()  # quietly, before anything else does

from layout import lay_out, lift, simulated  # noqa: E402
from pack import pack_upscaler, pack_vgg  # noqa: E402
from scores import score  # noqa: E402

import train_srgan  # noqa: E402
import train_vgg  # noqa: E402
from msrgan.io.atomic import atomic_folder  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
RECIPES = tomllib.loads((Path(__file__).parent / "recipes.toml").read_text())


def main() -> None:
    """Lay out, train, score, pack."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=RECIPES["models"])
    parser.add_argument("--sources", type=Path, required=True, metavar="RAW", help="folder of the public image sets")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "recipes", help="folder of the runs (%(default)s)")
    parser.add_argument("--train-only", action="store_true", help="neither score nor pack")
    options = parser.parse_args()
    recipe, folder = RECIPES["models"][options.model], options.out / options.model
    train = train_vgg if "classes" in recipe else train_srgan
    if "train" in recipe:
        _laid_out(recipe, folder / "images", options.sources)
        data = ["--data", str(folder / "images" / ("lifted" if recipe.get("lifted") else "data"))]
        recipe["arguments"] = [*data, *recipe["arguments"]]
    run = folder / "run"
    _train(train, [*recipe["arguments"], "--out", str(run)], folder)
    if "refined" in recipe:
        first, run = run, folder / "refined"
        _train(train, [*data, *recipe["refined"], "--init", str(first), "--out", str(run)], folder)
    if options.train_only:
        return
    if train is train_vgg:
        pack_vgg(options.model, recipe, run)
        return
    scores = _scored(run, recipe, folder, "scores")
    if recipe.get("gan"):
        for after, before in zip(scores, _scored(first, recipe, folder, "scores_before"), strict=True):
            after["before_gan"] = {metric: before[metric]["model"] for metric in ("psnr", "ssim")}
    pack_upscaler(options.model, recipe, RECIPES["sources"], run, scores)


def _laid_out(recipe, images, raw):
    if images.is_dir():
        return
    with atomic_folder(images) as whole:
        counts = lay_out(RECIPES["sources"], recipe["train"], recipe["kept_out"], raw, whole)
        simulated(whole / "data" / "train", recipe.get("simulated", 0))
        if recipe.get("lifted"):
            lift(whole / "data", whole / "lifted")
    for name, parts in counts.items():
        print(f"{name}: {parts['train']} to train on, {parts['val']} to validate on, {parts['test']} held out")


def _scored(run, recipe, folder, reports):
    return [
        score(run, source, text, folder / reports, RECIPES["sources"][source.name])
        for source in sorted((folder / "images" / "test").iterdir())
        for text in recipe["scored_by"]
    ]


def _train(script, arguments, folder):
    """Run a training script in this process, and add its processor time to a file; stop where it fails."""
    spent = folder / "processor_seconds"
    before, start = float(spent.read_text()) if spent.is_file() else 0.0, time.process_time()
    try:
        code = script.main(arguments)
    finally:
        folder.mkdir(parents=True, exist_ok=True)
        spent.write_text(f"{before + time.process_time() - start:.0f}\n")
    if code:
        sys.exit(code)


if __name__ == "__main__":
    main()
