"""Command-line arguments: their types, and the options that both training scripts share."""

import argparse
import contextlib
import math
from collections.abc import Callable
from pathlib import Path

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


def argument(kind: Callable[[str], int | float], rule: str, holds: Callable[[int | float], bool]):
    """Make the type of a command-line argument: numbers of a kind that keep a rule, which its errors state."""

    def parse(text: str) -> int | float:
        with contextlib.suppress(ValueError):
            value = kind(text)
            if holds(value):
                return value
        raise argparse.ArgumentTypeError(f"must be {rule}. Received: {text}")

    return parse


def whole(least: int, most: int = 2**31 - 1):
    """Make the type of a whole number within limits."""
    return argument(int, f"a whole number from {least} to {most}", lambda n: least <= n <= most)


positive, count, seed = whole(1), whole(0), whole(0, 2**32 - 1)
non_negative = argument(float, "a finite number of at least 0", lambda x: 0 <= x < math.inf)
fraction = argument(float, "a number from 0 to below 1", lambda x: 0 <= x < 1)
width = argument(float, "a number above 0 and below 100", lambda x: 0 < x < 100)


def decay(text: str) -> tuple[float, float]:
    """Parse WHEN:FACTOR, when a learning rate falls and to which part of itself."""
    when, _, factor = text.partition(":")
    try:
        return non_negative(when), non_negative(factor)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(f"must be WHEN:FACTOR, as 0.5:0.1. Received: {text}") from None


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
    run.add_argument("--seed", type=seed, default=0, help="of everything random (%(default)s)")
    run.add_argument("--precision", choices=PRECISIONS, default="float32")
    run.add_argument("--jit", choices=("auto", "on", "off"), default="auto", help="XLA; auto: on a GPU only")
    run.add_argument("--out", type=Path, default=Path(out), metavar="DIR", help="run folder (%(default)s)")
    run.add_argument("--no-resume", dest="resume", action="store_false", help="start anew, removing what OUT holds")
    run.add_argument("--checkpoint-every", type=positive, default=200, metavar="STEPS", help="(%(default)s)")
