"""A run folder: what was run, on what, and what came out; enough to resume, to reproduce and to cite."""

import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Collection
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import keras

from msrgan.io.atomic import atomic

PACKAGES = ("msrgan", "tensorflow", "keras", "numpy", "tensorflow-datasets")
# What a run of either stage leaves in its folder.
LEAVES = ("checkpoints", "logs", "samples", "model", "config.json", "history.csv", "generator.keras")
LEAVES += ("vgg.keras", "classes.json", "per_class.csv", "confusion.png", "scores.png")


class Run:
    """A folder `--out`, with config.json, history.csv, checkpoints/, logs/ and samples/.

    Args:
        folder: made if it does not exist.
        arguments: every option of the run, resolved.
        data: what identifies the training images.
        free: names of arguments that may differ when the run goes on.
        later: names that may be null at first, and then may not change.
        resume: go on with what the folder holds; otherwise what an earlier run left is removed.
        writes: whether this process writes (under several workers only the chief does).

    Raises:
        ValueError: the folder holds a run of another configuration.
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
        if not resume and writes:
            self._clear()
        config = {
            "arguments": {k: str(v) if isinstance(v, Path) else v for k, v in arguments.items()},
            "data": data,
        }
        if resume and (folder / "config.json").is_file():
            self._check_same(config)
        if writes:
            for part in (folder, self.checkpoints):
                part.mkdir(parents=True, exist_ok=True)
            about = {"command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]), "versions": _versions()}
            self.write_json("config.json", config | about | {"git_commit": _git_commit()})

    def __enter__(self):
        """Begin."""
        return self

    def __exit__(self, *error):
        """End."""

    def write_json(self, name: str, content: dict):
        """Write a file of the folder, whole or not at all."""
        with atomic(self.folder / name) as file:
            file.write_text(json.dumps(content, indent=2) + "\n")

    def write_network(self, name: str, network: keras.Model):
        """Write a Keras model, whole or not at all."""
        with atomic(self.folder / name) as file:
            network.save(file)

    def write_table(self, name: str, rows: list[dict]):
        """Write rows as CSV, whole or not at all; a column for every key of any row."""
        columns = list(dict.fromkeys(key for row in rows for key in row))
        with atomic(self.folder / name) as path, open(path, "w", newline="") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(rows)

    def history(self, until: int) -> "History":
        """Open history.csv; rows after step `until` are forgotten, they will be computed again."""
        path = self.folder / "history.csv"
        rows = []
        if path.is_file():
            with open(path, newline="") as file:
                rows = [row for row in csv.DictReader(file) if int(row["step"]) <= until]
        return History(self, rows)

    def _before(self):
        """Read the config.json of an earlier run."""
        try:
            before = json.loads((self.folder / "config.json").read_text())
            return before["arguments"], before["data"]
        except (ValueError, KeyError, TypeError):
            raise ValueError(
                f"{self.folder / 'config.json'} is not that of a run of this program. Use another --out."
            ) from None

    def _clear(self):
        """Remove what an earlier run left, and nothing else: a folder without its config.json is not touched."""
        if not (self.folder / "config.json").is_file():
            return
        self._before()
        for name in LEAVES:
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
                "Use the same flags to go on, another --out, or --no-resume to start anew."
            )

    def _differs(self, name, old, new):
        return name not in self.free and old != new and not (name in self.later and None in (old, new))


class History(keras.callbacks.Callback):
    """Write a row of history.csv for every epoch; made by `Run.history`."""

    def __init__(self, run: Run, rows: list[dict]):
        super().__init__()
        self.run, self.rows = run, rows

    def on_epoch_end(self, epoch, logs=None):
        """Add a row and write the table anew."""
        # Keras hands out every number as a float.
        self.rows.append({"epoch": epoch, **logs, "step": int(logs["step"])})
        self.run.write_table("history.csv", self.rows)


def _versions():
    found = {"python": sys.version.split()[0]}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def _git_commit():
    """Return the commit of the source tree, or None where it is installed without one."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None
    try:
        found = subprocess.run(["git", "-C", root, "rev-parse", "HEAD"], capture_output=True, text=True)
    except OSError:
        return None
    return found.stdout.strip() or None
