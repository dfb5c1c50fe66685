"""`msrgan upscale`: enlarge image files."""

from collections.abc import Iterator
from pathlib import Path

from msrgan.apps.cli.arguments import count, positive, whole
from msrgan.messages import import_tensorflow, report


def add_command(commands) -> None:
    """Add the command to those of `msrgan`."""
    parser = commands.add_parser("upscale", help="enlarge image files", description=_upscale.__doc__)
    parser.add_argument("input", type=Path, metavar="IN", help="image file, or folder of any depth")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="file or folder to write")
    parser.add_argument("--model", required=True, help="exported model, or nearest, bicubic, lanczos")
    parser.add_argument("--scale", type=whole(2), help="enlargement of nearest, bicubic and lanczos (default: 4)")
    parser.add_argument("--tile", type=positive, default=256, help="input pixels a side done at once (default: 256)")
    parser.add_argument("--overlap", type=count, help="context of a tile (default: what the model needs)")
    parser.set_defaults(run=_upscale)


def _upscale(arguments):
    """Enlarge PNG, JPEG, BMP and TIFF files, which keep format and bit depth; a folder is mirrored."""
    jobs = list(_jobs(arguments.input, arguments.output))
    import_tensorflow()
    import numpy as np

    from msrgan import models, upscaling
    from msrgan.io.atomic import writable_folder

    model = models.load(arguments.model, scale=arguments.scale)
    tiles = {"tile": arguments.tile, "overlap": arguments.overlap}
    # An option that does not suit the model is told once, before the first file.
    upscaling.upscale(model, np.zeros((1, 1, model.channels or 1), np.uint8), **tiles)
    with writable_folder(arguments.output if arguments.input.is_dir() else jobs[0][1].parent):
        return _upscale_files(model, jobs, tiles)


def _upscale_files(model, jobs, tiles):
    from msrgan import io, upscaling

    failed = 0
    for source, target in jobs:
        try:
            enlarged = upscaling.upscale(model, io.read(source), **tiles)
            size = io.read_pixel_size(source)
            io.write(target, enlarged, pixel_size=size and size / model.scale)
        except (ValueError, OSError) as error:
            failed += 1
            named = isinstance(error, OSError) or str(source) in str(error)
            report("msrgan", error if named else f"{source}: {error}", 1)
            continue
        print(f"{source} -> {target} ({enlarged.shape[1]}x{enlarged.shape[0]})")
    if failed and len(jobs) > 1:
        report("msrgan", f"{failed} of {len(jobs)} files could not be upscaled", 1)
    return 1 if failed else 0


def _jobs(source: Path, target: Path) -> Iterator[tuple[Path, Path]]:
    """Yields pairs of a file to read and the file to write."""
    from msrgan import io

    if not source.is_dir():
        if not source.exists():
            raise FileNotFoundError(f"{source}: no such file or folder")
        if target.is_dir() or not target.suffix:
            target = target / source.name
        if target.resolve() == source.resolve():
            raise ValueError(f"The output must not replace the input. Received: {target}")
        yield source, target
        return
    if target.resolve().is_relative_to(source.resolve()):
        raise ValueError(f"The output folder must lie outside the input folder. Received: {target}")
    if target.is_file():
        raise ValueError(f"The output of a folder is a folder. Received: {target}, a file")
    for path in io.list_images(source):
        yield path, target / path.relative_to(source)
