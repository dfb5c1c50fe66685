"""The one base class of the registered sets: options, what is skipped, prepared copies, Apache Beam."""

import abc
import inspect
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds
from google.protobuf import json_format

from msrgan import messages, options_text
from msrgan.datasets import beam, copies, splits
from msrgan.datasets.records import Record
from msrgan.datasets.tally import Tally

# The section of a set's README.md that tells how to get its raw files.
RAW_FILES = "## Raw files\n"


class Builder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """A set that TFDS prepares from raw files, which the user has.

    A subclass lives in a folder of its own, beside README.md (what the set holds; under "Raw files", how to get them)
    and CITATIONS.bib. It says its `features` and its licence, lists its `records` and gives a `reader` of them. A file
    that cannot be read is named and skipped.

    Args:
        config: name of a configuration, or one.
        data_dir: folder of prepared copies; default `~/tensorflow_datasets`.
        version: of the set, if not the newest.
        file_format: of a prepared copy, if not TFRecord.
        **options: of this set, see its `OPTIONS`.

    Raises:
        ValueError: there is no such configuration or option, or the prepared copy is damaged.
    """

    HOMEPAGE: ClassVar[str | None] = None
    LICENCE: ClassVar[str]
    # {option: its default}; an option `beam`, "on" or "off", is common to the sets that have it.
    OPTIONS: ClassVar[dict[str, Any]] = {}
    # Of what a split needs one, and what that takes, for the error where there is none.
    NEEDS: ClassVar[tuple[str, str]] = ("readable images", "At least one class needs three images.")

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        # TFDS looks for it below the package `msrgan`, where it does not lie before the project is installed.
        cls.pkg_dir_path = Path(inspect.getfile(cls)).parent
        readme = cls.pkg_dir_path / "README.md"
        if readme.is_file():
            cls.MANUAL_DOWNLOAD_INSTRUCTIONS = (
                readme.read_text(encoding="utf-8").partition(RAW_FILES)[2].strip() or None
            )

    def __init__(
        self, *, config: Any = None, data_dir: Any = None, version: Any = None, file_format: Any = None, **options: Any
    ):
        self.options = options_text.resolve(options, self.OPTIONS, of=self.name)
        self._beam = beam.is_on(self.options.get("beam", "off"))
        try:
            super().__init__(
                config=self.configuration(config), data_dir=data_dir, version=version, file_format=file_format
            )
        except (json_format.ParseError, UnicodeDecodeError) as error:
            raise copies.damaged(self.data_path, error) from error

    def configuration(self, config: Any) -> Any:
        """Return the configuration that a name, or None, and the options make."""
        return config

    @abc.abstractmethod
    def features(self) -> dict[str, Any]:
        """Return the TFDS features of an example, besides its id and its group, which every set has."""

    @abc.abstractmethod
    def records(self, folder: Path | None, tally: Tally) -> list[Record]:
        """List what the set is made of.

        Args:
            folder: of the raw files; None for a set without.
            tally: told of what is left out.

        Raises:
            FileNotFoundError: the folder does not hold what it should.
            ValueError: nothing of it can be used.
        """

    @abc.abstractmethod
    def reader(self) -> Callable[[Record], Iterator[beam.Example]]:
        """Return the function that reads a record: its examples, each with a key that is unique in the set.

        It raises ValueError, naming the file, if the record cannot be read. It is pickled for Apache Beam, and so
        knows nothing of this builder.
        """

    def label(self, records: Sequence[Record]) -> Callable[[Record], Any]:
        """Return the function from a record to the class whose balance the splits keep."""
        return lambda record: record.label

    def _info(self):
        features = {"id": tfds.features.Text(), **self.features(), "group": tfds.features.Text()}
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(features),
            supervised_keys=("image", "label") if "label" in features else None,
            homepage=self.HOMEPAGE,
            license=self.LICENCE,
        )

    # What TFDS calls, in this order, when a set is prepared.

    def download_and_prepare(
        self, *, download_config: tfds.download.DownloadConfig | None = None, **kwargs: Any
    ) -> None:
        """Prepare the set as TFDS does, and remove what killed preparations left of it.

        With `beam="on"` it runs in this process unless the configuration names a runner.
        """
        if self.data_path.exists() and not self.is_prepared():
            raise copies.damaged(self.data_path, "no dataset_info.json")
        copies.remove_abandoned(Path(self.data_path).parent)
        if self._beam:
            download_config = beam.in_process(download_config)
        super().download_and_prepare(download_config=download_config, **kwargs)

    def _log_download_bytes(self):
        # TFDS would print here that it downloads, and sizes that it does not know; there is no other way to stop it.
        messages.say(f"preparing {self.name} in {self.data_path}")

    def _split_generators(self, dl_manager):
        copies.sign(Path(self.data_path))
        self._tally = Tally(self.name)
        folder = Path(dl_manager.manual_dir) if self.MANUAL_DOWNLOAD_INSTRUCTIONS else None
        records = self.records(folder, self._tally)
        parts = splits.split(records, label=self.label(records))
        self._check(folder, parts)
        if self._beam:
            messages.say(f"{len(records)} raw images go through Apache Beam, which shows no progress")
        return {name: self._generate_examples(part) for name, part in parts.items()}

    def _check(self, folder, parts):
        """Refuse before anything is written what would fail at the end of a long preparation."""
        read = self.reader()

        def sample(record):
            _, example = next(read(record))
            return record.paths, getattr(example["image"], "dtype", self._dtype)

        samples = {name: self._tally.first(sample, part) for name, part in parts.items()}
        empty = [name for name, known in samples.items() if known is None]
        if empty:
            needed, remedy = self.NEEDS
            groups = len({record.group for part in parts.values() for record in part})
            raise ValueError(
                f"{folder} has too few {needed} for a {' and a '.join(empty)} split. {remedy} "
                f"Received: {groups}.{self._tally.why()}"
            )
        for paths, dtype in samples.values():
            if dtype != self._dtype:
                config = f"{dtype.itemsize * 8}bit"
                known = config in self.builder_configs
                remedy = f"Use `data` {self.name}/{config}" if known else "Save it with 8 or 16 bits"
                raise ValueError(f"{paths[0]} has {dtype} pixels, this copy of {self.name} has not. {remedy}.")

    def _generate_examples(self, records):
        read = partial(_of_depth, read=self.reader(), dtype=self._dtype)
        return beam.examples(records, read, skip=self._tally.skip, beam=self._beam)

    def _process_pipeline_result(self, pipeline_result):
        self._tally.skipped += beam.skipped(pipeline_result)

    def _log_download_done(self):
        pass

    def _post_download_and_prepare_hook(self):
        copies.unsign(Path(self.data_path))
        self._tally.report(self.info.splits.total_num_examples, Path(self.data_path) / "skipped.txt")

    # Reading.

    def as_dataset(self, split: Any = None, **kwargs: Any) -> Any:
        """Read splits as TFDS does; a ValueError if the copy is damaged, see `copies.check`."""
        copies.check(self.data_path)
        return super().as_dataset(split, **kwargs)

    @property
    def _dtype(self) -> np.dtype:
        return np.dtype(self.info.features["image"].np_dtype)


def _of_depth(record, read, dtype):
    """Read a record, and refuse images of another bit depth than the samples that were looked at before the work."""
    for key, example in read(record):
        received = getattr(example["image"], "dtype", dtype)
        if received != dtype:
            raise ValueError(f"{record.paths[0]} has {received} pixels, others have {dtype}")
        yield key, example
