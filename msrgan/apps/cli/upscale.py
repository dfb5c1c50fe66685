"""`msrgan upscale`: enlarge image files."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from msrgan.apps.cli.arguments import (
    add_axes,
    add_corrections,
    add_engine,
    add_part,
    count,
    engine,
    positive,
    shard,
    whole,
)
from msrgan.messages import Bars, hush, import_tensorflow, report, say, warn, with_options

if TYPE_CHECKING:
    from msrgan.io.image import Image
    from msrgan.io.targets import Plan
    from msrgan.models import Upscaler
    from msrgan.upscaling.files import Choices, Result


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add the command to those of `msrgan`."""
    parser = commands.add_parser("upscale", help="enlarge image files", description=_upscale.__doc__)
    parser.add_argument("input", nargs="+", metavar="IN", help="image file, folder, or pattern as 'a/**/*.tif'")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="folder, or file, to write")
    parser.add_argument(
        "--model",
        help="exported model, name of msrgan models, or nearest, bicubic, lanczos (default: by the kind of image)",
    )
    parser.add_argument("--trust", action="store_true", help="run whatever operations the model has, files included")
    parser.add_argument(
        "--scale",
        type=whole(2),
        help="enlargement by interpolation or by the models that ship, which have 4 and 2 (default: 4)",
    )
    add_engine(parser)
    _add_reading(parser)
    _add_pixels(parser)
    _add_writing(parser)
    parser.set_defaults(run=_upscale)


