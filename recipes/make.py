"""Make a model that ships with mSRGAN: lay out its images, train it, score it, pack it.

    python recipes/make.py fluorescence --sources RAW

Started again, it goes on where it was. RAW holds the folders that recipes.toml names, one a public image set.
"""

import argparse
import sys
import tomllib
from pathlib import Path

from msrgan.messages import import_tensorflow

import_tensorflow()  # quietly, before anything else does

from layout import lay_out  # noqa: E402

import train_srgan  # noqa: E402
from msrgan.apps.cli import main as msrgan  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
RECIPES = tomllib.loads((Path(__file__).parent / "recipes.toml").read_text())
# By which LR images of held-out images are made: that a camera bins, and that most papers score by.
DEGRADATIONS = ("bicubic", "area", "gaussian:sigma=0.5")


def run(main, *arguments: object) -> None:
    """Run a command of the project in this process; stop where it fails."""
    print(f"\n$ {main.__module__.removesuffix('.cli')} {' '.join(map(str, arguments))}", flush=True)
    if code := main([str(argument) for argument in arguments]):
        sys.exit(code)


def main() -> None:
    """Lay out, train, score."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=RECIPES["models"])
    parser.add_argument("--sources", type=Path, required=True, metavar="RAW", help="folder of the public image sets")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "recipes", help="folder of the runs (%(default)s)")
    parser.add_argument("more", nargs="*", help="more arguments of train_srgan.py, after --, to try something else")
    options = parser.parse_args()
    recipe, folder = RECIPES["models"][options.model], options.out / options.model
    data, trained = folder / "data", folder / "run"
    if not data.is_dir():
        counts = lay_out(RECIPES["sources"], recipe["train"], recipe["kept_out"], options.sources, data)
        for name, parts in counts.items():
            print(f"{name}: {parts['train']} to train on, {parts['val']} to validate on, {parts['test']} held out")
    run(train_srgan.main, "--data", data, "--out", trained, *recipe["arguments"], *options.more)
    for source in sorted((data / "test").iterdir()):
        for text in DEGRADATIONS:
            out = folder / "scores" / source.name / text.partition(":")[0]
            run(msrgan, "evaluate", "--model", trained, "--data", source, "--degradation", text, "--out", out)


if __name__ == "__main__":
    main()
