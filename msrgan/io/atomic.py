"""Files and folders that appear whole or not at all: write beside, fsync, rename.

What is being written has a name beginning with ".msrgan-" and is locked by its process. The lock dies with the process,
however it ends: who writes the same file next takes the place of what a killed one left.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows has no flock
    fcntl = None

_PREFIX = ".msrgan-"
# Characters of a name that the temporary one ends with: a file name has 255 bytes, a character up to four.
_NAME = 55


@contextlib.contextmanager
def atomic(path: str | os.PathLike) -> Iterator[Path]:
    """Give a temporary path to write a file to, and rename it to `path` when the block ends well.

    The parent folders of `path` are made. After an error `path` is as it was before.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary, lock = _reserved(path, os.O_RDWR | os.O_CREAT)
    try:
        yield temporary
        _sync(temporary)
        os.chmod(temporary, 0o666 & ~_umask())  # mkstemp makes private files
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        _release(lock)


@contextlib.contextmanager
def atomic_folder(path: str | os.PathLike) -> Iterator[Path]:
    """Give a temporary folder to fill, and put it in the place of `path` when the block ends well.

    An existing folder is replaced: the caller decides beforehand whether it may be.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary, lock = _reserved(path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    old = temporary.with_name(f"{temporary.name}-old")
    try:
        if old.exists() and not path.exists():  # a process was killed between the two renames below
            old.rename(path)
        shutil.rmtree(old, ignore_errors=True)
        yield temporary
        for folder, _, names in os.walk(temporary):
            for name in names:
                _sync(os.path.join(folder, name))
        os.chmod(temporary, 0o777 & ~_umask())
        if path.exists():
            path.rename(old)
        temporary.rename(path)
        shutil.rmtree(old, ignore_errors=True)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        if old.exists() and not path.exists():
            old.rename(path)
        raise
    finally:
        _release(lock)


def _reserved(path: Path, flags: int) -> tuple[Path, int | None]:
    """Return an empty temporary file or folder beside a path, and the lock that tells it from a leftover.

    Its name follows from the path, so that a leftover is replaced; where another process is writing the same, or the
    file system has no locks, it is a name of its own.
    """
    name = path.name[-_NAME:]
    temporary = path.with_name(f"{_PREFIX}{name}")
    lock = _lock(temporary, flags)
    if lock is None:
        return _unique(path.parent, f"-{name}", is_file=bool(flags & os.O_CREAT)), None
    try:
        _empty(temporary, lock, is_file=bool(flags & os.O_CREAT))
    except BaseException:
        _release(lock)
        raise
    return temporary, lock


def _unique(folder: Path, suffix: str, *, is_file: bool) -> Path:
    if not is_file:
        return Path(tempfile.mkdtemp(dir=folder, prefix=_PREFIX, suffix=suffix))
    handle, name = tempfile.mkstemp(dir=folder, prefix=_PREFIX, suffix=suffix)
    os.close(handle)
    return Path(name)


def _release(lock: int | None) -> None:
    if lock is not None:
        os.close(lock)


def _lock(temporary: Path, flags: int) -> int | None:
    """Open a file or a folder, made if need be, and lock it; return its descriptor, None where that is impossible."""
    if fcntl is None:
        return None
    try:
        if not flags & os.O_CREAT:
            with contextlib.suppress(FileExistsError):
                os.mkdir(temporary, 0o700)
        lock = os.open(temporary, flags | os.O_NOFOLLOW, 0o600)
    except OSError:
        return None
    try:
        # On NFS Linux makes a lock of byte ranges of it; those need a file.
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Between opening and locking, its last holder may have given it its final name.
        if os.path.samestat(os.lstat(temporary), os.fstat(lock)):
            return lock
    except (BlockingIOError, FileNotFoundError):
        pass
    except OSError:  # a file system without locks
        with contextlib.suppress(OSError):
            (os.unlink if flags & os.O_CREAT else os.rmdir)(temporary)
    os.close(lock)
    return None


def _empty(temporary: Path, lock: int, *, is_file: bool) -> None:
    if is_file:
        return os.ftruncate(lock, 0)
    for entry in list(os.scandir(temporary)):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry)
        else:
            os.unlink(entry)


@contextlib.contextmanager
def writable_folder(path: str | os.PathLike) -> Iterator[Path]:
    """Make a folder if there is none, and find out now, not after hours of work, whether it can be written.

    Folders that it made and into which nothing was written are gone again when the block ends.

    Raises:
        OSError: it cannot be written.
    """
    path = Path(path)
    made = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        path.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path).close()
        yield path
    finally:
        with contextlib.suppress(OSError):  # not empty
            for folder in made:
                folder.rmdir()


def _sync(path: str | os.PathLike) -> None:
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask
