"""`msrgan upscale`: enlarge image files."""

import argparse
from pathlib import Path

from msrgan.apps.cli.arguments import add_axes, count, positive, whole
from msrgan.messages import import_tensorflow, report, say

_OPTIONS = {"axes": "--axes"}


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add the command to those of `msrgan`."""
    parser = commands.add_parser("upscale", help="enlarge image files", description=_upscale.__doc__)
    parser.add_argument("input", type=Path, metavar="IN", help="image file, or folder of any depth")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="file or folder to write")
    parser.add_argument("--model", required=True, help="exported model, or nearest, bicubic, lanczos")
    parser.add_argument("--trust", action="store_true", help="run whatever operations the model has, files included")
    parser.add_argument("--scale", type=whole(2), help="enlargement of nearest, bicubic and lanczos (default: 4)")
    parser.add_argument("--tile", type=positive, default=256, help="input pixels a side done at once (default: 256)")
    parser.add_argument("--overlap", type=count, help="context of a tile (default: what the model needs)")
    add_axes(parser)
    parser.set_defaults(run=_upscale)


def _upscale(arguments: argparse.Namespace) -> int:
    """Enlarge PNG, JPEG, BMP and TIFF files, which keep format and bit depth; a folder is mirrored."""
    jobs, unusable = _jobs(arguments.input, arguments.output)
    import_tensorflow()
    import numpy as np

    from msrgan import models, upscaling
    from msrgan.io.atomic import writable_folder

    model = models.load(arguments.model, scale=arguments.scale, trust=arguments.trust)
    tiles = {"tile": arguments.tile, "overlap": arguments.overlap}
    # An option that does not suit the model is told once, before the first file.
    upscaling.upscale(model, np.zeros((1, 1, model.channels or 1), np.uint8), **tiles)
    with writable_folder(arguments.output if arguments.input.is_dir() else jobs[0][1].parent):
        failed = [path for path, reason in unusable.items() if _fail(f"{path}: {reason}")]
        failed += [job[0] for job in jobs if not _upscale_file(model, *job, tiles=tiles, axes=arguments.axes)]
    files = len(jobs) + len(unusable)
    if failed and files > 1:
        _fail(f"{len(failed)} of {files} files could not be upscaled")
    return 1 if failed else 0


def _upscale_file(model, source: Path, target: Path, *, tiles, axes) -> bool:
    """Enlarge a file; what is wrong with it becomes one line. Return whether it was done."""
    from tensorflow.errors import ResourceExhaustedError

    from msrgan import io, upscaling

    try:
        image = io.open_image(source, axes=axes)
        enlarged = upscaling.upscale(model, image.pixels, **tiles)
        size = image.pixel_size and image.pixel_size / model.scale
        io.write(target, enlarged, pixel_size=size, rgb=image.is_rgb)
    except (MemoryError, ResourceExhaustedError):
        return not _fail(f"{source}: does not fit into memory, or its enlargement does not. Enlarge parts of it")
    except (ValueError, OSError) as error:
        named = isinstance(error, OSError) or str(source) in str(error)
        return not _fail(error if named else f"{source}: {error}")
    say(f"{source} -> {target} ({enlarged.shape[1]}x{enlarged.shape[0]})")
    return True


def _fail(error: object) -> int:
    return report("msrgan", error, 1, _OPTIONS)


def _jobs(source: Path, target: Path) -> tuple[list[tuple[Path, Path]], dict[Path, str]]:
    """Return pairs of a file to read and the file to write, and {path: reason} of what cannot be read."""
    from msrgan import io

    if not source.is_dir():
        if not source.exists():
            raise FileNotFoundError(f"{source}: no such file or folder")
        if target.is_dir() or not target.suffix:
            target = target / source.name
        if target.resolve() == source.resolve():
            raise ValueError(f"The output must not replace the input. Received: {target}")
        return [(source, target)], {}
    if target.resolve().is_relative_to(source.resolve()):
        raise ValueError(f"The output folder must lie outside the input folder. Received: {target}")
    if target.is_file():
        raise ValueError(f"The output of a folder is a folder. Received: {target}, a file")
    survey = io.survey_folder(source)
    if line := survey.passed_over():
        say(line)
    return [(path, target / path.relative_to(source)) for path in survey.images], survey.unusable
