"""The `msrgan` command, and what all commands share: quiet logs, one-line errors, exit codes."""

from __future__ import annotations

import argparse
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from msrgan.options import count, import_tensorflow, positive, whole


def command(function: Callable[[], int | None], *, name: str = "msrgan") -> int:
    """Runs the body of a command: errors that the user can mend become one line on stderr.

    Call it before OpenCV is imported: it silences the messages that image decoders print themselves.

    Args:
        function: the body; what it returns is the exit code, None being 0.
        name: of the command, for the message.

    Returns:
        The exit code: 2 for ValueError and OSError (a wrong argument or file), 1 for FloatingPointError (a
        training that diverged), 130 after Ctrl-C. Other exceptions are bugs and pass.
    """
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    try:
        return function() or 0
    except KeyboardInterrupt:
        return 130
    except FloatingPointError as error:
        return _report(name, error, 1)
    except (ValueError, OSError) as error:
        return _report(name, error, 2)
    except Exception as error:
        if type(error).__name__ == "DataLossError":  # TensorFlow's: a checksum in a TFRecord is wrong
            return _report(name, f"a prepared copy is damaged, delete it and prepare it again: {error}", 2)
        # tf.data wraps the errors of Python functions in its own, with their text inside a traceback's.
        named = r"(?:Value|UnreadableImage|OS|FileNotFound|Permission)Error"
        found = re.search(f"{named}: (.*)", str(error))
        if not type(error).__module__.startswith("tensorflow") or not found:
            raise
        return _report(name, found.group(1), 2)


def warn(message: str, *, name: str = "msrgan") -> None:
    """Prints a one-line warning on stderr."""
    print(f"{name}: warning: {message}", file=sys.stderr)


def _report(name, error, code):
    if isinstance(error, OSError) and error.strerror:
        error = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    print(f"{name}: error: {' '.join(str(error).split())}", file=sys.stderr)
    return code


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

    evaluate = commands.add_parser("evaluate", help="score a model", description=_evaluate.__doc__)
    evaluate.add_argument("--model", required=True, help="exported model, or nearest, bicubic, lanczos")
    evaluate.add_argument("--data", required=True, help="folder of images, or of lr/ and hr/, or registered data set")
    evaluate.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    evaluate.add_argument("--degradation", help="HR to LR: thesis, gaussian:sigma=1, ... (default: the model's)")
    evaluate.add_argument("--scale", type=whole(2), help="enlargement of nearest, bicubic and lanczos (default: 4)")
    evaluate.add_argument("--split", help="train, validation, test, all (default: all of a folder, else test)")
    evaluate.add_argument("--limit", type=positive, metavar="N", help="use the first N images only")
    evaluate.add_argument("--manual-dir", help="raw files of a registered data set")
    evaluate.add_argument("--data-dir", help="where its prepared copy lives")
    evaluate.set_defaults(run=_evaluate)

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
            _report("msrgan", error if named else f"{source}: {error}", 1)
            continue
        print(f"{source} -> {target} ({enlarged.shape[1]}x{enlarged.shape[0]})")
    if failed and len(jobs) > 1:
        _report("msrgan", f"{failed} of {len(jobs)} files could not be upscaled", 1)
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


def _evaluate(arguments):
    """Score a model by MSE, PSNR and SSIM against interpolation: images are degraded and enlarged again."""
    import_tensorflow()
    from msrgan import datasets, evaluation, inference

    model = inference.load(arguments.model, scale=arguments.scale)
    split = arguments.split or ("test" if datasets.is_registered(arguments.data) else "all")
    dirs = {"manual_dir": arguments.manual_dir, "data_dir": arguments.data_dir}
    data = datasets.load(arguments.data, split, **dirs)
    examples = (e | {"id": e["id"].decode()} for e in islice(data.as_numpy_iterator(), arguments.limit))
    summary = evaluation.evaluate(model, examples, out=arguments.out, degradation=arguments.degradation)
    _print_summary(summary, arguments.out)


def _print_summary(summary, out):
    from msrgan.survey import displaced

    titles = {"mse": "MSE", "psnr": "PSNR dB", "ssim": "SSIM"}
    titles |= {f"{metric}_mask": f"{title} in mask" for metric, title in titles.items()}
    columns = {title: summary[metric] for metric, title in titles.items() if metric in summary}
    print(f"{summary['images']} images, degradation {summary['degradation']}")
    print(f"{'':9}" + "".join(f"{title:>16}" for title in columns))
    for method in summary["psnr"]:
        means = [column[method]["mean"] for column in columns.values()]
        print(f"{method:9}" + "".join(f"{'' if mean is None else f'{mean:.5g}':>16}" for mean in means))
    seconds = summary["seconds"]["model"]["median"]
    print(
        f"better than bicubic: {summary['better_than_bicubic']:.0%} of the images; {seconds:.2g} s an image; see {out}"
    )
    for name, shift in summary["displaced"].items():
        warn(displaced(name, shift))
    for name, reason in summary["skipped"].items():
        warn(f"skipped {name}: {reason}")
    if summary["skipped"]:
        warn(f"{len(summary['skipped'])} images were skipped")
    seen = summary["seen_in_training"]
    if seen:
        warn(f"{len(seen)} images were in the model's training set: {', '.join(seen)}")


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
