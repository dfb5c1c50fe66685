"""The embedded image set: simulated immunofluorescence fields in 13 protein localisation classes."""

import dataclasses
import io
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tensorflow_datasets as tfds

from msrgan.datasets.beam import Example
from msrgan.datasets.builder import Builder
from msrgan.datasets.localisation import LOCALISATIONS
from msrgan.datasets.records import Record
from msrgan.datasets.simulator import Field, cell_line, simulate
from msrgan.datasets.splits import SPLITS
from msrgan.datasets.tally import Tally

_FIELDS_IN_A_WELL = 2
# Fields that wait in memory for the writer.
_AHEAD = 64


@dataclasses.dataclass
class SimulatedConfig(tfds.core.BuilderConfig):
    """How many fields to draw.

    Attributes:
        fields: fields of each class in train, validation and test.
        size: side of a field in pixels.
        seed: seed of the whole set.
    """

    fields: tuple[int, int, int] = (130, 20, 20)
    size: int = 192
    seed: int = 2018


class Simulated(Builder):
    """Simulated immunofluorescence fields, 192 x 192 RGB, 13 classes, with instance masks."""

    LICENCE = "Apache-2.0"
    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}
    BUILDER_CONFIGS = [
        SimulatedConfig(name="standard", description="Per class 130 train, 20 validation and 20 test fields."),
        SimulatedConfig(
            name="small", description="Per class 4 train, 2 validation and 2 test fields.", fields=(4, 2, 2)
        ),
    ]

    def features(self) -> dict[str, Any]:
        """Return what an example has besides its id and its group."""
        size = self.builder_config.size
        labels = tfds.features.Image(shape=(size, size, 1), dtype=np.uint16, encoding_format="png")
        return {
            "image": tfds.features.Image(shape=(size, size, 3), encoding_format="png"),
            "label": tfds.features.ClassLabel(names=LOCALISATIONS),
            "mask": labels,
            "cells": labels,
        }

    def records(self, folder: Path | None, tally: Tally) -> list[Record]:
        """List the fields to draw; in every split the classes take turns."""
        records = []
        for split, fields in zip(SPLITS, self.builder_config.fields, strict=True):
            for index in range(fields * len(LOCALISATIONS)):
                label, well = _place(index)
                group = f"{split}-class{label:02d}-well{well:03d}"
                records.append(Record(f"{split}-{index:05d}", group, label=label, split=split))
        return records

    def reader(self) -> Callable[[Record], Iterator[Example]]:
        """Return the function that draws a field."""
        return partial(_draw, seed=self.builder_config.seed, size=self.builder_config.size)

    def _generate_examples(self, records):
        # Threads, not processes: a spawned process would import the caller's script again. OpenCV and much of
        # NumPy let go of the interpreter lock.
        draw = self.reader()
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for start in range(0, len(records), _AHEAD):
                for examples in pool.map(lambda record: list(draw(record)), records[start : start + _AHEAD]):
                    yield from examples


def draw_field(index: int, *, split: int, seed: int, size: int = 192) -> Field:
    """Draw a field of the set; a pure function of its arguments.

    Args:
        index: number of the field in its split; the classes take turns.
        split: 0 train, 1 validation, 2 test.
        seed: seed of the whole set.
        size: side of the field in pixels.
    """
    label, well = _place(index)
    line = cell_line([seed, split, label, well])
    return simulate(label, [seed, split, index], size=size, line=line)


def _place(index):
    """Return the class of a field, and the number of its well among the wells of its class."""
    repeat, label = divmod(index, len(LOCALISATIONS))
    return label, repeat // _FIELDS_IN_A_WELL


def _draw(record, *, seed, size):
    index = int(record.id.rpartition("-")[2])
    field = draw_field(index, split=SPLITS.index(record.split), seed=seed, size=size)
    yield (
        record.id,
        {
            "id": record.id,
            "image": _png(field.image),
            "label": record.label,
            "mask": _png(field.nuclei),
            "cells": _png(field.cells),
            "group": record.group,
        },
    )


def _png(image: np.ndarray) -> io.BytesIO:
    """Encode losslessly in the caller's thread; TensorFlow's encoder takes half as long as the drawing."""
    order = image[..., ::-1] if image.ndim == 3 else image
    encoded = cv2.imencode(".png", order, [cv2.IMWRITE_PNG_COMPRESSION, 3])[1]
    return io.BytesIO(encoded.tobytes())
