"""The `msrgan` command."""

from __future__ import annotations

import argparse
from importlib.metadata import version

from msrgan.apps.cli import datasets, evaluate, export, info, models, opinions, upscale
from msrgan.messages import command, flags


def main(argv: list[str] | None = None) -> int:
    """Run the `msrgan` command; return its exit code."""
    arguments = _parser().parse_args(argv)
    return command(lambda: arguments.run(arguments), options=arguments.options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="msrgan", description="Super-resolution of microscopy images.")
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    for module in (upscale, info, models, evaluate, opinions, export, datasets):
        module.add_command(commands)
    for of_command in commands.choices.values():
        of_command.set_defaults(options=flags(of_command))
    return parser


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(f"msrgan {version('msrgan')}")
        parser.exit()
