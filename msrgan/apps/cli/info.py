"""`msrgan info`: what is in image files."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from msrgan.apps.cli.arguments import add_axes, add_part, whole
from msrgan.messages import report, say

if TYPE_CHECKING:
    from pathlib import Path

    from msrgan.io.image import Channel, Image, PixelSize


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add the command to those of `msrgan`."""
    parser = commands.add_parser("info", help="tell what is in image files", description=_info.__doc__)
    parser.add_argument("input", nargs="+", metavar="IN", help="image file, folder, or pattern as 'a/**/*.tif'")
    parser.add_argument("--scale", type=whole(2), default=4, help="enlargement that is told of (default: 4)")
    parser.add_argument("--format", help="that would be written (default: as the input)")
    add_part(parser)
    add_axes(parser)
    parser.set_defaults(run=_info)


def _info(arguments: argparse.Namespace) -> int:
    """Tell the axes, sizes, dtype, pixel size, channels and levels of images, and what upscale would make of them."""
    from msrgan.io import formats, targets

    failed = False
    for path in targets.files(arguments.input):
        try:
            with formats.read(path, axes=arguments.axes, level=arguments.level, scene=arguments.scene) as image:
                say("\n".join([str(path), *(f"  {line}" for line in _lines(image, path, arguments))]))
        except (ValueError, OSError, MemoryError) as error:
            text = str(error) or "does not fit into memory"
            report("msrgan", text if str(path) in text else f"{path}: {text}", 1, arguments.options)
            failed = True
    return int(failed)


def _lines(image: Image, path: Path, arguments: argparse.Namespace) -> list[str]:
    """Describe an image, a line for each thing that is known."""
    from msrgan.io import outputs
    from msrgan.io.capacity import size_text

    lines = [f"format      {image.format}", f"pixels      {_pixels(image)}, {size_text(image.nbytes)}"]
    lines.append(f"pixel size  {_pixel_size(image.pixel_size)}")
    if image.time_step is not None:
        lines.append(f"time step   {image.time_step:g} s")
    lines += [f"channel {number:<3} {_channel(channel)}" for number, channel in enumerate(image.channels)]
    if len(image.levels) > 1:
        lines.append("levels      " + ", ".join(f"{height}x{width}" for height, width in image.levels))
    name = outputs.written_name(path.name, format=arguments.format)
    result, pyramid = outputs.enlarged(image, path.with_name(name), arguments.scale, {}, arguments.format)
    size = size_text(outputs.size(result, pyramid=pyramid))
    lines.append(f"upscale     {name}, {result.format}: {_pixels(result)}, {size}")
    if image.pixel_size.x:
        lines[-1] += f", pixel size {_pixel_size(result.pixel_size)}"
    return lines


def _pixels(image: Image) -> str:
    return f"{image.axes} {'x'.join(map(str, image.pixels.shape))} {image.dtype}"


def _pixel_size(size: PixelSize) -> str:
    known = [f"{letter} {side:g}" for letter, side in zip("yxz", size, strict=True) if side]
    return f"{', '.join(known)} µm" if known else "not known"


def _channel(channel: Channel) -> str:
    parts = [channel.name or "without name"]
    if channel.colour:
        parts.append("#{:02x}{:02x}{:02x}".format(*channel.colour))
    if channel.display:
        parts.append("shown from {:g} to {:g}".format(*channel.display))
    return ", ".join(parts)
