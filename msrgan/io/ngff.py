"""OME-Zarr images (OME-NGFF 0.4 and 0.5): folders of chunks, with a pyramid of levels."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msrgan.io import axes as axes_rules
from msrgan.io import ngff_channels, ngff_metadata
from msrgan.io.image import Channel, Image
from msrgan.io.ngff_pixels import Level, check_chunks, text_of
from msrgan.io.ngff_writing import import_zarr, write
from msrgan.io.source import UnreadableImageError
from msrgan.messages import warn

__all__ = ["is_zarr", "read", "write"]

_STORE_FILES = ("zarr.json", ".zgroup", ".zattrs", ".zarray")
_VERSIONS = ("0.4", "0.5")


def is_zarr(path: str | os.PathLike) -> bool:
    """Tell whether a path is a folder of a Zarr store."""
    return any(Path(path, name).is_file() for name in _STORE_FILES)


def read(path: str | os.PathLike, *, axes: str | None = None, level: int = 0, max_pixels: int | None = None) -> Image:
    """Open an OME-Zarr image; its pixels are read when they are asked for.

    By the Zarr rule, the pixels of a chunk that is not stored are the fill value. Writers leave chunks out on purpose,
    so an incomplete copy cannot be told from a dark image: missing chunks are warned of, and refused only where all are
    missing or where the file says that none was left out, as ours do.

    Args:
        path: the folder of the image.
        axes: letters in place of what the file says.
        level: of the pyramid, 0 being the finest.
        max_pixels: of all planes; an image that claims more is refused.

    Raises:
        FileNotFoundError: there is no such folder.
        UnreadableImageError: it is no OME-Zarr image, a plate or label maps, damaged, or too large.
        ValueError: there is no such level, `axes` do not fit, or zarr is not installed.
    """
    path, attributes = _image_group(Path(path))
    with _damage(path):
        ome = attributes.get("ome", attributes)
        multiscale = _multiscale(path, ome)
        names = [dataset["path"] for dataset in multiscale["datasets"]]
        arrays = [_array(path, name) for name in names]
        letters = ngff_metadata.axes_of(multiscale)
        ours = dict(attributes.get("msrgan", {}))
    if level not in range(len(arrays)):
        raise ValueError(f"`level` is a number from 0 to {len(arrays) - 1} in {path}. Received: {level}")
    pixels = Level(arrays[level], path / names[level])
    letters = letters if axes is None else axes_rules.check(axes)
    if len(letters) != len(pixels.shape):
        rule = "`axes` have a letter for each dimension"
        raise UnreadableImageError(f"{path}: {rule}. Received: {letters} for {tuple(pixels.shape)}")
    _check_pixels(path, pixels.shape, max_pixels)
    check_chunks(path / names[level], arrays[level], complete="chunks" in ours)
    with _damage(path):
        grid = ngff_metadata.grid_of(multiscale, level, letters, pixels.shape)
        size, step = ngff_metadata.sizes_of(grid)
        omero = ome.get("omero", {})
        channels = ngff_channels.channels_of(omero, ours)
        return Image(
            pixels,
            letters,
            pixel_size=size,
            time_step=step,
            channels=_fitting(path, channels, dict(zip(letters, pixels.shape, strict=True)).get("C", 1)),
            extra=ngff_metadata.carried_of(attributes, multiscale, omero, grid),
            source=path,
            format="ome-zarr-0.5" if "ome" in attributes else "ome-zarr-0.4",
            levels=tuple((array.shape[letters.index("Y")], array.shape[letters.index("X")]) for array in arrays),
        )


@contextlib.contextmanager
def _damage(path: Path) -> Iterator[None]:
    """Tell what metadata of another form than the specified one raise as an error of the file."""
    try:
        yield
    except UnreadableImageError:
        raise
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        reason = f"there is no {error}" if isinstance(error, KeyError) else text_of(error)
        raise UnreadableImageError(f"{path}: cannot be read as an OME-Zarr image ({reason})") from error


def _image_group(path: Path) -> tuple[Path, dict]:
    """Return the folder and the attributes of an image, which may be the only one of a converted file."""
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder")
    zarr = import_zarr()
    with _damage(path):
        # Metadata are read from the file of each group: consolidated ones may be older.
        node = zarr.open(path, mode="r", use_consolidated=False)
        if isinstance(node, zarr.Array):
            raise UnreadableImageError(f"{path}: is one level of an OME-Zarr image. Open the image: {path.parent}")
        attributes = dict(node.attrs)
        ome = attributes.get("ome", attributes)
        if ome.get("bioformats2raw.layout") != 3 or "multiscales" in ome:
            return path, attributes
        images = sorted((entry.name for entry in path.iterdir() if entry.name.isdigit()), key=int)
    if len(images) == 1:
        return _image_group(path / images[0])
    raise UnreadableImageError(f"{path}: holds {len(images)} images. Open one of them, such as {path / '0'}")


def _multiscale(path: Path, ome: Mapping) -> Mapping:
    """Return the description of the levels of an image.

    Raises:
        UnreadableImageError: the group is something else, or written by another version of the specification.
    """
    if "plate" in ome:
        wells = ome["plate"]["wells"]
        what, example = f"a plate of {len(wells)} wells. Open a field of one, such as", path / wells[0]["path"] / "0"
    elif "well" in ome:
        fields = ome["well"]["images"]
        what, example = f"a well of {len(fields)} fields. Open one of them, such as", path / fields[0]["path"]
    elif "labels" in ome or "image-label" in ome:
        image = path.absolute().parents[1 if "image-label" in ome else 0]
        what, example = "label maps, not an image. Open the image that they belong to:", image
    else:
        what, example = "", path
    if what:
        raise UnreadableImageError(f"{path}: holds {what} {example}")
    if "multiscales" not in ome:
        raise UnreadableImageError(f"{path}: is a Zarr store, not an OME-Zarr image (it has no `multiscales`)")
    multiscale = ome["multiscales"][0]
    version = str(ome.get("version") or multiscale.get("version") or "0.4")
    if version not in _VERSIONS:
        versions = " and ".join(_VERSIONS)
        raise UnreadableImageError(f"{path}: OME-Zarr {versions} are read. Received: {version}. Convert it")
    if len(ome["multiscales"]) > 1:
        warn(f"{path}: describes {len(ome['multiscales'])} images. Read: the first, as the specification says")
    return multiscale


def _array(path: Path, name: str) -> Any:
    """Return the array of a level.

    Raises:
        UnreadableImageError: it is missing.
    """
    zarr = import_zarr()
    node = zarr.open_group(path, mode="r", use_consolidated=False).get(name)
    if not isinstance(node, zarr.Array):
        raise UnreadableImageError(f"{path}: damaged OME-Zarr image (level {name} is missing)")
    return node


def _check_pixels(path: Path, shape: tuple[int, ...], max_pixels: int | None) -> None:
    pixels = math.prod(shape)
    if not pixels:
        raise UnreadableImageError(f"{path}: holds no pixels {shape}")
    if max_pixels is not None and pixels > max_pixels:
        raise UnreadableImageError(
            f"{path}: claims {pixels} pixels {shape}. At most {max_pixels} are read: `max_pixels`"
        )


def _fitting(path: Path, channels: tuple[Channel, ...], count: int) -> tuple[Channel, ...]:
    """Return the channels, or none where the file describes another number than it has."""
    if channels and len(channels) != count:
        warn(f"{path}: describes {len(channels)} channels and has {count}. Names and colours are left out")
        return ()
    return channels
