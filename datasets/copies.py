"""Prepared copies of image sets on disk: whole, damaged, or left behind by a preparation that was killed."""

import contextlib
import os
import shutil
from pathlib import Path

import tensorflow_datasets as tfds
from google.protobuf import json_format

# A TFRecord holds, beside its bytes, their number (8) and two checksums (4 each).
FRAME = 16


class Copied:
    """Mixin of TFDS builders that says what is wrong with a prepared copy, and leaves nothing but whole ones."""

    def __init__(self, **kwargs):
        try:
            super().__init__(**kwargs)
        except (json_format.ParseError, UnicodeDecodeError) as error:
            raise _damaged(self.data_path, error) from error

    def as_dataset(self, *args, **kwargs):
        """Read splits as TFDS does; a ValueError if the copy is damaged, see `count`."""
        count(self.data_path)
        return super().as_dataset(*args, **kwargs)

    def download_and_prepare(self, **kwargs):
        """Prepare the set as TFDS does, and remove what killed preparations left of it."""
        if self.data_path.exists() and not self.is_prepared():
            raise _damaged(self.data_path, "no dataset_info.json")
        root = Path(self.data_dir_root)
        made = not root.exists()
        with contextlib.ExitStack() as self._claims:
            copies = Path(self.data_path).parent
            self._claims.callback(_remove_empty, copies, root, made)
            for folder in copies.glob("incomplete.*"):
                if _claim(folder, self._claims):
                    shutil.rmtree(folder, ignore_errors=True)
            super().download_and_prepare(**kwargs)

    def _download_and_prepare(self, *args, **kwargs):
        _claim(self.data_path, self._claims)  # of this name until it is complete: incomplete.*
        super()._download_and_prepare(*args, **kwargs)

    # TFDS prints sizes here, which it does not know before.
    def _log_download_bytes(self):
        print(f"preparing {self.name} in {self.data_path}")

    def _log_download_done(self):
        pass


def count(folder: Path) -> dict[str, int]:
    """Count the examples in each split of a prepared copy.

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


def _claim(folder, claims):
    """Lock a folder until `claims` ends; tell whether it was this process that could.

    A lock ends with its process, however that ends. Where folders have no locks (Windows, some network drives) nothing
    is known of its owner.
    """
    try:
        import fcntl

        descriptor = os.open(folder, os.O_RDONLY)
        claims.callback(os.close, descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ImportError, OSError):
        return False
    return True


def _remove_empty(configuration, root, made):
    """Remove the folders that TFDS made and left empty, the root if it was made now."""
    with contextlib.suppress(OSError):
        configuration.rmdir()
        if [path.name for path in configuration.parent.iterdir()] == [".config"]:  # it names the default configuration
            shutil.rmtree(configuration.parent / ".config")
        configuration.parent.rmdir()
    for folder in (root / "downloads" / "extracted", root / "downloads", *([root] if made else [])):
        with contextlib.suppress(OSError):
            folder.rmdir()
