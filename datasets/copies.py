"""Prepared copies of image sets on disk: whole, damaged, or left behind by a preparation that was killed."""

import shutil
import time
from pathlib import Path

import tensorflow_datasets as tfds
from google.protobuf import json_format

# A TFRecord holds, beside its bytes, their number (8) and two checksums (4 each).
FRAME = 16
# Seconds after which nothing more is written into a copy: its preparation was killed.
ABANDONED = 24 * 3600


class Copied:
    """Mixin of TFDS builders, before the builder: says what is wrong with a prepared copy, as TFRecord files."""

    def __init__(self, **kwargs):
        try:
            super().__init__(**kwargs)
        except (json_format.ParseError, UnicodeDecodeError) as error:
            raise _damaged(self.data_path, error) from error

    def as_dataset(self, *args, **kwargs):
        """Read splits as TFDS does; a ValueError if the copy is damaged, see `check`."""
        check(self.data_path)
        return super().as_dataset(*args, **kwargs)

    def download_and_prepare(self, **kwargs):
        """Prepare the set as TFDS does, and remove what preparations left of it that were killed over a day ago."""
        if self.data_path.exists() and not self.is_prepared():
            raise _damaged(self.data_path, "no dataset_info.json")
        for folder in Path(self.data_path).parent.glob("incomplete.*"):
            if time.time() - max(path.stat().st_mtime for path in (folder, *folder.rglob("*"))) > ABANDONED:
                shutil.rmtree(folder, ignore_errors=True)
        super().download_and_prepare(**kwargs)

    # TFDS prints sizes here, which it does not know before.
    def _log_download_bytes(self):
        print(f"preparing {self.name} in {self.data_path}")

    def _log_download_done(self):
        pass


def check(folder: Path) -> dict[str, int]:
    """Check a prepared copy as far as can be done without reading it; return the number of examples in each split.

    Args:
        folder: of one version of a set, with dataset_info.json.

    Raises:
        ValueError: a file is missing, cannot be read, or is shorter than it was written.
    """
    try:
        splits = tfds.builder_from_directory(folder).info.splits
        for name, split in splits.items():
            found = sum(Path(file).stat().st_size for file in split.filepaths)
            written = int(split.num_bytes) + FRAME * split.num_examples
            if found < written:
                raise ValueError(f"{name} has {found} bytes of {written}")
    except Exception as error:  # of broken files, TFDS passes on any error
        raise _damaged(folder, error) from error
    return {name: split.num_examples for name, split in splits.items()}


def _damaged(folder, reason):
    return ValueError(
        f"{folder} must be a whole prepared copy. Received: {str(reason).rstrip('.')}. Delete it and prepare it again."
    )
