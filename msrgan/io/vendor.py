"""Files of microscope makers: Zeiss CZI, Nikon ND2 and Leica LIF, through the readers of bioio.

The reader is chosen by the suffix: bioio's own choice tries its readers one after the other and prints what fails.
"""

from __future__ import annotations

import importlib
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msrgan.io import axes as axes_rules
from msrgan.io import vendor_metadata as metadata
from msrgan.io.image import Image
from msrgan.io.source import UnreadableImageError
from msrgan.io.vendor_pixels import Maker, Mosaic, Planes, damage, quiet
from msrgan.messages import few

_MAKERS = {
    ".czi": Maker("bioio_czi", "get_image_data", {}, stitches=True, is_bgr=True),
    ".nd2": Maker("bioio_nd2", "get_image_data", {}),
    ".lif": Maker("bioio_lif", "get_image_dask_data", {"chunk_dims": ["Y", "X"]}),
}
SUFFIXES = tuple(_MAKERS)


def read(
    path: str | os.PathLike,
    *,
    axes: str | None = None,
    level: int = 0,
    max_pixels: int | None = None,
    scene: str | int | None = None,
) -> Image:
    """Open a CZI, ND2 or LIF file; its pixels are read when they are asked for, plane by plane.

    Args:
        path: the file.
        axes: letters in place of what the file says.
        level: 0, the only one.
        max_pixels: of all planes; an image that claims more is refused.
        scene: the name or the number of an image (scene, position, series) of the file; not needed if there is one.

    Raises:
        FileNotFoundError: there is no such file.
        UnreadableImageError: it is damaged, has several scenes and `scene` names none, or is too large.
        ValueError: there is no such level or scene, the suffix is none of these, or bioio is not installed.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    if level:
        raise ValueError(f"`level` of {path} is 0, it has no other. Received: {level}")
    if path.suffix.lower() not in _MAKERS:
        raise ValueError(f"The suffix is one of {', '.join(SUFFIXES)}. Received: {path}")
    told = None if axes is None else axes_rules.check(axes)
    maker = _MAKERS[path.suffix.lower()]
    reader_class = _reader_class(maker)
    with damage(path):
        reader = reader_class(str(path), **maker.options)
        names = tuple(map(str, reader.scenes))
        _check_scenes(path, names)
    number = _scene_number(path, names, scene)
    with damage(path):
        reader.set_scene(number)
        sizes = dict(zip(reader.dims.order, reader.dims.shape, strict=True))
        if maker.stitches and sizes.get("M", 1) > 1:
            pixels = Mosaic(reader.mosaic_xarray_dask_data, path)
        else:
            pixels = Planes(reader, maker, sizes, path)
        return _image(reader, pixels, told or pixels.axes, path, max_pixels)


def _reader_class(maker: Maker) -> type:
    """Return the reader for the files of a maker.

    Raises:
        ValueError: it is not installed.
    """
    try:
        with quiet():
            return importlib.import_module(maker.package).Reader
    except ImportError:
        name = maker.package.replace("_", "-")
        raise ValueError(f"Such files need the package {name}. Install it: pip install 'msrgan[bio]'") from None


def _check_scenes(path: Path, names: Sequence[str]) -> None:
    """Look for scenes of a CZI file that bioio does not list: those that its metadata do not name.

    Raises:
        UnreadableImageError: there are some.
    """
    if path.suffix.lower() == ".czi":
        from aicspylibczi import CziFile

        ranges = [shape.get("S", (0, 1)) for shape in CziFile(str(path)).get_dims_shape()]
        count = sum(stop - start for start, stop in ranges)
        if count > len(names):
            raise UnreadableImageError(f"{path}: holds {count} scenes and names {len(names)}. Save each as a file")


def _scene_number(path: Path, names: Sequence[str], scene: str | int | None) -> int:
    """Return the number of a scene.

    Raises:
        UnreadableImageError: none is named and there are several.
        ValueError: there is no such scene.
    """
    if scene is None and len(names) == 1:
        return 0
    listed = few([f"{number} {name!r}" for number, name in enumerate(names)], 20)
    if scene is None:
        raise UnreadableImageError(f"{path}: holds {len(names)} scenes. Name one by `scene`: {listed}")
    if scene in names:
        return names.index(scene)
    if str(scene).isdecimal() and int(scene) < len(names):
        return int(scene)
    raise ValueError(f"`scene` is one of {listed} in {path}. Received: {scene!r}")


def _image(reader: Any, pixels: Any, axes: str, path: Path, max_pixels: int | None) -> Image:
    """Return an image with what a reader tells of its current scene.

    Raises:
        UnreadableImageError: the axes do not fit, or it has more than `max_pixels`.
    """
    if len(axes) != len(pixels.shape):
        rule = "`axes` have a letter for each dimension"
        raise UnreadableImageError(f"{path}: {rule}. Received: {axes} for {tuple(pixels.shape)}")
    count = math.prod(pixels.shape)
    if not count:
        raise UnreadableImageError(f"{path}: holds no pixels {tuple(pixels.shape)}")
    if max_pixels is not None and count > max_pixels:
        raise UnreadableImageError(f"{path}: claims {count} pixels. At most {max_pixels} are read: `max_pixels`")
    sizes = dict(zip(axes, pixels.shape, strict=True))
    return Image(
        pixels,
        axes,
        pixel_size=metadata.pixel_size_of(reader, path),
        time_step=metadata.time_step_of(reader, path) if "T" in axes else None,
        channels=() if "S" in axes else metadata.channels_of(reader, path, sizes.get("C", 1), pixels.dtype),
        extra={"vendor": metadata.facts_of(reader)},
        source=path,
        format=path.suffix.lower()[1:],
    )
