"""Slices of brain tumour MRI from MATLAB files, of version 7.3 (HDF5) or 5."""

from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import scipy.io

from msrgan import io

TUMOURS = ("meningioma", "glioma", "pituitary")
FIELDS = ("PID", "label", "image", "tumorBorder", "tumorMask")


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


def read(path: Path) -> Slice:
    """Read a slice from a .mat file, of MATLAB 7.3 (HDF5) or version 5.

    Raises:
        UnreadableImageError: naming the file and what is wrong with it: no MATLAB file, no struct `cjdata`, a
            missing field, a label other than 1, 2, 3, pixels that are no whole numbers from 0 to 65535 (magnitude
            images have none below 0), a mask of another size, no patient, a border that is no list of pairs.
    """
    try:
        fields = _fields(path)
    except io.UnreadableImageError:
        raise
    except Exception as error:  # damaged files raise anything from OSError to IndexError
        raise io.UnreadableImageError(f"{path}: damaged, truncated, or no MATLAB file") from error
    missing = [name for name in FIELDS if name not in fields]
    if len(missing) == len(FIELDS):
        raise io.UnreadableImageError(f"{path}: holds no struct cjdata")
    if missing:
        raise io.UnreadableImageError(f"{path}: its cjdata has no {' and no '.join(missing)}")
    try:
        return _slice(**fields)
    except ValueError as error:
        raise io.UnreadableImageError(f"{path}: {error}") from None


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


def _check_struct(path, struct):
    if not isinstance(struct, dict | h5py.Group):
        kind = np.asarray(struct).dtype
        raise io.UnreadableImageError(f"{path}: cjdata is a struct. Received: an array of {kind}")


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
    if not text or any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError(f"PID is the text that names the patient. Received: {text!a}")
    return text


def _size(array):
    return "x".join(map(str, array.shape))
