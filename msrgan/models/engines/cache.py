"""Conversions of models, kept in the cache folder of the user.

A conversion lies in a folder named by a digest of what it follows from: the model (its fingerprint), the engine, the
precision and the version of the converter. A change of one of them makes another folder. In it `digests.json` holds the
SHA-256 of each file: one that was damaged is made anew. Nothing is ever read from the folder of the model: it may come
from a stranger, and its operations are checked, where those of a conversion are not.
"""

import contextlib
import hashlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msrgan.io.atomic import atomic_folder

VARIABLE = "MSRGAN_CACHE"
_DIGESTS = "digests.json"


def root() -> Path:
    """Return the folder of all conversions: MSRGAN_CACHE, or the place that the system has for caches."""
    if os.environ.get(VARIABLE):
        return Path(os.environ[VARIABLE])
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        # The XDG Base Directory Specification takes absolute paths only.
        base = Path(os.environ.get("XDG_CACHE_HOME") or "")
        base = base if base.is_absolute() else Path.home() / ".cache"
    return base / "msrgan"


def conversion(metadata: dict[str, Any], write: Callable[[Path], None], **of: str) -> Path:
    """Return the folder of the conversion of a model, made if there is none that is whole.

    Args:
        metadata: card of the model, with the fingerprint.
        write: fills an empty folder with the conversion.
        of: what else it follows from: engine, precision, version of the converter.

    Raises:
        OSError: it cannot be written.
    """
    key = json.dumps({"fingerprint": metadata["fingerprint"], **of}, sort_keys=True)
    folder = root() / hashlib.sha256(key.encode()).hexdigest()[:32]
    if _is_whole(folder):
        return folder
    try:
        # What runs as a program is for the user alone to write.
        folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with atomic_folder(folder) as temporary:
            write(temporary)
            digests = _digests(temporary)
            (temporary / _DIGESTS).write_text(json.dumps(digests, indent=1) + "\n")
    except OSError as error:
        # Another process may have made it meanwhile.
        if not _is_whole(folder):
            reason = error.strerror or error
            raise OSError(
                f"{folder}: a converted model cannot be kept ({reason}). Name another folder by {VARIABLE}"
            ) from error
    return folder


def _is_whole(folder: Path) -> bool:
    """Tell whether the files of a folder are those that were written."""
    with contextlib.suppress(OSError, ValueError):
        return json.loads((folder / _DIGESTS).read_bytes()) == _digests(folder)
    return False


def _digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != _DIGESTS)
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
