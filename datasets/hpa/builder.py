"""Human Protein Atlas image classification challenge (Kaggle 2018): four channels, 28 localisation classes."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf
import tensorflow_datasets as tfds

from msrgan.datasets import atlas
from msrgan.datasets.beam import Example
from msrgan.datasets.builder import Builder
from msrgan.datasets.hpa.levels import compose, random_level
from msrgan.datasets.listing import list_files
from msrgan.datasets.records import Record
from msrgan.datasets.tally import Tally

CLASSES = (
    "Nucleoplasm",
    "Nuclear membrane",
    "Nucleoli",
    "Nucleoli fibrillar center",
    "Nuclear speckles",
    "Nuclear bodies",
    "Endoplasmic reticulum",
    "Golgi apparatus",
    "Peroxisomes",
    "Endosomes",
    "Lysosomes",
    "Intermediate filaments",
    "Actin filaments",
    "Focal adhesion sites",
    "Microtubules",
    "Microtubule ends",
    "Cytokinetic bridge",
    "Mitotic spindle",
    "Microtubule organizing center",
    "Centrosome",
    "Lipid droplets",
    "Plasma membrane",
    "Cell junctions",
    "Mitochondria",
    "Aggresome",
    "Cytosol",
    "Cytoplasmic bodies",
    "Rods & rings",
)
LEVELS = ("none", "1", "2", "3", "4", "random")
LABELS = ("all", "single")


class Hpa(Builder):
    """The data of real-time SRGAN for microscopy (arXiv 2010.04634).

    One copy is prepared, of the channels and all classes of an image; level and labels are made of it on reading.

    Args:
        level: "none" for the four channels as stored; "1" to "4" for `compose`'s RGB image; "random" for a level that
            is a pure function of seed and id.
        seed: of the random levels.
        labels: "all" for a multi-hot vector, int64 (28,); "single" for the images of exactly one class and its index,
            an int64 scalar.
        beam: "on" to prepare the set through Apache Beam.
    """

    HOMEPAGE = "https://www.kaggle.com/c/human-protein-atlas-image-classification"
    LICENCE = f"{atlas.LICENCE}; challenge data: the rules of the challenge."
    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = list(atlas.DEPTHS)
    OPTIONS = {"level": "none", "seed": 0, "labels": "all", "beam": "off"}

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        for name, known in (("level", LEVELS), ("labels", LABELS)):
            if self.options[name] not in known:
                raise ValueError(
                    f"The option {name} of hpa is one of {', '.join(known)}. Received: {self.options[name]}."
                )

    def features(self) -> dict[str, Any]:
        """Return what an example has besides its id and its group."""
        return {
            "image": tfds.features.Image(shape=(None, None, len(atlas.COLOURS)), dtype=self.builder_config.dtype),
            "label": tfds.features.Sequence(tfds.features.ClassLabel(names=CLASSES)),
        }

    def records(self, folder: Path, tally: Tally) -> list[Record]:
        """List the rows of train.csv that have all four channels and known classes."""
        tables = [path for path in list_files(folder, (".csv",), skip=tally.skip) if path.name == "train.csv"]
        if len(tables) != 1:
            raise FileNotFoundError(
                f"{folder} must hold one train.csv of Id,Target and the channels <id>_<colour>.png or .tif. "
                f"Received: {len(tables)} files train.csv. See `msrgan datasets hpa`."
            )
        layout = atlas.Layout(atlas.COLOURS, (".png", ".tif", ".tiff"), ("Id", "Target"), parse_classes, str)
        return atlas.list_fields(folder, tables[0], layout, tally)

    def label(self, records: Sequence[Record]) -> Callable[[Record], int]:
        """Return the function from an image to that class of it which the fewest of these images have."""
        count = Counter(label for record in records for label in record.label)
        return lambda record: min(record.label, key=lambda label: (count[label], label))

    def reader(self) -> Callable[[Record], Iterator[Example]]:
        """Return the function that reads the four channels of an image."""
        return read

    def as_dataset(
        self, split: Any = None, *, batch_size: int | None = None, as_supervised: bool = False, **kwargs: Any
    ) -> Any:
        """Read splits as TFDS does, every image at its level."""
        whole = batch_size == -1  # of a split, as tensors

        def finish(examples):
            if self.options["labels"] == "single":
                examples = examples.filter(lambda example: tf.size(example["label"]) == 1)
            examples = examples.map(self._present, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
            if batch_size:
                examples = examples.padded_batch(self.info.splits.total_num_examples if whole else batch_size)
            if as_supervised:
                examples = examples.map(lambda example: tuple(example[key] for key in self.info.supervised_keys))
            return examples.get_single_element() if whole else examples.prefetch(tf.data.AUTOTUNE)

        return tf.nest.map_structure(finish, super().as_dataset(split, **kwargs))

    def _present(self, example):
        label, image, level = example["label"], example["image"], self.options["level"]
        if self.options["labels"] == "single":
            label = label[0]
        else:
            label = tf.reduce_sum(tf.one_hot(label, len(CLASSES), dtype=tf.int64), axis=0)
        if level == "random":
            image = compose(image, random_level(example["id"], self.options["seed"]))
        elif level != "none":
            image = compose(image, int(level))
        return example | {"image": image, "label": label}


def read(record: Record) -> Iterator[Example]:
    """Read the four channels of an image, with the indices of its classes."""
    image = atlas.merge(record.paths)
    yield record.id, {"id": record.id, "image": image, "label": list(record.label), "group": record.group}


def parse_classes(target: str) -> tuple[int, ...]:
    """Read the classes of an image: indices between spaces, or indices or names between | or ;.

    Returns:
        Indices into `CLASSES`, rising, at least one.

    Raises:
        ValueError: there is none, or an unknown one.
    """
    parts = [part.strip() for part in re.split(r"[|;]", target)]
    if len(parts) == 1 and parts[0] not in CLASSES:
        parts = target.split()
    if not any(parts):
        raise ValueError("it has no class")
    return tuple(sorted({atlas.class_index(part, CLASSES) for part in parts}))