def _add_reading(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what is read")
    add_axes(group)
    group.add_argument("--channels", metavar="LIST", help="numbers or names, as 0,2 or DAPI,GFP (default: all)")
    add_part(group)
    group.add_argument(
        "--max-pixels", type=positive_pixels, metavar="N", help="refuse larger ones (default: what fits)"
    )
    group.add_argument("--shard", type=shard, metavar="I/N", help="the I-th of N parts of the files only")


def _add_pixels(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("pixels")
    add_corrections(group)
    group.add_argument(
        "--normalize-over", choices=("stack", "plane"), default="stack",
        help="what shares a range of intensities: all T and Z of a channel, or each plane alone (default: stack)",
    )  # fmt: skip
    group.add_argument("--nan", choices=("refuse", "zero"), default="refuse", help="NaN pixels (default: refuse)")
    group.add_argument("--tile", type=positive, default=256, help="input pixels a side done at once (default: 256)")
    group.add_argument("--overlap", type=count, help="context of a tile (default: what the model needs)")
    group.add_argument("--batch", type=positive, help="tiles done at once (default: what is fast)")


def _add_writing(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what is written")
    group.add_argument("--format", help="ome-tiff, imagej, ome-zarr-0.4, png, ... (default: as the input)")
    group.add_argument("--compression", metavar="NAME", help="of TIFF and OME-Zarr: zlib, zstd, ... (default: none)")
    group.add_argument("--suffix", default="", metavar="TEXT", help="put before the suffixes of the files, as _x4")
    existing = group.add_mutually_exclusive_group()
    existing.add_argument("--overwrite", action="store_true", help="replace outputs that exist")
    existing.add_argument("--skip-existing", action="store_true", help="leave out inputs whose output exists")
    group.add_argument("--dry-run", action="store_true", help="say what would be done")
    group.add_argument("--quiet", action="store_true", help="show errors only")


def positive_pixels(text: str) -> int:
    """Parse a number of pixels, which may pass 32 bits."""
    return int(whole(1, 2**63 - 1)(text))


def _upscale(arguments: argparse.Namespace) -> int:
    """Enlarge image files and stacks in Y and X; format, dtype, axes and pixel size are kept, folders mirrored."""
    from msrgan.io import targets
    from msrgan.io.atomic import writable_folder

    if arguments.quiet:
        hush()
    plan = targets.plan(arguments.input, arguments.output, suffix=arguments.suffix, format=arguments.format)
    if arguments.shard:
        plan = plan.shard(*arguments.shard)
    import_tensorflow()
    from msrgan.upscaling.suited import UnusableModelError

    choices = _choices(arguments)
    model = _model(arguments, choices)
    folder = nullcontext() if arguments.dry_run else writable_folder(plan.folder or plan.jobs[0].target.parent)
    try:
        with folder:
            return _Run(plan, arguments).upscale(model, choices)
    except UnusableModelError as error:
        raise ValueError(str(error)) from error


def _model(arguments: argparse.Namespace, choices: Choices) -> Upscaler | Callable[[Image], Upscaler]:
    """Return the model that is named, or what chooses one for each image."""
    from msrgan import models
    from msrgan.upscaling import files
    from msrgan.upscaling.suited import Suited

    def load(name: str, scale: int | None = None) -> Upscaler:
        model = models.load(name, scale=scale, trust=arguments.trust, **engine(arguments))
        files.probe(model, choices.stream)
        return model

    return load(arguments.model, arguments.scale) if arguments.model else Suited(arguments.scale, load)


def _choices(arguments: argparse.Namespace) -> Choices:
    from msrgan.upscaling.files import Choices

    names = ("clip", "consistent", "normalize_over", "nan", "tile", "overlap", "batch")
    existing = "overwrite" if arguments.overwrite else "skip" if arguments.skip_existing else "refuse"
    same = ("axes", "level", "scene", "max_pixels", "channels", "format", "compression", "dry_run")
    stream = {name: getattr(arguments, name) for name in names}
    same = {name: getattr(arguments, name) for name in same}
    return Choices(**same, name=arguments.model, existing=existing, stream=stream)


class _Run:
    """The files of a plan as they are enlarged, and what became of them."""

    def __init__(self, plan: Plan, arguments: argparse.Namespace):
        self.plan, self.arguments = plan, arguments
        self.counts = {"done": 0, "skipped": 0, "failed": 0}
        self.failures: dict[Path, str] = {}
        self.files = len(plan.jobs) + len(plan.refused)

    def upscale(self, model: Upscaler | Callable[[Image], Upscaler], choices: Choices) -> int:
        """Enlarge them; return the exit code."""
        from msrgan.upscaling import files

        with Bars(len(self.plan.jobs), shown=not self.arguments.quiet) as bars:
            try:
                for path, reason in self.plan.refused.items():
                    self.fail(path, reason)
                results = files.upscale_files(
                    model, self.plan.jobs, choices, folder=self.plan.folder, progress=bars.tiles
                )
                for result in results:
                    self.note(result)
                    bars.next_file()
            finally:
                self.sum_up(self.write_failures())
        return 1 if self.failures else 0

    def note(self, result: Result) -> None:
        """Count a file and tell what became of it."""
        source, target = result.job
        if result.status == "failed":
            return self.fail(source, result.reason)
        self.counts[result.status] += 1
        if result.status == "done":
            say(f"{source} -> {target} ({self.text(result.image)})")

    def text(self, image: Image) -> str:
        """Describe an enlarged image, at length where that is all that is done."""
        if not self.arguments.dry_run:
            return f"{image.sizes['X']}x{image.sizes['Y']}"
        from msrgan.io import capacity, outputs

        sizes = "x".join(map(str, image.sizes.values()))
        return f"{image.axes} {sizes} {image.dtype}, {image.format}, {capacity.size_text(outputs.size(image))}"

    def fail(self, path: Path, reason: str) -> None:
        """Count a file that failed and tell why."""
        text = with_options(reason, self.arguments.options)
        self.failures[path] = text
        self.counts["failed"] += 1
        report("msrgan", text if str(path) in text else f"{path}: {text}", 1)

    def write_failures(self) -> Path | None:
        """Write the table of what failed; return it if there is one."""
        from msrgan.upscaling.files import write_failures

        if self.plan.folder is None or self.arguments.dry_run:
            return None
        try:
            return write_failures(self.plan.folder, self.failures, self.arguments.shard)
        except OSError as error:  # on a full disk, say: each reason was shown already
            warn(f"no table of failures was written: {error}")
            return None

    def sum_up(self, table: Path | None) -> None:
        """Tell on one line what became of all files, unless it was a single one that was said already."""
        left = self.files - sum(self.counts.values())
        if self.files == 1 and not left and not self.counts["skipped"]:
            return
        line = ", ".join(f"{n} {status}" for status, n in self.counts.items())
        line += f" (see {table})" if table else ""
        line += f", {left} left: --skip-existing does the rest" if left else ""
        over = self.plan.passed_over()
        say(f"{line}; {over}" if over else line)
