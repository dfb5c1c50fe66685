"""A lock on a run folder, which dies with its process."""

import contextlib
import os
from pathlib import Path
from typing import IO

from msrgan.messages import warn

try:
    import fcntl
except ImportError:  # Windows has no flock
    fcntl = None

NAME = ".lock"


class Lock:
    """Hold a folder for this process, until `close` or the end of the process, however it ends.

    Args:
        folder: of which there is one run at a time.

    Raises:
        ValueError: another run holds it.
        OSError: the folder cannot be written.
    """

    def __init__(self, folder: Path):
        self.path = folder / NAME
        self._file: IO[str] | None = _hold(self.path)

    def close(self) -> None:
        """Free the folder; once is enough."""
        if self._file is not None:
            with contextlib.suppress(OSError):  # the folder may be gone
                self.path.unlink()
            self._file.close()
            self._file = None


def _hold(path):
    while True:
        file = open(path, "a+")  # noqa: SIM115  open as long as the lock is held
        try:
            _flock(file, path)
            # Between opening and locking its last holder may have removed the file: then it locks nothing.
            if os.path.exists(path) and os.path.samestat(os.stat(path), os.fstat(file.fileno())):
                file.truncate(0)
                file.write(f"{os.getpid()}\n")
                file.flush()
                return file
        except BaseException:
            file.close()
            raise
        file.close()


def _flock(file, path):
    if fcntl is None:
        return
    try:
        # On NFS Linux makes a lock of byte ranges of it, seen by all machines if the server keeps locks (lockd).
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        raise ValueError(
            f"{path.parent} is in use by another run (process {holder}). Wait for its end, or use another `out`."
        ) from None
    except OSError as error:  # a file system without locks
        warn(f"{path.parent} cannot be locked ({error.strerror}): start no second run in it.")
