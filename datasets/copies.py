"""Prepared copies of image sets on disk: whole, damaged, or left behind by a preparation that was killed."""

import json
import os
import shutil
import socket
import time
from pathlib import Path

import tensorflow_datasets as tfds

# A TFRecord holds, beside its bytes, their number (8) and two checksums (4 each).
FRAME = 16
# Seconds of silence after which a preparation of an unknown process, or of another machine's, was killed.
ABANDONED = 24 * 3600
# In the folder of an unfinished copy: who makes it.
PREPARER = "preparer.json"


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
            size = sum(Path(file).stat().st_size for file in split.filepaths)
            written = int(split.num_bytes) + FRAME * split.num_examples
            if size < written:
                raise ValueError(f"{name} has {size} bytes of {written}")
    except Exception as error:  # of broken files, TFDS passes on any error
        raise damaged(folder, error) from error
    return {name: split.num_examples for name, split in splits.items()}


def damaged(folder: Path, reason: object) -> ValueError:
    """Return the error that names a damaged copy."""
    return ValueError(
        f"{folder} must be a whole prepared copy. Received: {str(reason).rstrip('.')}. Delete it and prepare it again."
    )


def sign(folder: Path) -> None:
    """Write into the folder of an unfinished copy which process of which machine makes it."""
    (folder / PREPARER).write_text(json.dumps({"machine": _machine(), "process": os.getpid()}))


def unsign(folder: Path) -> None:
    """Remove what `sign` wrote from a finished copy."""
    (folder / PREPARER).unlink(missing_ok=True)


def remove_abandoned(folder: Path) -> None:
    """Remove what killed preparations left in the folder of the versions of a set.

    A preparation of this machine is dead with its process; of others, another machine's among them, silence tells.
    """
    for unfinished in folder.glob("incomplete.*"):
        if _is_dead(unfinished) or _is_silent(unfinished):
            shutil.rmtree(unfinished, ignore_errors=True)


def _is_dead(unfinished):
    try:
        preparer = json.loads((unfinished / PREPARER).read_text())
        machine, process = preparer["machine"], int(preparer["process"])
    except (OSError, ValueError, KeyError, TypeError):
        return False  # not signed, or killed while it was
    if machine != _machine():
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass  # another user's
    return False


def _is_silent(unfinished):
    try:
        last = max(path.stat().st_mtime for path in (unfinished, *unfinished.rglob("*")))
    except FileNotFoundError:  # it has just been finished, or removed
        return False
    return time.time() - last > ABANDONED


def _machine():
    """Name what process numbers are unique in: a machine or, where there are such, a container of it."""
    try:
        return f"{socket.gethostname()} {os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return socket.gethostname()
