"""`msrgan opinions`: let people score a model."""

import argparse
from pathlib import Path

from msrgan.apps.cli.arguments import positive, seed
from msrgan.apps.cli.examples import add_data, load
from msrgan.messages import import_tensorflow, say, warn


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add the command to `msrgan`."""
    parser = commands.add_parser("opinions", help="let people score a model", description=_opinions.__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR", help="to write with --model, else with filled forms")
    parser.add_argument(
        "--limit", type=positive, default=20, metavar="N", help="show the first N images only (default: 20)"
    )
    parser.add_argument("--seed", type=seed, default=0, help="of the order (default: 0)")
    add_data(parser, required=False)
    parser.set_defaults(run=_opinions)


def _opinions(arguments: argparse.Namespace) -> None:
    """Make blinded sheets of pictures for people to score, or compute the mean opinion scores of filled forms."""
    if not arguments.model:
        return _say_opinions(arguments.folder)
    if not arguments.data:
        raise ValueError("Sheets show images of --data. Name it, or leave --model out to read filled forms")
    model, examples = load(arguments)
    from msrgan.evaluation.opinion import sheets

    out, settings = arguments.folder, {name: getattr(arguments, name) for name in ("degradation", "limit", "seed")}
    made = sheets(model, examples, out=out, **settings)
    for name, reason in made["skipped"].items():
        warn(f"skipped {name}: {reason}")
    say(
        f"{made['pictures']} pictures of {made['images']} images in {out / 'pictures'}. Give each rater these and a "
        f"copy of {out / 'form.csv'}, named form_NAME.csv (1 bad ... 5 excellent), not {out / 'key.csv'}."
    )


def _say_opinions(folder: Path) -> None:
    import_tensorflow()
    from msrgan.evaluation.opinion import opinions

    filled = opinions(folder)
    raters = filled["raters"]
    say(f"raters {', '.join(raters)}; {filled['pictures']} pictures, {filled['unscored']} scores left out")
    for method, scored in filled["methods"].items():
        low, high = scored["interval"] or (None, None)
        interval = "" if low is None else f"  [{low:.2f}, {high:.2f}]"
        say(f"{method:9}{scored['mos']:6.2f}{interval}  {scored['images']} images, {scored['scores']} scores")
