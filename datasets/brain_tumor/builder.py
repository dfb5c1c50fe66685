"""Brain tumour MRI (figshare 1512427): contrast-enhanced T1 slices with tumour masks, from MATLAB files."""

from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import scipy.io
import tensorflow_datasets as tfds

from msrgan import images
from msrgan.datasets.splits import check_filled, three_ways
from msrgan.datasets.tally import Tallied

TUMOURS = ("meningioma", "glioma", "pituitary")
FIELDS = ("PID", "label", "image", "tumorBorder", "tumorMask")
# The numbers of the authors' five folds lie beside the slices.
FOLDS = "cvind.mat"


class Slice(NamedTuple):
    """One MRI slice, as stored: rows from top to bottom as MATLAB shows them.

    Attributes:
        image: uint16 (H, W), intensities without a unit.
        mask: uint8 (H, W), 1 in the tumour.
        border: float32 (N, 2), points (x, y) on the outline of the tumour in pixels, MATLAB's count from 1.
        label: index into `TUMOURS`.
        patient: the anonymous patient number, `PID`.
    """

    image: np.ndarray
    mask: np.ndarray
    border: np.ndarray
    label: int
    patient: str


class BrainTumorConfig(tfds.core.BuilderConfig):
    """Which slices to take: those of `size` x `size` pixels, or all (None)."""

    def __init__(self, *, size=None, **kwargs):
        super().__init__(**kwargs)
        self.size = size


