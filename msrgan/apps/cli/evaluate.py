"""`msrgan evaluate`: score a model by numbers."""

import argparse
from pathlib import Path

from msrgan.apps.cli.arguments import count, positive
from msrgan.apps.cli.examples import add_data, load
from msrgan.messages import warn


def add_command(commands) -> None:
    """Add the command to those of `msrgan`."""
    parser = commands.add_parser("evaluate", help="score a model", description=_evaluate.__doc__)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    parser.add_argument("--limit", type=positive, metavar="N", help="use the first N images only")
    parser.add_argument(
        "--segment", type=count, metavar="CHANNEL", help="compare the bright objects of this channel, 0 the first"
    )
    add_data(parser, required=True)
    parser.set_defaults(run=_evaluate)


def _evaluate(arguments: argparse.Namespace):
    """Score a model by MSE, PSNR and SSIM against interpolation: images are degraded and enlarged again."""
    model, examples = load(arguments)
    from msrgan import evaluation

    asked = {"degradation": arguments.degradation, "segment": arguments.segment}
    _print_summary(evaluation.evaluate(model, examples, out=arguments.out, **asked), arguments.out)


def _print_summary(summary, out):
    from msrgan.data.registration import displaced

    titles = {"mse": "MSE", "psnr": "PSNR dB", "ssim": "SSIM"}
    titles |= {f"{metric}_mask": f"{title} in mask" for metric, title in titles.items()}
    titles |= {"dice": "Dice", "f1": "F1"}
    titles = {metric: title for metric, title in titles.items() if metric in summary}
    print(f"{summary['images']} images, degradation {summary['degradation']}")
    print(f"{'':9}" + "".join(f"{title:>16}" for title in titles.values()))
    for method in summary.get("dice", summary["psnr"]):
        means = [summary[metric].get(method, {}).get("mean") for metric in titles]
        print(f"{method:9}" + "".join(f"{'' if mean is None else f'{mean:.5g}':>16}" for mean in means))
    print("gain over bicubic, its 95 % interval and Wilcoxon's p:")
    for metric, title in titles.items():
        if f"{metric}_gain" in summary:
            print(f"{title:16} {_gain(summary[f'{metric}_gain'])}")
    seconds = summary["seconds"]["model"]["median"]
    better = f"better than bicubic: {summary['better_than_bicubic']:.0%} of the images"
    print(f"{better}; {seconds:.2g} s an image; see {out}")
    for name, shift in summary["displaced"].items():
        warn(displaced(name, shift))
    for name, reason in summary["skipped"].items():
        warn(f"skipped {name}: {reason}")
    if summary["skipped"]:
        warn(f"{len(summary['skipped'])} images were skipped")
    seen = summary["seen_in_training"]
    if seen:
        warn(f"{len(seen)} images were in the model's training set: {', '.join(seen)}")


def _gain(found):
    if found["mean"] is None:
        return "none: bicubic restores these images exactly"
    of = f"{found['n']} images" + (f" of {found['n_groups']} groups" if found["n_groups"] < found["n"] else "")
    if found["interval"] is None:
        return f"{found['mean']:+.4g}  of {of}, too few for a test"
    low, high = found["interval"]
    return f"{found['mean']:+.4g}  [{low:+.4g}, {high:+.4g}]  p {found['p']:.2g}, {of}"
