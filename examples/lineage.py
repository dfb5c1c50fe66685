"""Run the five lineages, tiny: each from its raw folder to a SavedModel, its scores and a strip.

The commands are those of docs/lineage.md, made small. Features come from a mini-VGG19 trained for a minute, or are left
out. Networks have few filters and mostly no batch norm. The results show that each system runs from the files of a user
to a model. They say nothing about the published systems: held-out tiles of one field are no test, and the patients of
the MRI slices are invented.
"""

import argparse
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from msrgan.messages import import_tensorflow

import_tensorflow()  # quietly, before anything else does

import raw  # noqa: E402

import train_srgan  # noqa: E402
import train_vgg  # noqa: E402
from msrgan.apps.cli import main as msrgan  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
STAGE_1 = ["--width", "0.125", "--epochs", "6", "--batch-size", "8", "--learning-rate", "1e-3"]
TINY = ["--batch-size", "4", "--pretrain-steps", "500", "--steps", "60", "--validate-every", "140"]
TINY += ["--pretrain-learning-rate", "3e-4"]
RESNET = ["--filters", "24", "--blocks", "4", "--batch-norm", "off"]
ESRGAN = ["--variant", "esrgan", "--vgg", "none", "--filters", "24", "--blocks", "2"]
# Where most pixels are black, L1 holds a network to its start, bicubic enlargement, for 500 steps and more.
DARK = ["--pixel-loss", "mse", "--alpha", "1", "--pretrain-steps", "1000"]
# System -> its image set, and the flags of each training; a second one starts from the generator of the first.
# Features learnt in a minute weigh next to nothing: SRGAN, which has no pixel loss of its own, gets one.
SYSTEMS = {
    "msrgan": ("cyto2017", [["--degradation", "thesis", *RESNET]]),
    "realtime": ("hpa:level=random", [["--variant", "realtime", "--crop", "grid", *DARK, *RESNET]]),
    "tissue": ("tissue/192", [[*ESRGAN, "--steps", "0"], [*ESRGAN, "--alpha", "1", "--pretrain-steps", "0"]]),
    "oct": ("oct/published", [["--variant", "srgan", "--alpha", "1", *RESNET]]),
    "mri": (
        "brain_tumor",
        [["--variant", "srgan", "--degradation", "gaussian", "--alpha", "1", "--upsample", "resize", *RESNET]],
    ),
}


def run(main: Callable[[list[str]], int], *arguments: object) -> None:
    """Run a command of the project in this process; stop where it fails."""
    print(f"\n$ {main.__module__.removesuffix('.cli')} {' '.join(map(str, arguments))}", flush=True)
    if code := main([str(argument) for argument in arguments]):
        sys.exit(code)


def main():
    """Prepare, train, evaluate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "lineage")
    parser.add_argument("--real", type=Path, default=os.environ.get("MSRGAN_DATA", ROOT.parent / "shared" / "data"))
    parser.add_argument("systems", nargs="*", default=list(SYSTEMS), metavar="SYSTEM", help=", ".join(SYSTEMS))
    options = parser.parse_args()
    out = options.out
    for system in options.systems:
        data, trainings = SYSTEMS[system]
        name = data.split("/")[0].split(":")[0]
        for old in (out / "raw" / name, out / "prepared" / name):
            shutil.rmtree(old, ignore_errors=True)
        raw.WRITERS[name](out / "raw" / name, options.real)
        where = ["--data", data, "--data-dir", out / "prepared"]
        files = ["--manual-dir", out / "raw" / name]
        if "--vgg" not in trainings[0]:  # a labelled set: an extractor of its own
            run(train_vgg.main, *where, *files, *STAGE_1, "--out", out / f"vgg_{system}", "--no-resume")
            trainings = [["--vgg", out / f"vgg_{system}", *flags] for flags in trainings]
        start = []
        for flags, folder in zip(trainings, [out / f"{system}_pixel", out / system][-len(trainings) :], strict=True):
            run(train_srgan.main, *where, *files, *TINY, *flags, *start, "--out", folder, "--no-resume")
            start = ["--init", folder]
        run(msrgan, "evaluate", *where, "--model", out / system, "--out", out / f"{system}_scores", "--limit", 6)
    print(f"\nModels: {out}/*/model    strips: {out}/*_scores/strips.png    films: {out}/*/samples/*.gif")


if __name__ == "__main__":
    main()
