"""Find out what each format keeps: write an image of which everything is known, read it back, compare.

python docs/formats.py    # prints the tables of formats.md
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

import msrgan
from msrgan.io.image import Channel, Image, PixelSize
from msrgan.io.outputs import SUFFIXES, WRITTEN

DTYPES = ("uint8", "uint16", "int16", "uint32", "float16", "float32", "float64")
TRAITS = ("T, C, Z", "RGB", "pixel size", "Z spacing", "time step", "channel names", "colours", "display ranges")
_LUT = np.stack([np.arange(256), np.zeros(256), np.arange(256)[::-1]]).astype(np.uint8)


def stack(dtype: str = "uint16", *, lut: bool = False) -> Image:
    """Make a stack of which everything is known."""
    pixels = np.arange(2 * 3 * 2 * 8 * 9).reshape(2, 3, 2, 8, 9).astype(dtype)
    channels = (
        Channel("DAPI", None if lut else (0, 0, 255), _LUT if lut else None, (1.0, 200.0)),
        Channel("GFP", None if lut else (0, 255, 0), _LUT[:, ::-1] if lut else None, (2.0, 100.0)),
    )
    return Image(pixels, "TZCYX", pixel_size=PixelSize(0.2, 0.2, 0.5), time_step=1.5, channels=channels)


def plane(dtype: str = "uint16", *, rgb: bool = False) -> Image:
    """Make a single plane, as much as every format may hold."""
    shape = (8, 9, 3) if rgb else (8, 9)
    return Image(np.arange(np.prod(shape)).reshape(shape).astype(dtype), "YXS" if rgb else "YX",
                 pixel_size=PixelSize(0.2, 0.2))  # fmt: skip


def back(image: Image, format: str) -> Image | None:
    """Write an image and read it into memory; None where the format refuses it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{SUFFIXES[format][0]}"
        try:
            msrgan.write(path, image, format=format)
        except ValueError:
            return None
        # An array in a .npy file has no axes: they are told again.
        told = image.axes.replace("S", "C") if format == "npy" else None
        with msrgan.read(path, axes=told) as read:
            key = (slice(None),) * len(read.axes)
            return replace(read, pixels=np.array(read.pixels[key]))


def kept(format: str) -> dict[str, bool]:
    """Tell which traits of an image come back from a file."""
    source = stack()
    read, flat, rgb = back(source, format), back(plane(), format), back(plane("uint8", rgb=True), format)
    flat = flat or back(plane("uint8"), format)
    traits = {"T, C, Z": read is not None and np.array_equal(_ordered(read), source.pixels)}
    traits["RGB"] = rgb is not None and rgb.is_rgb
    traits["pixel size"] = np.allclose([side or 0 for side in flat.pixel_size[:2]], 0.2)
    traits["Z spacing"] = read is not None and read.pixel_size.z == 0.5
    traits["time step"] = read is not None and read.time_step == 1.5
    channels = read.channels if read is not None else ()
    coloured = back(stack(lut=format == "imagej"), format)
    traits["channel names"] = [channel.name for channel in channels] == ["DAPI", "GFP"]
    traits["colours"] = coloured is not None and _same_colours(coloured, stack(lut=format == "imagej"))
    traits["display ranges"] = [channel.display for channel in channels] == [(1.0, 200.0), (2.0, 100.0)]
    return traits


def _ordered(image: Image) -> np.ndarray | None:
    """Return the pixels in the order TZC."""
    if set(image.stack) != set("TZC"):
        return None
    image = image.transposed("TZC")
    return np.stack([image.read(index) for index in image.indices()]).reshape(2, 3, 2, 8, 9)


def _same_colours(image: Image, source: Image) -> bool:
    pairs = list(zip(image.channels, source.channels, strict=False))
    same = [a.colour == b.colour if b.lut is None else np.array_equal(a.lut, b.lut) for a, b in pairs]
    return len(same) == 2 and all(same)


def dtypes(format: str) -> list[str]:
    """Tell which dtypes come back, pixels and all."""
    read = {dtype: back(plane(dtype), format) for dtype in DTYPES}
    exact = format != "jpeg"

    def same(dtype: str) -> bool:
        image = read[dtype]
        pixels = None if image is None else image.pixels.reshape(8, 9)
        return (
            pixels is not None and image.dtype == dtype and (not exact or np.array_equal(pixels, plane(dtype).pixels))
        )

    return [dtype for dtype in DTYPES if same(dtype)]


def table() -> str:
    """Make the table of formats.md."""
    lines = [f"| format | {' | '.join(TRAITS)} | dtypes |", "|---" * (len(TRAITS) + 2) + "|"]
    for format in WRITTEN:
        marks = " | ".join("yes" if kept_ else "" for kept_ in kept(format).values())
        lines.append(f"| {format} | {marks} | {' '.join(dtypes(format))} |")
    return "\n".join(line.replace("|  |", "| |").replace("|  |", "| |") for line in lines)


if __name__ == "__main__":
    print(table())
