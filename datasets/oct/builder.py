"""Retinal OCT (Kermany et al. 2018, OCT2017): B-scans in four classes, split by patient."""

import re
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow_datasets as tfds

from msrgan import images
from msrgan.datasets.splits import SPLIT_FOLDERS, SPLITS, check_filled, three_ways
from msrgan.datasets.tally import Tallied

CLASSES = ("CNV", "DME", "DRUSEN", "NORMAL")
_NAME = re.compile(r"([A-Za-z]+)-([^-]+)-[^-]+")


class Scan(NamedTuple):
    """One B-scan: its file, its class and patient from the file name, its split from the folders or None."""

    path: Path
    label: str
    patient: str
    split: str | None


class Oct(Tallied, tfds.core.GeneratorBasedBuilder):
    """Retinal OCT B-scans, grey, 8 bits, in their stored sizes: normal, CNV, DME, drusen.

    The group of a scan is the number of its patient, whatever the class: one person may have two diagnoses, or another
    one in each eye. The published folders share patients between train and test (seen by
    https://tvst.arvojournals.org/article.aspx?articleid=2778252; what that does to results: Tampu et al. 2022,
    https://doi.org/10.1038/s41597-022-01618-6), therefore they are not the default.

    `oct/patient` holds out 15 % of the patients of every class for validation and 15 % for test, whatever folder their
    scans lie in. `oct/published` keeps the folders train, val and test, and leaves out of train and val who is also in
    test, and out of train who is also in val. Without val, 15 % of train are held out.
    """

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = [
        tfds.core.BuilderConfig(name="patient", description="70 % train, 15 % validation, 15 % test, by patient."),
        tfds.core.BuilderConfig(name="published", description="The published folders, without patients of two."),
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
    Download the OCT images (OCT2017) from https://doi.org/10.17632/rscbjbr9sj and unpack them into the
    manual directory: folders `{train,val,test}/{NORMAL,CNV,DME,DRUSEN}` of files
    `CLASS-PATIENT-NUMBER.jpeg`. Class and patient are read from the file names, so that one flat folder
    of such files will do. Some 109,000 scans, prepared, take about 20 GB.
    """

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            description=(
                "Optical coherence tomography B-scans of the retina (Spectralis, Heidelberg Engineering): choroidal "
                "neovascularisation (CNV), diabetic macular oedema (DME), drusen, normal. 8-bit grey images of "
                "different sizes, 496x512 to 496x1536 pixels and others, as stored. A split never cuts a patient."
            ),
            features=tfds.features.FeaturesDict(
                {
                    "id": tfds.features.Text(),
                    # PNG, not the file's own JPEG: TensorFlow decodes that to values up to 3 levels apart from others.
                    "image": tfds.features.Image(shape=(None, None, 1), dtype=np.uint8, encoding_format="png"),
                    "label": tfds.features.ClassLabel(names=CLASSES),
                    "group": tfds.features.Text(),
                }
            ),
            supervised_keys=("image", "label"),
            homepage="https://doi.org/10.17632/rscbjbr9sj",
            license="CC BY 4.0, as the Mendeley Data record is commonly cited; see there.",
            citation="""@article{kermany2018identifying,
  title={Identifying medical diagnoses and treatable diseases by image-based deep learning},
  author={Kermany, Daniel S and Goldbaum, Michael and Cai, Wenjia and others},
  journal={Cell},
  volume={172},
  number={5},
  pages={1122--1131},
  year={2018},
  doi={10.1016/j.cell.2018.02.010}
}""",
        )

    def _split_generators(self, dl_manager):
        folder = Path(dl_manager.manual_dir)
        scans = self._scans(folder)
        if self.builder_config.name == "published":
            scans = self._published(folder, scans)
        else:
            scans = [scan._replace(split=None) for scan in scans]
        splits = three_ways(scans, label=attrgetter("label"), group=attrgetter("patient"), named=attrgetter("split"))
        readable = {name: self._tally.first(_read, part) is not None for name, part in splits.items()}
        remedy = f"At least one class needs three patients.{self._tally.why()}"
        check_filled(readable, f"{folder} has too few readable scans", remedy)
        return {name: self._generate_examples(part) for name, part in splits.items()}

    def _scans(self, folder):
        """List the scans, each name once; test before validation before train, where a scan lies in two of them."""
        scans, twice = {}, []
        for path in images.list_images(folder):
            try:
                scan = _scan(path, folder)
            except ValueError as error:
                self._tally.skip(error)
                continue
            earlier = scans.setdefault(path.stem, scan)
            if earlier is not scan:
                twice.append(path)
                scans[path.stem] = max(earlier, scan, key=_precedence)
        if not scans:
            raise ValueError(
                f"{folder} must hold scans CLASS-PATIENT-NUMBER.jpeg, CLASS one of {', '.join(CLASSES)}, at any depth. "
                f"Received: {self._tally.skipped} images of other names. See `msrgan datasets oct`.{self._tally.why()}"
            )
        if twice:
            self._skip_many(len(twice), f"whose name occurs twice, for example {twice[0]}")
        return list(scans.values())

    def _published(self, folder, scans):
        """Return the scans in split folders, without those whose patients are also in a later split."""
        kept = []
        for name in reversed(SPLITS):
            taken = {scan.patient for scan in kept}
            part = [scan for scan in scans if scan.split == name]
            fresh = [scan for scan in part if scan.patient not in taken]
            if len(fresh) < len(part):
                self._skip_many(len(part) - len(fresh), f"of {name}: their patients are also in test or validation")
            kept += fresh
        found = dict.fromkeys(scan.split for scan in kept)
        if not {"train", "test"} <= set(found):
            raise ValueError(
                f"oct/published needs folders train and test of different patients. Received: {folder} with "
                f"{' and '.join(found) or 'neither'}. Use oct/patient."
            )
        outside = sum(scan.split is None for scan in scans)
        if outside:
            self._skip_many(outside, "outside of the folders train, val and test")
        return kept

    def _skip_many(self, count, reason):
        """Say in one line what would be thousands."""
        self._tally.skip(f"{count} scans {reason}")
        self._tally.skipped += count - 1

    def _generate_examples(self, scans):
        for scan in scans:
            try:
                image = _read(scan)
            except ValueError as error:
                self._tally.skip(error)
                continue
            name = scan.path.stem
            yield name, {"id": name, "image": image, "label": scan.label, "group": scan.patient}


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
    split = next((SPLIT_FOLDERS[f.lower()] for f in reversed(folders) if f.lower() in SPLIT_FOLDERS), None)
    return Scan(path, label, match[2], split)


def _precedence(scan):
    return SPLITS.index(scan.split) if scan.split else -1


def _read(scan):
    image = images.read(scan.path)
    if image.shape[-1] != 1 or image.dtype != np.uint8:
        raise ValueError(f"{scan.path}: a scan is grey, of 8 bits. Received: {image.shape[-1]} channels, {image.dtype}")
    return image
