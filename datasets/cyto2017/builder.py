"""CYTO 2017 image-analysis challenge: Human Protein Atlas fields in 13 localisation classes."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import tensorflow_datasets as tfds

from msrgan import intensity, io
from msrgan.datasets import atlas
from msrgan.datasets.beam import Example
from msrgan.datasets.builder import Builder
from msrgan.datasets.listing import list_files
from msrgan.datasets.localisation import LOCALISATIONS, class_of
from msrgan.datasets.records import Record
from msrgan.datasets.splits import named_by
from msrgan.datasets.tally import Tally
from msrgan.messages import few

SIZE = 96
RAW = atlas.Layout(
    colours=atlas.COLOURS[:3],
    suffixes=(".tif", ".tif.gz"),
    columns=("id", "label"),
    classes=partial(atlas.class_index, classes=LOCALISATIONS),
    id_of=lambda field: field.split("_")[0],  # of `<id>_<well>_<field>`; a table may give all of it, too
)


class Cyto2017(Builder):
    """The data of the mSRGAN thesis, from either of its two layouts."""

    HOMEPAGE = "https://www.proteinatlas.org"
    LICENCE = f"{atlas.LICENCE}; challenge data: the terms of the challenge."
    VERSION = tfds.core.Version("2.0.0")
    RELEASE_NOTES = {
        "1.0.0": "First release.",
        "2.0.0": "Validation is 15 % of the whole, as test is, and no longer of what test left.",
    }
    BUILDER_CONFIGS = list(atlas.DEPTHS)
    NEEDS = ("readable images", "At least one class needs three ids.")

    def features(self) -> dict[str, Any]:
        """Return what an example has besides its id and its group."""
        return {
            "image": tfds.features.Image(shape=(SIZE, SIZE, 3), dtype=self.builder_config.dtype),
            "label": tfds.features.ClassLabel(names=LOCALISATIONS),
        }

    def records(self, folder: Path, tally: Tally) -> list[Record]:
        """List the prepared images, if there is one, or else the fields of the raw channels."""
        pictures = list_files(folder, (".png",), skip=tally.skip)
        if any(class_of(path) is not None for path in pictures):
            return _prepared(pictures, folder, tally)
        tables = list_files(folder, (".csv",), skip=tally.skip)
        if len(tables) != 1:
            others = f", but {few([path.name for path in pictures])}" if pictures else ""
            raise FileNotFoundError(
                f"{folder} must hold CC_ID.png files, CC from 00 to 12, or raw channels and one CSV of id,label. "
                f"Received: {len(tables)} CSV files and no CC_ID.png{others}. See `msrgan datasets cyto2017`."
            )
        return atlas.list_fields(folder, tables[0], RAW, tally)

    def reader(self) -> Callable[[Record], Iterator[Example]]:
        """Return the function that reads a prepared image, or merges and resizes raw channels."""
        return read


def read(record: Record) -> Iterator[Example]:
    """Read an image as (96, 96, 3) of the bit depth of its files.

    Raises:
        ValueError: naming the file, if it cannot be read, or if channels do not fit each other.
    """
    packed = len(record.paths) == 1
    image = intensity.to_channels(io.read_pixels(record.paths[0]), 3) if packed else atlas.merge(record.paths)
    if image.shape[:2] != (SIZE, SIZE):
        # OpenCV computes in the image's own type: rounded and saturated, never wrapped.
        image = cv2.resize(image, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
    yield record.id, {"id": record.id, "image": image, "label": record.label, "group": record.group}


def _prepared(pictures, folder, tally):
    """List the prepared images, and count them with all other PNG files."""
    records = {}
    for path in pictures:
        label = class_of(path)
        if label is None:
            tally.skip(f"{path}: a prepared image is named CC_ID.png, CC its class from 00 to 12")
        elif path.stem in records:
            tally.skip(f"{path}: has the name of {records[path.stem].paths[0]}")
        else:
            group = path.stem.split("_")[1]
            records[path.stem] = Record(path.stem, group, (path,), label, named_by(path, folder))
    tally.total = len(pictures)
    return list(records.values())
