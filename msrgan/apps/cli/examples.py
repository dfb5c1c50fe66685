"""What the commands that score a model share: the model, and the images to try it on."""

import argparse
from collections.abc import Iterator
from typing import Any

from msrgan.apps.cli.arguments import add_axes, add_engine, engine, whole
from msrgan.messages import import_tensorflow, warn


def add_data(parser: argparse.ArgumentParser, *, required: bool) -> None:
    """Add the options of a model, and of the images to try it on."""
    parser.add_argument(
        "--model", required=required, help="exported model, name of msrgan models, or nearest, bicubic, lanczos"
    )
    parser.add_argument("--trust", action="store_true", help="run whatever operations the model has, files included")
    add_engine(parser)
    parser.add_argument(
        "--data", required=required, help="folder of images or stacks, or of lr/ and hr/, or registered set"
    )
    parser.add_argument("--degradation", help="HR to LR: thesis, gaussian:sigma=1, ... (default: the model's)")
    parser.add_argument("--scale", type=whole(2), help="enlargement of nearest, bicubic and lanczos (default: 4)")
    parser.add_argument("--split", help="train, validation, test, all (default: all of a folder, else test)")
    add_axes(parser)
    parser.add_argument("--manual-dir", help="raw files of a registered data set")
    parser.add_argument("--data-dir", help="where its prepared copy lives")


def load(arguments: argparse.Namespace) -> tuple[Any, Iterator[dict[str, Any]]]:
    """Return the model and its examples; warn where its training was interrupted."""
    import_tensorflow()
    from msrgan import datasets, models

    model = models.load(arguments.model, scale=arguments.scale, trust=arguments.trust, **engine(arguments))
    if model.metadata.get("interrupted"):
        warn(f"the training of {arguments.model} was interrupted before its end")
    split = arguments.split or ("test" if datasets.is_registered(arguments.data) else "all")
    where = {"manual_dir": arguments.manual_dir, "data_dir": arguments.data_dir, "axes": arguments.axes}
    data = datasets.load(arguments.data, split, **where)

    def decoded(example: dict[str, Any]) -> dict[str, Any]:
        return example | {key: example[key].decode() for key in ("id", "group") if key in example}

    return model, map(decoded, data.as_numpy_iterator())
