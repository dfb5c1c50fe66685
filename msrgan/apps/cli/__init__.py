"""The `msrgan` command."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from msrgan import scoring
from msrgan.messages import command, report
from msrgan.options import count, import_tensorflow, positive, whole


def main(argv: list[str] | None = None) -> int:
    """Runs the `msrgan` command; returns its exit code."""
    arguments = _parser().parse_args(argv)
    return command(lambda: arguments.run(arguments))


def _parser():
    parser = argparse.ArgumentParser(prog="msrgan", description="Super-resolution of microscopy images.")
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    upscale = commands.add_parser("upscale", help="enlarge image files", description=_upscale.__doc__)
    upscale.add_argument("input", type=Path, metavar="IN", help="image file, or folder of any depth")
    upscale.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="file or folder to write")
    upscale.add_argument("--model", required=True, help="exported model, or nearest, bicubic, lanczos")
    upscale.add_argument("--scale", type=whole(2), help="enlargement of nearest, bicubic and lanczos (default: 4)")
    upscale.add_argument("--tile", type=positive, default=256, help="input pixels a side done at once (default: 256)")
    upscale.add_argument("--overlap", type=count, help="context of a tile (default: what the model needs)")
    upscale.set_defaults(run=_upscale)

    scoring.add_commands(commands)

    catalog = commands.add_parser("datasets", help="list the image sets", description=_datasets.__doc__)
    catalog.add_argument("name", nargs="?", metavar="NAME", help="tell all about this set (default: list all)")
    catalog.add_argument("--prepare", action="store_true", help="prepare NAME, NAME/CONFIG or NAME:OPTION=VALUE,...")
    catalog.add_argument("--manual-dir", help="raw files of the set to prepare")
    catalog.add_argument("--data-dir", help="where prepared copies live (default: ~/tensorflow_datasets)")
    catalog.set_defaults(run=_datasets)
    return parser


class _Version(argparse.Action):
    def __call__(self, parser, *_):
        import msrgan

        print(f"msrgan {msrgan.__version__}")
        parser.exit()


def _upscale(arguments):
    """Enlarge PNG, JPEG, BMP and TIFF files, which keep format and bit depth; a folder is mirrored."""
    jobs = list(_jobs(arguments.input, arguments.output))
    import_tensorflow()
    import numpy as np

    from msrgan import inference
    from msrgan.files import writable_folder

    model = inference.load(arguments.model, scale=arguments.scale)
    tiles = {"tile": arguments.tile, "overlap": arguments.overlap}
    # An option that does not suit the model is told once, before the first file.
    inference.upscale(model, np.zeros((1, 1, model.channels or 1), np.uint8), **tiles)
    with writable_folder(arguments.output if arguments.input.is_dir() else jobs[0][1].parent):
        return _upscale_files(model, jobs, tiles)


def _upscale_files(model, jobs, tiles):
    from msrgan import images, inference

    failed = 0
    for source, target in jobs:
        try:
            enlarged = inference.upscale(model, images.read(source), **tiles)
            size = images.read_pixel_size(source)
            images.write(target, enlarged, pixel_size=size and size / model.scale)
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
    from msrgan import images

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
    for path in images.list_images(source):
        yield path, target / path.relative_to(source)


def _datasets(arguments):
    """List the image sets: where they come from, licence, citation, whether they are prepared."""
    import_tensorflow()
    from msrgan import datasets
    from msrgan.datasets import catalog

    if not arguments.name:
        if arguments.prepare:
            raise ValueError("--prepare needs the NAME of a set. `msrgan datasets` lists them.")
        print(catalog.overview(arguments.data_dir))
        return
    catalog.name_of(arguments.name)
    if arguments.prepare:
        datasets.load(arguments.name, "train", manual_dir=arguments.manual_dir, data_dir=arguments.data_dir)
    print(catalog.details(arguments.name, arguments.data_dir))
