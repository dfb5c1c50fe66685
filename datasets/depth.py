"""Configurations of a set by the bit depth of its raw files, which is kept."""

from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds


class DepthConfig(tfds.core.BuilderConfig):
    """Bit depth of the raw files, which is kept."""

    def __init__(self, *, dtype, **kwargs):
        super().__init__(**kwargs)
        self.dtype = dtype


DEPTHS = (
    DepthConfig(name="8bit", dtype=np.uint8, description="8-bit files"),
    DepthConfig(name="16bit", dtype=np.uint16, description="16-bit files"),
)


def check_depth(builder: tfds.core.DatasetBuilder, path: Path, dtype: np.dtype):
    """Raise ValueError if an image has other pixels than the configuration of its builder says."""
    if dtype != builder.builder_config.dtype:
        bits = dtype.itemsize * 8
        remedy = f"Use --data {builder.name}/{bits}bit." if bits < 32 else "Save it with 8 or 16 bits."
        raise ValueError(f"{path} has {dtype} pixels, this copy of {builder.name} has not. {remedy}")
