"""What this machine can hold: free memory, free disk space."""

import os
import shutil
from pathlib import Path

# Of the memory that is free, what an image may take: its enlargement and the network need theirs.
_SHARE = 4
_UNKNOWN_MEMORY = 2**32


def free_memory() -> int:
    """Return the bytes of memory that programs can still use, 4 GiB where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError, IndexError):
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return _UNKNOWN_MEMORY


def free_disk(path: str | os.PathLike) -> int:
    """Return the free bytes of the disk that a path, there or not yet, lies on."""
    path = Path(path).absolute()
    return shutil.disk_usage(next(folder for folder in (path, *path.parents) if folder.exists())).free


def most_pixels() -> int:
    """Return how many pixels of one byte an image may have that is held in memory as a whole."""
    return free_memory() // _SHARE


def check_disk(path: str | os.PathLike, size: int) -> None:
    """Check that the disk of a path has room for a file of some bytes.

    Raises:
        ValueError: it has not.
    """
    free = free_disk(path)
    if size > free:
        raise ValueError(
            f"{path} takes {size_text(size)}. Received: a disk with {size_text(free)} left. Make room, or choose "
            "another disk"
        )


def size_text(size: float) -> str:
    """Write a number of bytes for people, as "1.5 GB"."""
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if size < 1000 or unit == "TB":
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "bytes" or size >= 100 else f"{size:.3g} {unit}"
