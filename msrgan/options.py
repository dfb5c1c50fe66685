"""Command-line options that both training scripts share, and the set-up that follows from them."""

import argparse
from pathlib import Path

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


def positive(text: str) -> int:
    """Parse a whole number above zero."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number above 0, not {text}")
    return value


def count(text: str) -> int:
    """Parse a whole number, zero or more."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"must be a whole number, 0 or more, not {text}")
    return value


def non_negative(text: str) -> float:
    """Parse a finite number, zero or more."""
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number, 0 or more, not {text}")
    return value


def fraction(text: str) -> float:
    """Parse a number from 0 to below 1."""
    value = float(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"must be 0 or more and below 1, not {text}")
    return value


def decay(text: str) -> tuple[float, float]:
    """Parse WHEN:FACTOR, when a learning rate falls and to which part of itself."""
    when, _, factor = text.partition(":")
    try:
        return non_negative(when), non_negative(factor)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be WHEN:FACTOR, as 0.5:0.1, not {text}") from None


def add_common(parser: argparse.ArgumentParser, *, out: str):
    """Add the options of data, machine and run folder."""
    data = parser.add_argument_group("data")
    data.add_argument("--data", default="simulated", help="registered name or folder of images (%(default)s)")
    data.add_argument("--manual-dir", type=Path, metavar="DIR", help="raw files of a registered set")
    data.add_argument("--data-dir", type=Path, metavar="DIR", help="prepared copy of a registered set")
    data.add_argument(
        "--cache-gb",
        type=non_negative,
        default=4.0,
        metavar="GB",
        help="memory for decoded images (%(default)s)",
    )
    run = parser.add_argument_group("run")
    run.add_argument("--seed", type=count, default=0, help="of everything random (%(default)s)")
    run.add_argument("--precision", choices=PRECISIONS, default="float32")
    run.add_argument("--jit", choices=("auto", "on", "off"), default="auto", help="XLA; auto: on a GPU only")
    run.add_argument("--out", type=Path, default=Path(out), metavar="DIR", help="run folder (%(default)s)")
    run.add_argument("--no-resume", dest="resume", action="store_false", help="start anew, removing what OUT holds")
    run.add_argument("--checkpoint-every", type=positive, default=200, metavar="STEPS", help="(%(default)s)")


def set_up(options: argparse.Namespace):
    """Choose the strategy, seed and dtype policy of the process.

    Returns:
        The `tf.distribute.Strategy`.

    Raises:
        ValueError: the batch cannot be divided among the replicas.
    """
    from msrgan.cli import import_tensorflow

    import_tensorflow()
    import keras

    from msrgan.training import strategy

    chosen = strategy()
    replicas = chosen.num_replicas_in_sync
    if options.batch_size % replicas:
        raise ValueError(f"--batch-size must be a multiple of the {replicas} replicas. Received: {options.batch_size}.")
    keras.utils.set_random_seed(options.seed)
    keras.config.set_dtype_policy(options.precision)
    return chosen
