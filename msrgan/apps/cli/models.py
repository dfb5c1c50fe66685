"""`msrgan models`: list the models that ship, tell all about one."""

import argparse

from msrgan.messages import say


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add the command to those of `msrgan`."""
    parser = commands.add_parser("models", help="list the models that ship", description=_models.__doc__)
    parser.add_argument("name", nargs="?", metavar="NAME", help="tell all about this model (default: list all)")
    parser.set_defaults(run=_models)


def _models(arguments: argparse.Namespace) -> None:
    """List the models that ship: what for, what they learnt from, how good they were, what they cannot do."""
    from msrgan import zoo
    from msrgan.zoo import text

    if arguments.name:
        say(text.page(zoo.card(arguments.name)))
        return
    width = max(map(len, zoo.NAMES))
    for name in zoo.NAMES:
        say(f"{name:{width}}  {text.line(zoo.card(name))}")
    say("")
    say(f"msrgan models NAME tells all about one; msrgan upscale --model NAME uses it ({zoo.VGG}: --vgg builtin).")
