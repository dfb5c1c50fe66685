"""Image files of all formats: `read` and `write`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from msrgan.io import capacity, encode, integrity, npy, raster, tiff
from msrgan.io.image import Band, Image
from msrgan.io.outputs import FORMATS, SUFFIXES, suffix_of, written_format
from msrgan.io.source import UnreadableImageError

__all__ = ["FORMATS", "format_of", "read", "write"]

_MAGIC = {
    **dict.fromkeys(tiff.MAGIC, "tiff"),
    **dict.fromkeys((integrity.PNG, integrity.JPEG, integrity.BMP, integrity.WEBP, integrity.GIF), "raster"),
    npy.MAGIC: "npy",
    b"ZISRAWFILE": "czi",
    b"\xda\xce\xbe\n": "nd2",
    b"p\0\0\0": "lif",
}
_VENDOR = ("czi", "nd2", "lif")
_ZARR = (".zattrs", ".zgroup", "zarr.json")


def read(
    path: str | os.PathLike,
    *,
    axes: str | None = None,
    level: int = 0,
    max_pixels: int | None = None,
    scene: str | None = None,
) -> Image:
    """Open an image file of any format that is known: by what is in it, then by its suffix.

    The pixels of TIFF, OME-Zarr, CZI, ND2 and LIF files stay in the file until they are asked for: close the image, or
    use it as a context. OME-Zarr needs `pip install 'msrgan[zarr]'`, CZI, ND2 and LIF need 'msrgan[bio]'.

    Args:
        path: the file, or the folder of an OME-Zarr.
        axes: what its dimensions are, in place of what it says itself, as "ZYX"; a file with pages that does not
            tell what they are must be told.
        level: of a pyramid, 0 the finest.
        max_pixels: the most that are believed; by default what the memory holds, where all must be read at once.
        scene: the name or the number, 0 the first, of one of several images in a CZI, ND2 or LIF file.

    Raises:
        FileNotFoundError: there is nothing.
        ValueError: an argument does not fit, or the packages of this format are not installed.
        UnreadableImageError: it is no image, is damaged or truncated, or has more than `max_pixels`.

    Example:
        >>> import msrgan, numpy as np
        >>> msrgan.write("cells.tif", msrgan.Image(np.zeros((20, 30), np.uint16), "YX"))
        >>> with msrgan.read("cells.tif") as image:
        ...     image
        <Image: YX 20x30, uint16>
    """
    path = Path(path)
    options = {"axes": axes, "level": level, "max_pixels": max_pixels}
    kind = format_of(path)
    if scene is not None and kind not in _VENDOR:
        raise ValueError(f"`scene` is one of a CZI, ND2 or LIF file. Received: {scene} for {path}. Leave it out")
    match kind:
        case "tiff":
            return tiff.read(path, **options)
        case "npy":
            return npy.read(path, **options)
        case "ome-zarr":
            from msrgan.io import ngff

            return ngff.read(path, **options)
        case "czi" | "nd2" | "lif":
            from msrgan.io import vendor

            return vendor.read(path, **options, scene=scene)
    return raster.read(path, **options | {"max_pixels": max_pixels or capacity.most_pixels()})


def format_of(path: Path) -> str:
    """Tell what reads a file: "tiff", "npy", "ome-zarr", "czi", "nd2", "lif", or "raster" for the rest.

    Raises:
        FileNotFoundError: there is nothing.
        UnreadableImageError: it is a folder, and no OME-Zarr.
    """
    if path.is_dir():
        if suffix_of(path).endswith(".zarr") or any((path / name).is_file() for name in _ZARR):
            return "ome-zarr"
        raise UnreadableImageError(f"{path}: a folder that is no OME-Zarr, which has one of {', '.join(_ZARR)}")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such image file")
    with open(path, "rb") as file:
        head = file.read(16)
    for magic, name in _MAGIC.items():
        if head.startswith(magic):
            return name
    by_name = next((name for name in _VENDOR if suffix_of(path) in SUFFIXES[name]), "raster")
    return "tiff" if not head and suffix_of(path) in SUFFIXES["ome-tiff"] else by_name


def write(
    path: str | os.PathLike,
    image: Image,
    *,
    bands: Iterator[Band] | None = None,
    format: str | None = None,
    compression: str | None = None,
    pyramid: bool = False,
) -> None:
    """Write an image, whole or not at all, and what is known of it as far as the format holds it.

    Args:
        path: the file, or the folder of an OME-Zarr; what is there is replaced.
        image: the image.
        bands: its pixels, in the order of `image.indices()` and from top to bottom; by default those it has.
        format: one of `outputs.WRITTEN`; by default what the suffix says, and among several what the image came from.
        compression: of TIFF and OME-Zarr, such as "zlib", "lzw" or "zstd"; none by default.
        pyramid: whether an OME-TIFF has smaller levels too; an OME-Zarr always has.

    Raises:
        ValueError: the format cannot hold the image, or is none.

    Example:
        >>> import msrgan, numpy as np
        >>> from msrgan.io.image import PixelSize
        >>> cells = msrgan.Image(np.zeros((2, 20, 30), np.uint16), "CYX", pixel_size=PixelSize(0.1, 0.1))
        >>> msrgan.write("cells.ome.tif", cells)
        >>> with msrgan.read("cells.ome.tif") as image:
        ...     image.format, image.pixel_size.x
        ('ome-tiff', 0.1)
    """
    path = Path(path)
    format = written_format(path, image, format, compression=compression)
    bands = image.bands() if bands is None else bands
    if compression and format in encode.FORMATS:
        raise ValueError(f"`compression` is of TIFF and OME-Zarr. Received: {compression} for {path}")
    if format.startswith("ome-zarr"):
        from msrgan.io import ngff

        ngff.write(path, image, bands, format=format, compression=compression)
    elif format in tiff.FORMATS:
        tiff.write(path, image, bands, format=format, compression=compression, pyramid=pyramid)
    else:
        encode.write(path, image, bands, format=format)
