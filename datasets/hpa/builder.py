"""Human Protein Atlas image classification challenge (Kaggle 2018): four channels, 28 localisation classes."""

from functools import partial
from operator import attrgetter
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from msrgan.datasets import beam as beams
from msrgan.datasets.atlas import CLASSES, COLOURS, compose, find, merge, rarest
from msrgan.datasets.depth import DEPTHS, check_depth
from msrgan.datasets.splits import check_filled, three_ways
from msrgan.datasets.tally import Tallied

LEVELS = ("none", "1", "2", "3", "4", "random")
LABELS = ("all", "single")


class Hpa(Tallied, beams.WithBeam, tfds.core.GeneratorBasedBuilder):
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

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = list(DEPTHS)
    OPTIONS = {"level": "none", "seed": 0, "labels": "all", "beam": "off"}
    MANUAL_DOWNLOAD_INSTRUCTIONS = """\
    Put into the manual directory, or any folder below it, train.csv with the columns `Id,Target` (Target: the
    indices of the classes between spaces) and the channels `<id>_<colour>.png` or `.tif`, colour red (microtubules),
    green (protein), blue (nucleus) or yellow (endoplasmic reticulum): the unpacked files of
    `kaggle competitions download -c human-protein-atlas-image-classification`,
    https://www.kaggle.com/c/human-protein-atlas-image-classification.
    """

    def __init__(self, *, level="none", seed=0, labels="all", **kwargs):
        for name, value, known in (("level", level, LEVELS), ("labels", labels, LABELS)):
            if value not in known:
                raise ValueError(f"The option {name} of hpa is one of {', '.join(known)}. Received: {value}.")
        self._level, self._seed, self._labels = level, seed, labels
        super().__init__(**kwargs)

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            description=(
                "Immunofluorescence fields of the Human Protein Atlas, channels red (microtubules), green (protein of "
                "interest), blue (nucleus) and yellow (endoplasmic reticulum), with one or more of 28 protein "
                "localisations. The ids tell nothing of plate or well: every image is a group of its own."
            ),
            features=tfds.features.FeaturesDict(
                {
                    "id": tfds.features.Text(),
                    "image": tfds.features.Image(shape=(None, None, len(COLOURS)), dtype=self.builder_config.dtype),
                    "label": tfds.features.Sequence(tfds.features.ClassLabel(names=CLASSES)),
                    "group": tfds.features.Text(),
                }
            ),
            supervised_keys=("image", "label"),
            homepage="https://www.kaggle.com/c/human-protein-atlas-image-classification",
            license=(
                "Human Protein Atlas images: see https://www.proteinatlas.org/about/licence; "
                "challenge data: the rules of the challenge."
            ),
            citation="""@article{ouyang2019analysis,
  title={Analysis of the Human Protein Atlas Image Classification competition},
  author={Ouyang, Wei and others},
  journal={Nature Methods},
  volume={16},
  pages={1254--1261},
  year={2019}
}""",
        )

    def _split_generators(self, dl_manager):
        folder = Path(dl_manager.manual_dir)
        records, self._tally.found = find(folder, self._tally)
        splits = three_ways(records, label=rarest(records), group=attrgetter("id"))
        self._check(folder, splits)
        return {name: self._generate_examples(part) for name, part in splits.items()}

    def _check(self, folder, splits):
        """Refuse before anything is written what would fail at the end of a long preparation."""
        samples = {name: self._tally.first(_depth, part) for name, part in splits.items()}
        remedy = f"At least one class needs three images.{self._tally.why()}"
        check_filled(samples, f"{folder} has too few readable images", remedy)
        for path, dtype in samples.values():
            check_depth(self, path, dtype)

    def _generate_examples(self, records):
        make = partial(_examples_of, dtype=np.dtype(self.builder_config.dtype), skip=self._tally.skip)
        return beams.examples(records, make, beam=self._beam)

    def _as_dataset(self, *args, **kwargs):
        # Called by `as_dataset`, before it batches and picks the supervised keys.
        examples = super()._as_dataset(*args, **kwargs)
        if self._labels == "single":
            examples = examples.filter(lambda example: tf.size(example["label"]) == 1)
        return examples.map(self._presented, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)

    def _presented(self, example):
        label, image = example["label"], example["image"]
        if self._labels == "single":
            label = label[0]
        else:
            label = tf.reduce_sum(tf.one_hot(label, len(CLASSES), dtype=tf.int64), axis=0)
        if self._level == "random":
            image = compose(image, random_level(example["id"], self._seed))
        elif self._level != "none":
            image = compose(image, int(self._level))
        return example | {"image": image, "label": label}


def random_level(name: tf.Tensor, seed: int) -> tf.Tensor:
    """Draw a level from 1 to 4, an int32 scalar: a pure function of the name of an image and the seed."""
    return 1 + tf.cast(tf.strings.to_hash_bucket_strong(name, 4, key=[seed, 0]), tf.int32)


def _examples_of(record, *, dtype, skip):
    try:
        image = merge(record.paths)
        if image.dtype != dtype:
            raise ValueError(f"{record.paths[0]} has {image.dtype} pixels, others have {dtype}")
    except ValueError as error:
        skip(f"{record.id}: {error}")
        return
    yield record.id, {"id": record.id, "image": image, "label": list(record.classes), "group": record.id}


def _depth(record):
    return record.paths[0], merge(record.paths).dtype
