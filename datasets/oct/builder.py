"""Retinal OCT (Kermany et al. 2018, OCT2017): B-scans in four classes, split by patient."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from msrgan import io
from msrgan.datasets.beam import Example
from msrgan.datasets.builder import Builder
from msrgan.datasets.listing import list_images
from msrgan.datasets.records import Record
from msrgan.datasets.splits import FOLDERS, SPLITS
from msrgan.datasets.tally import Tally

CLASSES = ("CNV", "DME", "DRUSEN", "NORMAL")
_NAME = re.compile(r"([A-Za-z]+)-([^-]+)-[^-]+")


class Oct(Builder):
    """Retinal OCT B-scans, grey, 8 bits, in their stored sizes: normal, CNV, DME, drusen.

    The group of a scan is the number of its patient, whatever the class.
    """

    HOMEPAGE = "https://doi.org/10.17632/rscbjbr9sj"
    LICENCE = "CC BY 4.0, as the Mendeley Data record is commonly cited; see there."
    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = [
        tfds.core.BuilderConfig(name="patient", description="70 % train, 15 % validation, 15 % test, by patient."),
        tfds.core.BuilderConfig(name="published", description="The published folders, without patients of two."),
    ]
    NEEDS = ("readable scans", "At least one class needs three patients.")

    def features(self) -> dict[str, Any]:
        """Return what an example has besides its id and its group."""
        return {
            # PNG, not the file's own JPEG: TensorFlow decodes that to values up to 3 levels apart from others.
            "image": tfds.features.Image(shape=(None, None, 1), dtype=np.uint8, encoding_format="png"),
            "label": tfds.features.ClassLabel(names=CLASSES),
        }

    def records(self, folder: Path, tally: Tally) -> list[Record]:
        """List the scans, each name once; test before validation before train, where a scan lies in two of them."""
        scans, twice = {}, []
        for path in list_images(folder, skip=tally.skip):
            try:
                scan = _scan(path, folder)
            except ValueError as error:
                tally.skip(error)
                continue
            earlier = scans.setdefault(scan.id, scan)
            if earlier is not scan:
                twice.append(path)
                scans[scan.id] = max(earlier, scan, key=_precedence)
        if not scans:
            raise ValueError(
                f"{folder} must hold scans CLASS-PATIENT-NUMBER.jpeg, CLASS one of {', '.join(CLASSES)}, at any depth. "
                f"Received: {tally.skipped} images of other names. See `msrgan datasets oct`.{tally.why()}"
            )
        if twice:
            tally.skip(f"{len(twice)} scans whose name occurs twice, for example {twice[0]}", count=len(twice))
        if self.builder_config.name == "published":
            return _published(folder, list(scans.values()), tally)
        return [scan._replace(split=None) for scan in scans.values()]

    def reader(self) -> Callable[[Record], Iterator[Example]]:
        """Return the function that reads a scan."""
        return read


def read(record: Record) -> Iterator[Example]:
    """Read a scan, uint8 (H, W, 1); a ValueError naming the file if it is none."""
    (path,) = record.paths
    image = io.read_pixels(path)
    if image.shape[-1] != 1 or image.dtype != np.uint8:
        raise ValueError(f"{path}: a scan is grey, of 8 bits. Received: {image.shape[-1]} channels, {image.dtype}")
    yield record.id, {"id": record.id, "image": image, "label": record.label, "group": record.group}


def _scan(path, folder):
    match = _NAME.fullmatch(path.stem)
    label = match and match[1].upper()
    if label not in CLASSES:
        raise ValueError(f"{path}: a scan is named CLASS-PATIENT-NUMBER, CLASS one of {', '.join(CLASSES)}")
    # The archive unpacks to folders with blanks at their ends.
    folders = [part.strip() for part in path.relative_to(folder).parts[:-1]]
    kind = folders[-1].upper() if folders else ""
    if kind in CLASSES and kind != label:
        raise ValueError(f"{path}: its name says {label}, its folder says {kind}")
    split = next((FOLDERS[name.lower()] for name in reversed(folders) if name.lower() in FOLDERS), None)
    return Record(path.stem, match[2], (path,), label, split)


def _published(folder, scans, tally):
    """Return the scans in split folders, without the patients who are also in a later split."""
    kept = []
    for name in reversed(SPLITS):
        patients = {scan.group for scan in kept}
        part = [scan for scan in scans if scan.split == name]
        fresh = [scan for scan in part if scan.group not in patients]
        if left := len(part) - len(fresh):
            tally.skip(f"{left} scans of {name}: their patients are also in test or validation", count=left)
        kept += fresh
    names = dict.fromkeys(scan.split for scan in kept)
    if not {"train", "test"} <= set(names):
        raise ValueError(
            f"oct/published needs folders train and test of different patients. Received: {folder} with "
            f"{' and '.join(names) or 'neither'}. Use oct/patient."
        )
    if outside := sum(scan.split is None for scan in scans):
        tally.skip(f"{outside} scans outside of the folders train, val and test", count=outside)
    return kept


def _precedence(scan):
    return SPLITS.index(scan.split) if scan.split else -1
