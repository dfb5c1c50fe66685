"""Brain tumour MRI (figshare 1512427): contrast-enhanced T1 slices with tumour masks, from MATLAB files."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from msrgan.datasets.beam import Example
from msrgan.datasets.brain_tumor import matlab
from msrgan.datasets.builder import Builder
from msrgan.datasets.listing import list_files
from msrgan.datasets.records import Record
from msrgan.datasets.tally import Tally

# The numbers of the authors' five folds lie beside the slices.
FOLDS = "cvind.mat"


class BrainTumorConfig(tfds.core.BuilderConfig):
    """Which slices to take: only `size` x `size` pixels, or all (None)."""

    def __init__(self, *, size: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.size = size


class BrainTumor(Builder):
    """Contrast-enhanced T1 brain MRI, 16 bits, three kinds of tumour, with tumour masks."""

    HOMEPAGE = "https://doi.org/10.6084/m9.figshare.1512427"
    LICENCE = "See the figshare article, which is cited as CC BY 4.0."
    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = [
        BrainTumorConfig(name="all", description="Every slice in its stored size, 512x512 and a few 256x256."),
        BrainTumorConfig(name="512", description="Only the slices of 512x512 pixels.", size=512),
    ]
    NEEDS = ("patients", "At least one kind of tumour needs three.")

    def features(self) -> dict[str, Any]:
        """Return what an example has besides its id and its group."""
        size = self.builder_config.size
        return {
            "image": tfds.features.Image(shape=(size, size, 1), dtype=np.uint16, encoding_format="png"),
            "label": tfds.features.ClassLabel(names=matlab.TUMOURS),
            "mask": tfds.features.Image(shape=(size, size, 1), dtype=np.uint8, encoding_format="png"),
            "border": tfds.features.Tensor(shape=(None, 2), dtype=np.float32),
        }

    def records(self, folder: Path, tally: Tally) -> list[Record]:
        """List the slices, each read once, so that only good ones are split."""
        slices = {}
        for path in _files(folder, tally):
            try:
                if path.stem in slices:
                    raise ValueError(f"{path}: has the name of {slices[path.stem].paths[0]}")
                content = matlab.read(path)
                self._check_size(path, content.image)
            except ValueError as error:
                tally.skip(error)
                continue
            slices[path.stem] = Record(path.stem, content.patient, (path,), content.label)
        if not slices:
            raise ValueError(f"{folder} holds no slice that can be read. Received: {tally.skipped} files.{tally.why()}")
        return list(slices.values())

    def reader(self) -> Callable[[Record], Iterator[Example]]:
        """Return the function that reads a slice, its mask and outline."""
        return read

    def _check_size(self, path, image):
        size, (height, width) = self.builder_config.size, image.shape
        if size and (height, width) != (size, size):
            raise ValueError(f"{path}: {height}x{width}, brain_tumor/{size} takes {size}x{size} only")


def read(record: Record) -> Iterator[Example]:
    """Read a slice, see `matlab.read`."""
    content = matlab.read(record.paths[0])
    features = {
        "id": record.id,
        "image": content.image[..., None],
        "label": content.label,
        "mask": content.mask[..., None],
        "border": content.border,
        "group": content.patient,
    }
    yield record.id, features


def _files(folder, tally):
    """List the slices below a folder."""
    paths = [path for path in list_files(folder, (".mat",), skip=tally.skip) if path.name != FOLDS]
    if not paths:
        archives = len(list_files(folder, (".zip",), skip=tally.skip))
        received = f"{archives} .zip files. Unpack them" if archives else "no .mat file"
        raise FileNotFoundError(
            f"{folder} must hold the slices N.mat, at any depth. Received: {received}. See "
            "`msrgan datasets brain_tumor`."
        )
    return paths
