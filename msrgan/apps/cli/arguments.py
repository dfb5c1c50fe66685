"""Command-line arguments: their types, and the options that both training scripts share."""

import argparse
import contextlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

Parser = Callable[[str], int | float]
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
# As `models.engines` has them, which imports TensorFlow.
ENGINES = ("tensorflow", "openvino", "onnxruntime", "ncnn", "auto")


def argument(kind: Callable[[str], int | float], rule: str, holds: Callable[[int | float], bool]) -> Parser:
    """Make the type of a command-line argument: numbers of a kind that keep a rule, which its errors state."""

    def parse(text: str) -> int | float:
        with contextlib.suppress(ValueError):
            value = kind(text)
            if holds(value):
                return value
        raise argparse.ArgumentTypeError(f"must be {rule}. Received: {text}")

    return parse


def whole(least: int, most: int = 2**31 - 1) -> Parser:
    """Make the type of a whole number within limits."""
    return argument(int, f"a whole number from {least} to {most}", lambda n: least <= n <= most)


positive, count, seed = whole(1), whole(0), whole(0, 2**32 - 1)
non_negative = argument(float, "a finite number of at least 0", lambda x: 0 <= x < math.inf)
fraction = argument(float, "a number from 0 to below 1", lambda x: 0 <= x < 1)
width = argument(float, "a number above 0 and below 100", lambda x: 0 < x < 100)


def decay(text: str) -> tuple[float, float] | str:
    """Parse WHEN:FACTOR, when a learning rate falls and to which part of itself, or the word cosine."""
    if text == "cosine":
        return text
    when, _, factor = text.partition(":")
    try:
        return non_negative(when), non_negative(factor)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(f"must be WHEN:FACTOR, as 0.5:0.1, or cosine. Received: {text}") from None


def shard(text: str) -> tuple[int, int]:
    """Parse I/N, the I-th of N parts."""
    with contextlib.suppress(ValueError):
        number, total = map(int, text.split("/"))
        if 1 <= number <= total:
            return number, total
    raise argparse.ArgumentTypeError(f"must be I/N, as 1/8 for the first of 8 parts. Received: {text}")


def axes(text: str) -> str:
    """Parse the axes of a file, as CYX."""
    from msrgan.io.axes import check

    try:
        return check(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error).replace("`axes` ", "")) from None


def add_axes(parser: Any) -> None:
    """Add the option that tells what the pages of a TIFF are."""
    parser.add_argument(
        "--axes", type=axes, help="what pages are that do not say so: ZYX for a stack, CYX for channels"
    )


def add_part(parser: Any) -> None:
    """Add the options that choose one of several images in a file."""
    parser.add_argument("--level", type=count, default=0, help="of a pyramid, 0 the finest (default: 0)")
    parser.add_argument("--scene", help="name or number of one of several images in a CZI, ND2 or LIF file")


def add_corrections(parser: Any) -> None:
    """Add the corrections of what a model gives."""
    parser.add_argument("--clip", action="store_true", help="keep results within the range of the values of the input")
    parser.add_argument(
        "--consistent", action="store_true", help="mend results so that, made coarse, they are the input"
    )


def add_engine(parser: Any) -> None:
    """Add the options of what computes a model."""
    parser.add_argument(
        "--engine", choices=ENGINES, default="tensorflow",
        help="what computes a trained model; auto: the fastest that is installed (default: tensorflow)",
    )  # fmt: skip
    parser.add_argument(
        "--precision", choices=("float32", "bfloat16"), default="float32",
        help="of --engine openvino: bfloat16 is faster where the processor has it (default: float32)",
    )  # fmt: skip


def engine(arguments: argparse.Namespace) -> dict[str, str]:
    """Return what `models.load` takes of these options."""
    return {"engine": arguments.engine, "precision": arguments.precision}


def add_common(parser: argparse.ArgumentParser, *, out: str) -> None:
    """Add the options of data, machine and run folder; their names are those of `training.settings.Settings`."""
    group = parser.add_argument_group("data")
    add = group.add_argument
    add(
        "--data",
        default="simulated",
        help="folder of images or stacks, or a name of msrgan datasets (%(default)s)",
    )
    add("--manual-dir", type=Path, metavar="DIR", help="where you put the raw files of a named set")
    add("--data-dir", type=Path, metavar="DIR", help="where the prepared copy of a named set lies or will be written")
    add(
        "--cache-gb", type=non_negative, default=4.0, metavar="GB",
        help="memory for decoded images; a larger set is decoded again and again, which is slow (%(default)s)",
    )  # fmt: skip
    add_axes(group)
    add = parser.add_argument_group("run").add_argument
    add("--out", type=Path, default=Path(out), metavar="DIR", help="folder of this run (%(default)s)")
    add("--no-resume", dest="resume", action="store_false", help="start anew, removing what a run left in --out")
    add(
        "--checkpoint-every",
        type=positive,
        default=200,
        metavar="STEPS",
        help="steps that are lost at most (%(default)s)",
    )
    add("--seed", type=seed, default=0, help="number that all random choices follow from (%(default)s)")
    add("--precision", choices=PRECISIONS, default="float32", help="mixed ones are faster on a GPU (%(default)s)")
    add(
        "--jit", choices=("auto", "on", "off"), default="auto",
        help="compile the steps with XLA; auto: on one GPU only (%(default)s)",
    )  # fmt: skip
