"""`msrgan export`: write a model in a format that others open."""

import argparse
from pathlib import Path

from msrgan.messages import import_tensorflow, say

FORMATS = ("keras", "savedmodel", "onnx", "openvino", "litert", "ncnn", "bioimageio")


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add the command to `msrgan`."""
    parser = commands.add_parser("export", help="write a model for other programs", description=_export.__doc__)
    parser.add_argument("model", metavar="RUN_OR_MODEL", help="run folder, exported model, or name of msrgan models")
    parser.add_argument("--format", choices=FORMATS, required=True, help="see docs/exports.md")
    parser.add_argument("-o", "--out", type=Path, required=True, help="file to write; of savedmodel a folder")
    parser.add_argument(
        "--author", dest="authors", action="append", default=[], metavar="NAME",
        help="who made the model; again for each; bioimageio needs one",
    )  # fmt: skip
    parser.add_argument("--license", metavar="SPDX", help="of the weights, as CC-BY-4.0; bioimageio needs it")
    parser.add_argument("--image", type=Path, help="low-resolution image to show the model on (bioimageio)")
    parser.add_argument("--trust", action="store_true", help="export whatever operations the model has")
    parser.set_defaults(run=_export)


def _export(arguments: argparse.Namespace) -> None:
    """Write a trained model in a format that runs without this library."""
    from msrgan.io import read_pixels

    image = read_pixels(arguments.image) if arguments.image else None
    import_tensorflow()
    from msrgan.models.formats.conversion import convert

    named = {name: getattr(arguments, name) for name in ("authors", "license", "trust")}
    convert(arguments.model, arguments.format, arguments.out, image=image, **named)
    say(f"See {arguments.out}")
