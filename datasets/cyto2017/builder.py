"""CYTO 2017 image-analysis challenge: Human Protein Atlas fields in 13 localisation classes."""

import gzip
import zlib
from collections import defaultdict
from operator import itemgetter
from pathlib import Path

import cv2
import numpy as np
import tensorflow_datasets as tfds

from msrgan import images
from msrgan.datasets.depth import DEPTHS, check_depth
from msrgan.datasets.localisation import LOCALISATIONS, class_index, class_of
from msrgan.datasets.splits import check_filled, split_of, three_ways
from msrgan.datasets.tally import Tallied
from msrgan.files import few
from msrgan.tables import rows

COLOURS = ("red", "green", "blue")
SIZE = 96


class Cyto2017(Tallied, tfds.core.GeneratorBasedBuilder):
    """The data of the mSRGAN thesis, from either of its two layouts."""

    VERSION = tfds.core.Version("2.0.0")
    RELEASE_NOTES = {
        "1.0.0": "First release.",
        "2.0.0": "Validation is 15 % of the whole, as test is, and no longer of what test left.",
    }
    BUILDER_CONFIGS = list(DEPTHS)
    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
    Put into the manual directory either
    - the prepared images of the thesis: `CC_ID.png`, CC the class from 00 (Nucleus) to 12 (Intermediate
      filaments), optionally in folders `train` and `test`; or
    - the raw channels of the challenge: `<id>_<well>_<field>_<colour>.tif` or `.tif.gz`, colour red
      (microtubules), green (protein) or blue (nucleus), and one CSV with the columns `id,label`, label a class
      name or number, id the first token of the file names.
    The images come from the CYTO 2017 challenge and the Human Protein Atlas, https://www.proteinatlas.org.
    """

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            description=(
                "Immunofluorescence fields of the Human Protein Atlas, red microtubules, green protein of interest, "
                "blue nucleus, merged and resized to 96x96 (cubic), labelled with one of 13 protein "
                "localisations. Splits never cut an antibody (the id)."
            ),
            features=tfds.features.FeaturesDict(
                {
                    "id": tfds.features.Text(),
                    "image": tfds.features.Image(shape=(SIZE, SIZE, 3), dtype=self.builder_config.dtype),
                    "label": tfds.features.ClassLabel(names=LOCALISATIONS),
                    "group": tfds.features.Text(),
                }
            ),
            supervised_keys=("image", "label"),
            homepage="https://www.proteinatlas.org",
            license=(
                "Human Protein Atlas images: see https://www.proteinatlas.org/about/licence; "
                "challenge data: the terms of the challenge."
            ),
            citation="""@article{thul2017subcellular,
  title={A subcellular map of the human proteome},
  author={Thul, Peter J and others},
  journal={Science},
  volume={356},
  pages={eaal3321},
  year={2017}
}""",
        )

    def _split_generators(self, dl_manager):
        folder = Path(dl_manager.manual_dir)
        records, self._tally.found = _prepared(folder, self._tally) or _raw(folder, self._tally)
        splits = three_ways(records, label=itemgetter("label"), group=itemgetter("group"), named=itemgetter("split"))
        # Before anything is written, what would fail at the end of a long preparation.
        samples = {name: self._tally.first(_depth, part) for name, part in splits.items()}
        remedy = f"At least one class needs three antibodies.{self._tally.why()}"
        check_filled(samples, f"{folder} has too few readable images", remedy)
        for path, dtype in samples.values():
            check_depth(self, path, dtype)
        return {name: self._generate_examples(part) for name, part in splits.items()}

    def _generate_examples(self, records):
        dtype = np.dtype(self.builder_config.dtype)
        for record in records:
            try:
                image = merge(record["paths"])
                if image.dtype != dtype:
                    raise ValueError(f"{record['paths'][0]} has {image.dtype} pixels, others have {dtype}")
            except ValueError as error:
                self._tally.skip(f"{record['id']}: {error}")
                continue
            yield record["id"], {"image": image} | {k: record[k] for k in ("id", "label", "group")}


def merge(paths: list[Path]) -> np.ndarray:
    """Read one image, or its red, green and blue channels, as (96, 96, 3) of the file's own bit depth.

    Raises:
        ValueError: naming the file, if it cannot be read or if the channels differ in size or depth.
    """
    if len(paths) == 1:
        image = images.to_channels(images.read(paths[0]), 3)
    else:
        planes = [_plane(path) for path in paths]
        for path, plane in zip(paths, planes, strict=True):
            if (plane.shape, plane.dtype) != (planes[0].shape, planes[0].dtype):
                raise ValueError(f"{path} is {plane.shape} {plane.dtype}, {paths[0]} is not. Channels must match.")
        image = np.dstack(planes)
    # OpenCV computes in the image's own type: rounded and saturated, never wrapped.
    return image if image.shape[:2] == (SIZE, SIZE) else cv2.resize(image, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)


def _plane(path):
    data = path.read_bytes()
    try:
        data = gzip.decompress(data) if path.suffix == ".gz" else data
    except (OSError, EOFError, zlib.error) as error:
        raise images.UnreadableImageError(f"{path}: cannot be unpacked ({error})") from error
    image = images.decode(data, path)
    # Some exports hold a grey channel as colour with two empty planes.
    return image.max(axis=-1)


def _depth(record):
    return record["paths"][0], merge(record["paths"]).dtype


def _prepared(folder, tally):
    """Collect the prepared images, and count them with all other PNG files; None if there are none."""
    paths = [path for path in sorted(folder.rglob("*.png")) if not path.name.startswith(".")]
    if all(class_of(path) is None for path in paths):
        return None
    records = {}
    for path in paths:
        label = class_of(path)
        if label is None:
            tally.skip(f"{path}: a prepared image is named CC_ID.png, CC its class from 00 to 12")
        elif path.stem in records:
            tally.skip(f"{path}: has the name of {records[path.stem]['paths'][0]}")
        else:
            split, group = split_of(path, folder), path.stem.split("_")[1]
            records[path.stem] = {"id": path.stem, "label": label, "group": group, "split": split, "paths": [path]}
    return list(records.values()), len(paths)


def _raw(folder, tally):
    """Collect the raw channels, one record for each `<id>_<well>_<field>` that has all three colours and a class.

    Also counts all that there are: fields, and ids of the table without one.
    """
    tables = sorted(folder.rglob("*.csv"))
    if len(tables) != 1:
        others = [path.name for path in sorted(folder.rglob("*.png"))]
        raise FileNotFoundError(
            f"{folder} must hold CC_ID.png files, CC from 00 to 12, or raw channels and one CSV of id,label. "
            f"Received: {len(tables)} CSV files and no CC_ID.png{f', but {few(others)}' if others else ''}. "
            "See `--manual-dir` in the README."
        )
    (table,) = tables
    labels, seen = _read_labels(table, tally)
    fields = defaultdict(dict)
    for path in sorted([*folder.rglob("*.tif"), *folder.rglob("*.tif.gz")]):
        field, _, colour = path.name.removesuffix(".gz").removesuffix(".tif").rpartition("_")
        fields[field][colour.lower()] = path
    records = []
    for field, channels in fields.items():
        try:
            records.append(_record(field, channels, labels))
        except ValueError as error:
            tally.skip(f"{field}: {error}")
    absent = sorted(seen - {field.split("_")[0] for field in fields})
    for group in absent:
        tally.skip(f"{group} ({table.name}): it has no files")
    if not records:
        raise ValueError(
            f"{folder} has no field with all of {', '.join(COLOURS)} and a label in {table.name}.{tally.why()}"
        )
    return records, len(fields) + len(absent)


def _record(field, channels, labels):
    group = field.split("_")[0]
    missing = [colour for colour in COLOURS if colour not in channels]
    if missing:
        raise ValueError(f"no {' and no '.join(missing)} channel")
    if group not in labels:
        raise ValueError(f"its id {group} has no class in the table")
    paths = [channels[colour] for colour in COLOURS]
    return {"id": field, "label": labels[group], "group": group, "split": None, "paths": paths}


def _read_labels(table, tally):
    """Return {id: class} of the rows that are good, and the ids of all rows."""
    labels, seen = {}, set()
    for line, row in rows(table, ("id", "label")):
        # The id may be given with well and field; the first token is the antibody.
        name = row["id"].strip().split("_")[0]
        try:
            if not name:
                raise ValueError("it has no id")
            seen.add(name)
            label = class_index(_one_class(row), LOCALISATIONS)
            if labels.setdefault(name, label) != label:
                raise ValueError(f"its id {name} has another class before")
        except ValueError as error:
            tally.skip(f"{row['id'] or 'a row'} ({table.name}, line {line}): {error}")
    return labels, seen


def _one_class(row):
    if row[None]:
        raise ValueError(f"more cells than columns, {row[None]}")
    if not row["label"].strip():
        raise ValueError("it has no class")
    return row["label"].strip()
