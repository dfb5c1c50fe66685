"""`msrgan opinions`: let people score a model."""

import argparse
from pathlib import Path

from msrgan.apps.cli.arguments import positive, seed
from msrgan.apps.cli.examples import add_data, load
from msrgan.messages import import_tensorflow, warn


def add_command(commands) -> None:
    """Add the command to those of `msrgan`."""
    parser = commands.add_parser("opinions", help="let people score a model", description=_opinions.__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR", help="to write with --model, else with filled forms")
    parser.add_argument("--limit", type=positive, default=20, metavar="N", help="images (default: 20)")
    parser.add_argument("--seed", type=seed, default=0, help="of the order (default: 0)")
    add_data(parser, required=False)
    parser.set_defaults(run=_opinions)


def _opinions(arguments: argparse.Namespace):
    """Make blinded sheets of pictures for people to score, or compute the mean opinion scores of filled forms."""
    if not arguments.model:
        return _print_opinions(arguments.folder)
    if not arguments.data:
        raise ValueError("Sheets show images of --data. Name it, or leave --model out to read filled forms")
    model, examples = load(arguments)
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
