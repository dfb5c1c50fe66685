"""A lock on a run folder, which dies with its process."""

import contextlib
import os
import weakref
from pathlib import Path

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
        # Closing the file frees the lock, also where `close` was forgotten.
        self._free = weakref.finalize(self, os.close, _hold(self.path))

    def close(self) -> None:
        """Free the folder; once is enough."""
        if self._free.alive:
            with contextlib.suppress(OSError):  # the folder may be gone
                self.path.unlink()
            self._free()


def _hold(path):
    """Open and lock a file; return its descriptor."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _flock(file, path)
            # Between opening and locking its last holder may have removed the file: then it locks nothing.
            if os.path.exists(path) and os.path.samestat(os.stat(path), os.fstat(file)):
                os.ftruncate(file, 0)
                os.write(file, b"%d\n" % os.getpid())
                return file
        except BaseException:
            os.close(file)
            raise
        os.close(file)


def _flock(file, path):
    if fcntl is None:
        return
    try:
        # On NFS Linux makes a lock of byte ranges of it, seen by all machines if the server keeps locks (lockd).
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(file, 20).decode(errors="replace").strip() or "unknown"
        raise ValueError(
            f"{path.parent} is in use by another run (process {holder}). Wait for its end, or use another `out`."
        ) from None
    except OSError as error:  # a file system without locks
        warn(f"{path.parent} cannot be locked ({error.strerror}): start no second run in it.")
