"""`msrgan evaluate`: score a model by numbers."""

from __future__ import annotations

import argparse
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from msrgan.apps.cli.arguments import add_corrections, count, positive
from msrgan.apps.cli.examples import add_data, load
from msrgan.messages import say, warn

if TYPE_CHECKING:
    from msrgan.evaluation.statistics import Gain
    from msrgan.evaluation.summary import Summary

TITLES = {"mse": "MSE", "psnr": "PSNR dB", "ssim": "SSIM"}
TITLES |= {f"{metric}_mask": f"{title} in mask" for metric, title in TITLES.items()}
TITLES |= {"dice": "Dice", "f1": "F1"}


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add the command to `msrgan`."""
    parser = commands.add_parser("evaluate", help="score a model", description=_evaluate.__doc__)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    parser.add_argument("--limit", type=positive, metavar="N", help="use the first N images only")
    parser.add_argument(
        "--segment", type=count, metavar="CHANNEL", help="compare the bright objects of this channel, 0 the first"
    )
    add_corrections(parser)
    add_data(parser, required=True)
    parser.set_defaults(run=_evaluate)


def _evaluate(arguments: argparse.Namespace) -> None:
    """Score a model by MSE, PSNR and SSIM against interpolation: images are degraded and enlarged again."""
    model, examples = load(arguments)
    from msrgan import evaluation

    settings = {name: getattr(arguments, name) for name in ("degradation", "segment", "clip", "consistent")}
    summary = evaluation.evaluate(model, islice(examples, arguments.limit), out=arguments.out, **settings)
    _say_scores(summary, arguments.out)
    _warn(summary)


def _say_scores(summary: Summary, out: Path) -> None:
    titles = {metric: title for metric, title in TITLES.items() if metric in summary}
    say(f"{summary['images']} images, degradation {summary['degradation']}")
    say(f"{'':9}" + "".join(f"{title:>16}" for title in titles.values()))
    for method in summary.get("dice", summary["psnr"]):
        means = [summary[metric].get(method, {}).get("mean") for metric in titles]
        say(f"{method:9}" + "".join(f"{'' if mean is None else f'{mean:.5g}':>16}" for mean in means))
    if "segmentation" in summary:
        say(_references(**summary["segmentation"]["references"]))
    say("gain over bicubic, its 95 % interval and Wilcoxon's p:")
    for metric, title in titles.items():
        if f"{metric}_gain" in summary:
            say(f"{title:16} {_gain(summary[f'{metric}_gain'])}")
    seconds = summary["seconds"]["model"]["median"]
    better = f"better than bicubic: {summary['better_than_bicubic']:.0%} of the images"
    say(f"{better}; {seconds:.2g} s an image; see {out}")


def _references(mask: int, hr: int) -> str:
    if not mask:
        return f"objects: against the segmented HR image, of {hr} images"
    without = f"; {hr} without one do not count there" if hr else ""
    return f"objects: against the label map, of {mask} images{without}"


def _gain(gain: Gain) -> str:
    if gain["mean"] is None:
        return "none: bicubic restores these images exactly"
    of = f"{gain['n']} images" + (f" of {gain['n_groups']} groups" if gain["n_groups"] < gain["n"] else "")
    if gain["interval"] is None:
        return f"{gain['mean']:+.4g}  of {of}, too few for a test"
    low, high = gain["interval"]
    return f"{gain['mean']:+.4g}  [{low:+.4g}, {high:+.4g}]  p {gain['p']:.2g}, {of}"


def _warn(summary: Summary) -> None:
    from msrgan.data.registration import displaced

    for name, shift in summary["displaced"].items():
        warn(displaced(name, shift))
    for name, reason in summary["skipped"].items():
        warn(f"skipped {name}: {reason}")
    if summary["skipped"]:
        warn(f"{len(summary['skipped'])} images were skipped")
    seen = summary["seen_in_training"]
    if seen:
        warn(f"{len(seen)} images were in the model's training set: {', '.join(seen)}")
