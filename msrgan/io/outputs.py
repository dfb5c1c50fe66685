"""What images are written as: which format and name the file of an enlarged image has, and how large it gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from msrgan.io import encode
from msrgan.io.image import Image
from msrgan.io.tiff import imagej, writing

SUFFIXES = {
    "png": (".png",),
    "jpeg": (".jpg", ".jpeg"),
    "bmp": (".bmp",),
    "webp": (".webp",),
    "gif": (".gif",),
    "npy": (".npy",),
    "tiff": (".tif", ".tiff", ".btf", ".tf8"),
    "ome-tiff": (".ome.tif", ".ome.tiff", ".ome.btf", ".ome.tf8", ".tif", ".tiff", ".btf", ".tf8"),
    "imagej": (".tif", ".tiff"),
    "ome-zarr-0.4": (".ome.zarr", ".zarr"),
    "ome-zarr-0.5": (".ome.zarr", ".zarr"),
    "czi": (".czi",),
    "nd2": (".nd2",),
    "lif": (".lif",),
}
FORMATS = tuple(SUFFIXES)
WRITTEN = ("png", "jpeg", "npy", "tiff", "ome-tiff", "imagej", "ome-zarr-0.4", "ome-zarr-0.5")
# A GIF is read when it is named: of an animation only the first frame is.
LISTED = tuple(sorted({"." + text.rpartition(".")[2] for name in FORMATS if name != "gif" for text in SUFFIXES[name]}))

_INSTEAD = {"bmp": "png", "webp": "png", "gif": "png", "czi": "ome-tiff", "nd2": "ome-tiff", "lif": "ome-tiff"}
_IMAGEJ_BYTES = 2**32 - 2**16
_JPEG_SIDE = 65500
_HEADER = 4096


def is_compressed(format: str) -> bool:
    """Tell whether the files of a format are compressed in their own way, which cannot be chosen."""
    return format in ("png", "jpeg")


def written_format(path: Path, image: Image, format: str | None = None, *, compression: str | None = None) -> str:
    """Return the format that an image is written in.

    Args:
        path: its file; the suffix tells, and where it is one of several formats, so does the image's.
        image: what is written. A plain TIFF becomes an OME-TIFF where it needs more: stacks, and what is known of
            channels. So does a hyperstack of ImageJ that is too large for one, has another dtype, or is compressed.
        format: where it is chosen.
        compression: that was chosen; ImageJ has none.

    Raises:
        ValueError: `format` or the suffix is of no format that is written, or they do not fit.
    """
    suffix = suffix_of(path)
    possible = [name for name in WRITTEN if suffix in SUFFIXES[name]]
    if format is not None:
        if format not in WRITTEN:
            raise ValueError(f"`format` is one of {', '.join(WRITTEN)}. Received: {format}")
        if format not in possible:
            raise ValueError(f"Files of the `format` {format} end with {SUFFIXES[format][0]}. Received: {path}")
        return format
    own = _INSTEAD.get(image.format, image.format)
    match possible:
        case []:
            raise ValueError(f"Images are written as {' '.join(_written_suffixes())}. Received: {path}")
        case [single]:
            return single
        case ["ome-zarr-0.4", "ome-zarr-0.5"]:
            return own if own in possible else "ome-zarr-0.4"
    if own == "imagej" and own in possible and not compression and _fits_imagej(image):
        return own
    return "tiff" if own not in ("ome-tiff", "imagej") and _is_plain(image) else "ome-tiff"


def written_name(name: str, *, suffix: str = "", format: str | None = None) -> str:
    """Return the name of the file that the enlargement of a file is written to.

    Args:
        name: of the input.
        suffix: text that is put before the suffix of the file, such as "_x4".
        format: where one is chosen.

    Raises:
        ValueError: `format` is none that is written.
    """
    if format is not None and format not in WRITTEN:
        raise ValueError(f"`format` is one of {', '.join(WRITTEN)}. Received: {format}")
    ending = suffix_of(Path(name))
    own = name[len(name) - len(ending) :]
    if format is not None:
        fitting = ending in SUFFIXES[format]
    else:
        fitting = ending in _written_suffixes()
        format = next((_INSTEAD[read] for read in _INSTEAD if ending in SUFFIXES[read]), "ome-tiff")
    return f"{name.removesuffix(own)}{suffix}{own if fitting else SUFFIXES[format][0]}"


def suffix_of(path: Path) -> str:
    """Return the suffix of a file in small letters, with the ".ome" before it."""
    suffixes = [suffix.lower() for suffix in path.suffixes[-2:]]
    return "".join(suffixes if suffixes[:1] == [".ome"] else suffixes[-1:])


def enlarged(
    image: Image,
    path: Path,
    scale: int,
    provenance: Mapping[str, str],
    format: str | None = None,
    *,
    compression: str | None = None,
) -> tuple[Image, bool]:
    """Return what the file of an enlarged image says, its format among it, and whether it has a pyramid, as the input.

    Raises:
        ValueError: no format holds it, see `written_format`, or that format does not.
    """
    result = image.enlarged(scale, provenance=provenance)
    result = replace(result, format=written_format(path, result, format, compression=compression))
    if result.format == "jpeg" and max(result.sizes["Y"], result.sizes["X"]) > _JPEG_SIDE:
        sides = f"{result.sizes['X']}x{result.sizes['Y']}"
        raise ValueError(
            f"A JPEG has {_JPEG_SIDE} pixels a side at most. Received: {sides}. Choose the `format` ome-tiff"
        )
    if result.format in writing.FORMATS:
        writing.check(result, result.format, compression)
    elif result.format in encode.FORMATS:
        encode.check(result, result.format)
    return result, result.format.startswith("ome-zarr") or (result.format == "ome-tiff" and len(image.levels) > 1)


def size(image: Image, *, pyramid: bool = False) -> int:
    """Return the bytes of the file of an image, at most: compressed ones are smaller."""
    height, width = image.sizes["Y"], image.sizes["X"]
    pixels = height * width
    if image.format.startswith("ome-") and max(height, width) > writing.TILE:  # the last tiles are stored whole
        pixels = -(-height // writing.TILE) * -(-width // writing.TILE) * writing.TILE**2
    levels = 4 / 3 if pyramid else 1
    return _HEADER + int(image.nbytes // (height * width) * pixels * levels)


def _written_suffixes() -> list[str]:
    return sorted({suffix for name in WRITTEN for suffix in SUFFIXES[name]})


def _is_plain(image: Image) -> bool:
    """Tell whether a TIFF without words holds all that is known of an image."""
    return not image.stack and not any(value is not None for channel in image.channels for value in channel)


def _fits_imagej(image: Image) -> bool:
    try:
        imagej.check(image)
    except ValueError:
        return False
    return image.nbytes <= _IMAGEJ_BYTES
