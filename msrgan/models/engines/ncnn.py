"""ncnn, on the processor: 3x3 convolutions by Winograd's algorithm, with a quarter of the multiplications."""

from pathlib import Path
from typing import Any

import numpy as np

from msrgan.models.engines.base import Engine
from msrgan.models.formats import ncnn
from msrgan.models.packages import required

# A change of the compiler makes other files of the same model.
_COMPILER = "1"


class NCNN(Engine):
    """A network compiled for ncnn."""

    name = "ncnn"

    def __init__(self, path: Path, metadata: dict[str, Any], precision: str = "float32"):
        """Compile and load."""
        super().__init__(path, metadata, precision)
        self._library = required("ncnn", "ncnn")
        file = self.conversion(path, metadata, "model.param", ncnn.write, version=_COMPILER)
        self._network = self._library.Net()
        options = self._network.opt
        # Half precision is the default.
        options.use_fp16_packed = options.use_fp16_storage = options.use_fp16_arithmetic = False
        weights = file.with_suffix(".bin")
        if self._network.load_param(str(file)) or self._network.load_model(str(weights)):
            raise ValueError(
                f"ncnn {self._library.__version__} cannot read its network. Update ncnn, or use another engine"
            )

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """Enlarge a batch, one image after another."""
        return np.stack([self._enlarged(image) for image in batch])

    def _enlarged(self, image):
        planes = np.ascontiguousarray(image.transpose(2, 0, 1))
        extractor = self._network.create_extractor()
        # A copy: a Mat of an array does not own its pixels, over which the first layer may write.
        extractor.input(ncnn.INPUT, self._library.Mat(planes).clone())
        failed, enlarged = extractor.extract(ncnn.OUTPUT)
        if failed:
            raise MemoryError(f"ncnn has not the memory to enlarge {image.shape}. Choose a smaller `tile`")
        # Rows of a Mat are padded; it is released with the extractor.
        return np.array(enlarged).transpose(1, 2, 0)
