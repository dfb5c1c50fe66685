"""The commands that score a model: `msrgan evaluate` by numbers, `msrgan opinions` by people."""

import argparse
from itertools import islice
from pathlib import Path

from msrgan.messages import warn
from msrgan.options import count, import_tensorflow, positive, seed, whole


def add_commands(commands):
    """Add both to the subcommands of `msrgan`."""
    evaluate = commands.add_parser("evaluate", help="score a model", description=_evaluate.__doc__)
    evaluate.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    evaluate.add_argument("--limit", type=positive, metavar="N", help="use the first N images only")
    evaluate.add_argument(
        "--segment", type=count, metavar="CHANNEL", help="compare the bright objects of this channel, 0 the first"
    )
    _add_data(evaluate, required=True)
    evaluate.set_defaults(run=_evaluate)

    opinions = commands.add_parser("opinions", help="let people score a model", description=_opinions.__doc__)
    opinions.add_argument("folder", type=Path, metavar="DIR", help="to write with --model, else with filled forms")
    opinions.add_argument("--limit", type=positive, default=20, metavar="N", help="images (default: 20)")
    opinions.add_argument("--seed", type=seed, default=0, help="of the order (default: 0)")
    _add_data(opinions, required=False)
    opinions.set_defaults(run=_opinions)


def _add_data(parser, *, required):
    parser.add_argument("--model", required=required, help="exported model, or nearest, bicubic, lanczos")
    parser.add_argument("--data", required=required, help="folder of images, or of lr/ and hr/, or registered data set")
    parser.add_argument("--degradation", help="HR to LR: thesis, gaussian:sigma=1, ... (default: the model's)")
    parser.add_argument("--scale", type=whole(2), help="enlargement of nearest, bicubic and lanczos (default: 4)")
    parser.add_argument("--split", help="train, validation, test, all (default: all of a folder, else test)")
    parser.add_argument("--manual-dir", help="raw files of a registered data set")
    parser.add_argument("--data-dir", help="where its prepared copy lives")


def _load(arguments):
    """Return the model and its examples."""
    import_tensorflow()
    from msrgan import datasets, inference

    model = inference.load(arguments.model, scale=arguments.scale)
    split = arguments.split or ("test" if datasets.is_registered(arguments.data) else "all")
    data = datasets.load(arguments.data, split, manual_dir=arguments.manual_dir, data_dir=arguments.data_dir)

    def decoded(example):
        return example | {key: example[key].decode() for key in ("id", "group") if key in example}

    return model, map(decoded, islice(data.as_numpy_iterator(), arguments.limit))


def _evaluate(arguments: argparse.Namespace):
    """Score a model by MSE, PSNR and SSIM against interpolation: images are degraded and enlarged again."""
    model, examples = _load(arguments)
    from msrgan import evaluation

    asked = {"degradation": arguments.degradation, "segment": arguments.segment}
    _print_summary(evaluation.evaluate(model, examples, out=arguments.out, **asked), arguments.out)


def _print_summary(summary, out):
    from msrgan.survey import displaced

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


def _opinions(arguments: argparse.Namespace):
    """Make blinded sheets of pictures for people to score, or compute the mean opinion scores of filled forms."""
    if not arguments.model:
        return _print_opinions(arguments.folder)
    if not arguments.data:
        raise ValueError("Sheets show images of --data. Name it, or leave --model out to read filled forms")
    model, examples = _load(arguments)
    from msrgan.evaluation.opinion import sheets

    out = arguments.folder
    made = sheets(model, examples, out=out, degradation=arguments.degradation, seed=arguments.seed)
    for name, reason in made["skipped"].items():
        warn(f"skipped {name}: {reason}")
    print(
        f"{made['pictures']} pictures of {made['images']} images in {out / 'pictures'}. Give each rater these and a "
        f"copy of {out / 'form.csv'}, named form_NAME.csv (1 bad ... 5 excellent), not {out / 'key.csv'}."
    )


def _print_opinions(folder):
    import_tensorflow()
    from msrgan.evaluation.opinion import opinions

    found = opinions(folder)
    raters = found["raters"]
    print(f"raters {', '.join(raters)}; {found['pictures']} pictures, {found['unscored']} scores left out")
    for method, scored in found["methods"].items():
        low, high = scored["interval"] or (None, None)
        interval = "" if low is None else f"  [{low:.2f}, {high:.2f}]"
        print(f"{method:9}{scored['mos']:6.2f}{interval}  {scored['images']} images, {scored['scores']} scores")
