"""A run folder: what was run, on what, and what came out; enough to resume, to reproduce and to cite."""

import contextlib
import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import keras

from msrgan.io.atomic import atomic
from msrgan.messages import versions
from msrgan.training.history import FILE, History, rows_until
from msrgan.training.lock import Lock

# What a run of either stage leaves in its folder.
LEFT = ("checkpoints", "logs", "samples", "model", "config.json", "history.csv", "generator.keras")
LEFT += ("vgg.keras", "classes.json", "per_class.csv", "confusion.png", "scores.png")
# What a run adds to, where it finds it.
CONTINUED = ("checkpoints", "logs", "samples", "history.csv")


class Run:
    """A folder `out`, with config.json, history.csv, checkpoints/, logs/ and samples/.

    It is held for this process, by a lock that other runs respect, until the `with` block or the process ends:

        with Run(folder, arguments=..., data=...) as run:
            ...

    Args:
        folder: made if it does not exist.
        arguments: every option of the run, resolved.
        data: what identifies the training images.
        free: names of arguments that may differ when the run goes on.
        later: names that may be null at first, and then may not change.
        resume: go on with what the folder holds; otherwise what an earlier run left is removed.
        writes: whether this process writes (under several workers only the chief does, and has the lock).

    Raises:
        ValueError: the folder holds a run of another configuration, parts of a run without its config.json, or a run
            that is on.
        OSError: the folder cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        *,
        arguments: dict[str, Any],
        data: dict[str, Any],
        free: Collection[str] = (),
        later: Collection[str] = (),
        resume: bool = True,
        writes: bool = True,
    ):
        self.folder, self.free, self.later = folder, free, later
        self.checkpoints, self.logs, self.samples = (folder / n for n in ("checkpoints", "logs", "samples"))
        config = {
            "arguments": {k: str(v) if isinstance(v, Path) else v for k, v in arguments.items()},
            "data": data,
        }
        self._lock = None
        if writes:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = Lock(folder)
        try:
            self._prepare(config, resume)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """Free the folder for other runs."""
        if self._lock is not None:
            self._lock.close()

    def write_json(self, name: str, content: dict) -> None:
        """Write a file of the folder, whole or not at all."""
        with self._written(name) as file:
            file.write_text(json.dumps(content, indent=2) + "\n")

    def write_network(self, name: str, network: keras.Model) -> None:
        """Write a Keras model, whole or not at all."""
        with self._written(name) as file:
            network.save(file)

    def write_table(self, name: str, rows: list[dict]) -> None:
        """Write rows as CSV, whole or not at all; a column for every key of any row."""
        columns = list(dict.fromkeys(key for row in rows for key in row))
        with self._written(name) as path, open(path, "w", newline="") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(rows)

    def history(self, until: int) -> History:
        """Open history.csv; rows after step `until` are forgotten, they will be computed again."""
        return History(rows_until(until, self.folder / FILE), partial(self.write_table, FILE))

    @contextlib.contextmanager
    def _written(self, name: str) -> Iterator[Path]:
        """Give a path for the content of a file of the folder, if the folder is still there."""
        if not (self.folder / "config.json").is_file():
            raise FileNotFoundError(f"{self.folder} was removed or emptied while the run was on. Start it anew.")
        with _atomic(self.folder / name) as file:
            yield file

    def _prepare(self, config, resume):
        self._check_known()
        known = (self.folder / "config.json").is_file()
        if known and resume:
            self._check_same(config)
        if self._lock is None:
            return
        if known and not resume:
            self._clear()
        self.checkpoints.mkdir(exist_ok=True)
        about = {"command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]), "versions": versions()}
        content = config | about | {"git_commit": _git_commit()}
        with _atomic(self.folder / "config.json") as file:
            file.write_text(json.dumps(content, indent=2) + "\n")

    def _check_known(self):
        """Refuse what a run would go on with, where config.json does not tell of which run it is."""
        if (self.folder / "config.json").is_file():
            return
        parts = [path for path in (self.folder / name for name in CONTINUED) if path.is_file() or _holds_files(path)]
        if parts:
            raise ValueError(
                f"{self.folder} holds {', '.join(path.name for path in parts)}, but no config.json that tells of which "
                "run. Remove them, or use another `out`."
            )

    def _before(self):
        """Read the config.json of an earlier run."""
        try:
            before = json.loads((self.folder / "config.json").read_text())
            return before["arguments"], before["data"]
        except (ValueError, KeyError, TypeError):
            raise ValueError(
                f"{self.folder / 'config.json'} is not that of a run of this program. Use another `out`."
            ) from None

    def _clear(self):
        """Remove what an earlier run left, and nothing else."""
        self._before()
        for name in LEFT:
            path = self.folder / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def _check_same(self, config):
        old, data = self._before()
        now = json.loads(json.dumps(config))
        new = now["arguments"]
        changed = [f"{k} was {old.get(k)!r}, now {v!r}" for k, v in new.items() if self._differs(k, old.get(k), v)]
        if not changed:
            changed = [f"{k} changed" for k, v in now["data"].items() if self._differs(k, data.get(k), v)]
        if changed:
            raise ValueError(
                f"{self.folder} holds a run of another configuration: {'; '.join(changed)}. "
                "Use the same arguments to go on, another `out`, or start anew by `resume`."
            )

    def _differs(self, name, old, new):
        return name not in self.free and old != new and not (name in self.later and None in (old, new))


def _holds_files(folder):
    return any(path.is_file() for path in folder.rglob("*"))


@contextlib.contextmanager
def _atomic(path):
    """Like `atomic`, with the path in the errors of the system: a full disk names none."""
    try:
        with atomic(path) as file:
            yield file
    except OSError as error:
        if error.strerror and not error.filename:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def _git_commit():
    """Return the commit of the source tree, or None where it is installed without one."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        commit = subprocess.run(["git", "-C", root, "rev-parse", "HEAD"], capture_output=True, text=True)
    except OSError:
        return None
    return commit.stdout.strip() or None