class BrainTumor(Tallied, tfds.core.GeneratorBasedBuilder):
    """Contrast-enhanced T1 brain MRI, 16 bits, three kinds of tumour, with tumour masks."""

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = [
        BrainTumorConfig(name="all", description="Every slice in its stored size, 512x512 and a few 256x256."),
        BrainTumorConfig(name="512", description="Only the slices of 512x512 pixels.", size=512),
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
    Download the four archives brainTumorDataPublic_*.zip of the figshare article and unpack them
    into the manual directory, in folders or not: 3064 files `N.mat` (MATLAB 7.3 as published, or
    version 5), each with a struct `cjdata` of PID, label, image, tumorBorder and tumorMask. The
    file cvind.mat is not used. https://doi.org/10.6084/m9.figshare.1512427
    """

    def _info(self):
        size = self.builder_config.size
        return tfds.core.DatasetInfo(
            builder=self,
            description=(
                "3064 contrast-enhanced T1-weighted MRI slices of 233 patients with a meningioma, a glioma or a "
                "pituitary tumour, as 16-bit grey images with the mask and the outline of the tumour. Slices of "
                "256x256 pixels keep their size: enlarged to 512x512 they would be a blurred truth to learn from. "
                "Splits (70 % train, 15 % validation, 15 % test, of each kind of tumour) never cut a patient."
            ),
            features=tfds.features.FeaturesDict(
                {
                    "id": tfds.features.Text(),
                    "image": tfds.features.Image(shape=(size, size, 1), dtype=np.uint16, encoding_format="png"),
                    "label": tfds.features.ClassLabel(names=TUMOURS),
                    "mask": tfds.features.Image(shape=(size, size, 1), dtype=np.uint8, encoding_format="png"),
                    "border": tfds.features.Tensor(shape=(None, 2), dtype=np.float32),
                    "group": tfds.features.Text(),
                }
            ),
            supervised_keys=("image", "label"),
            homepage="https://doi.org/10.6084/m9.figshare.1512427",
            license="See the figshare article, which is cited as CC BY 4.0.",
            citation="""@misc{cheng2017brain,
  title={brain tumor dataset},
  author={Cheng, Jun},
  howpublished={figshare},
  doi={10.6084/m9.figshare.1512427},
  year={2017}
}
@article{cheng2015enhanced,
  title={Enhanced performance of brain tumor classification via tumor region augmentation and partition},
  author={Cheng, Jun and others},
  journal={PLoS ONE},
  volume={10},
  number={10},
  pages={e0140381},
  year={2015}
}""",
        )

    def _split_generators(self, dl_manager):
        folder = Path(dl_manager.manual_dir)
        splits = three_ways(self._survey(folder), label=itemgetter(1), group=itemgetter(2))
        remedy = f"At least one kind of tumour needs three.{self._tally.why()}"
        check_filled(splits, f"{folder} has too few patients", remedy)
        return {name: self._generate_examples(path for path, *_ in part) for name, part in splits.items()}

    def _survey(self, folder):
        """Read every slice once, so that only good ones are split: (path, label, patient) of each."""
        found = {}
        for path in _files(folder):
            try:
                if path.stem in found:
                    raise ValueError(f"{path}: has the name of {found[path.stem][0]}")
                example = read(path)
                self._check_size(path, example)
            except ValueError as error:
                self._tally.skip(error)
                continue
            found[path.stem] = path, example.label, example.patient
        if not found:
            raise ValueError(
                f"{folder} holds no slice that can be read. Received: {self._tally.skipped} files.{self._tally.why()}"
            )
        return list(found.values())

    def _check_size(self, path, example):
        size, (height, width) = self.builder_config.size, example.image.shape
        if size and (height, width) != (size, size):
            raise ValueError(f"{path}: {height}x{width}, brain_tumor/{size} takes {size}x{size} only")

    def _generate_examples(self, paths):
        for path in paths:
            example = read(path)
            features = {
                "id": path.stem,
                "image": example.image[..., None],
                "label": example.label,
                "mask": example.mask[..., None],
                "border": example.border,
                "group": example.patient,
            }
            yield path.stem, features


def read(path: Path) -> Slice:
    """Read a slice from a .mat file, of MATLAB 7.3 (HDF5) or version 5.

    Raises:
        UnreadableImageError: naming the file and what is wrong with it: no MATLAB file, no struct `cjdata`, a
            missing field, a label other than 1, 2, 3, pixels that are no whole numbers from 0 to 65535 (magnitude
            images have none below 0), a mask of another size, no patient, a border that is no list of pairs.
    """
    try:
        fields = _fields(path)
    except images.UnreadableImageError:
        raise
    except Exception as error:  # damaged files raise anything from OSError to IndexError
        raise images.UnreadableImageError(f"{path}: damaged, truncated, or no MATLAB file") from error
    missing = [name for name in FIELDS if name not in fields]
    if len(missing) == len(FIELDS):
        raise images.UnreadableImageError(f"{path}: holds no struct cjdata")
    if missing:
        raise images.UnreadableImageError(f"{path}: its cjdata has no {' and no '.join(missing)}")
    try:
        return _slice(**fields)
    except ValueError as error:
        raise images.UnreadableImageError(f"{path}: {error}") from None


def _fields(path):
    """Return the fields of `cjdata` with MATLAB's axes; none where there is no such struct."""
    if not h5py.is_hdf5(path):
        struct = scipy.io.loadmat(path, variable_names=["cjdata"], simplify_cells=True).get("cjdata", {})
        _check_struct(path, struct)
        return {name: np.asarray(struct[name]) for name in FIELDS if name in struct}
    with h5py.File(path) as file:
        struct = file.get("cjdata", {})
        _check_struct(path, struct)
        # HDF5 names MATLAB's axes last to first.
        return {name: struct[name][()].T for name in FIELDS if name in struct}


def _check_struct(path, found):
    if not isinstance(found, dict | h5py.Group):
        kind = np.asarray(found).dtype
        raise images.UnreadableImageError(f"{path}: cjdata is a struct. Received: an array of {kind}")


def _slice(*, PID, label, image, tumorBorder, tumorMask):  # the names of the file
    for name, array in {"image": image, "tumorMask": tumorMask, "tumorBorder": tumorBorder}.items():
        if array.dtype.kind not in "biuf":
            raise ValueError(f"{name} holds numbers. Received: {array.dtype}")
    if label.size != 1 or label.item() not in (1, 2, 3):
        raise ValueError(f"label is 1 (meningioma), 2 (glioma) or 3 (pituitary). Received: {label.squeeze()}")
    with np.errstate(invalid="ignore"):
        pixels = image.astype(np.uint16)
    if image.ndim != 2 or not image.size or (pixels != image).any():
        raise ValueError(
            "image is a matrix of whole numbers from 0 to 65535. "
            f"Received: {_size(image)} numbers from {image.min(initial=0)} to {image.max(initial=0)}"
        )
    if tumorMask.shape != image.shape:
        raise ValueError(f"tumorMask has the size of image, {_size(image)}. Received: {_size(tumorMask)}")
    if tumorBorder.size % 2:
        raise ValueError(f"tumorBorder is a list x1, y1, x2, y2, ... Received: {tumorBorder.size} numbers")
    return Slice(
        image=pixels,
        mask=(tumorMask != 0).astype(np.uint8),
        border=tumorBorder.reshape(-1, 2).astype(np.float32),
        label=int(label.item()) - 1,
        patient=_text(PID),
    )


def _text(array):
    """Read a MATLAB text, in HDF5 the codes of its characters."""
    text = "".join(map(chr, array.flat) if array.dtype == np.uint16 else map(str, array.flat)).strip("\0 ")
    if not text:
        raise ValueError("PID is the text that names the patient. Received: nothing")
    return text


def _size(array):
    return "x".join(map(str, array.shape))


def _files(folder):
    """List the slices below a folder."""
    paths = sorted(p for p in folder.rglob("*.mat") if p.name != FOLDS and not p.name.startswith("."))
    if not paths:
        archives = len(list(folder.rglob("*.zip")))
        found = f"{archives} .zip files. Unpack them" if archives else "no .mat file. See `msrgan datasets brain_tumor`"
        raise FileNotFoundError(f"{folder} must hold the slices N.mat, at any depth. Received: {found}.")
    return paths
