"""Stage 1: train a mini-VGG19 from scratch to classify images, by protein localisation for instance."""

import argparse
import sys
from functools import partial

from msrgan.apps.cli.arguments import add_common, non_negative, positive, width
from msrgan.messages import command, flags, import_tensorflow


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog="train_vgg.py", description=__doc__)
    model = parser.add_argument_group("network and training")
    model.add_argument(
        "--width", type=width, default=1.0, metavar="FACTOR",
        help="width of every layer, as a factor: 0.25 is smaller and faster (%(default)s)",
    )  # fmt: skip
    model.add_argument(
        "--image-size", type=positive, default=96, metavar="PIXELS",
        help="images are resized to squares of this side (%(default)s)",
    )  # fmt: skip
    model.add_argument("--epochs", type=positive, default=50, help="rounds over all images, at most (%(default)s)")
    model.add_argument(
        "--patience", type=positive, default=10, metavar="EPOCHS",
        help="stop after so many epochs without a better validation loss (%(default)s)",
    )  # fmt: skip
    model.add_argument(
        "--batch-size", type=positive, default=128, help="images in a step, of all workers together (%(default)s)"
    )
    model.add_argument(
        "--learning-rate", type=non_negative, default=1e-4, help="step size of the Adam optimizer (%(default)s)"
    )
    add_common(parser, out="runs/vgg")
    return parser


def train(options: argparse.Namespace) -> None:
    """Read the images and run stage 1 on them."""
    import_tensorflow()
    from msrgan import datasets
    from msrgan.data.survey import survey
    from msrgan.training import session
    from msrgan.training.strategy import is_chief
    from vgg_micro.training import Classification, VGGSettings

    settings = VGGSettings(**vars(options) | {"data": datasets.canonical(options.data)})
    distribution = session.start(settings)  # first: workers connect before anything else
    where = {"manual_dir": settings.manual_dir, "data_dir": settings.data_dir, "chief": is_chief()}
    classes = datasets.class_names(options.data, **where)
    load = partial(datasets.load, options.data, labels=True, axes=settings.axes, **where)
    images = survey(load("train"), cache_bytes=settings.cache_bytes)
    # In what memory is left: a file is then decoded once, and not again for the scores.
    held_out = survey(load("validation"), cache_bytes=settings.cache_bytes - images.nbytes)
    stage = Classification(settings, distribution, images=images, held_out=held_out, classes=classes)
    session.run(stage, distribution)


def main(argv: list[str] | None = None) -> int:
    """Run stage 1 from the command line; return the exit code."""
    arguments = parser()
    options = arguments.parse_args(argv)
    return command(lambda: train(options), name=arguments.prog, options=flags(arguments))


if __name__ == "__main__":
    sys.exit(main())
