"""history.csv, the record of a run: a row for every epoch."""

import csv
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from msrgan.messages import warn

FILE = "history.csv"


class History(keras.callbacks.Callback):
    """Write a row for every epoch.

    Args:
        rows: of the epochs before.
        write: rows -> None, writes the whole table.
    """

    def __init__(self, rows: list[dict], write: Callable[[list[dict]], None]):
        super().__init__()
        self.rows, self.write = rows, write

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Add a row and write the table anew."""
        # Keras hands out every number as a float.
        self.rows.append({"epoch": epoch, **logs, "step": int(logs["step"])})
        self.write(self.rows)


def rows_until(step: int, path: Path) -> list[dict]:
    """Read the rows up to a step; later ones will be computed again.

    A file that no run has written is set aside with a warning.
    """
    if not path.is_file():
        return []
    try:
        return [row for row in _rows(path) if int(row["step"]) <= step]
    except (ValueError, csv.Error) as error:
        aside = next(p for k in itertools.count(1) if not (p := path.with_name(f"history.bad{k}.csv")).exists())
        path.rename(aside)
        warn(f"{path} is no history of a run ({error}): set aside as {aside.name}.")
        return []


def _rows(path):
    """Read all rows; ValueError or csv.Error if it is none of a run."""
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file, strict=True))
    for row in rows:
        if not {"epoch", "step"} <= set(row) or None in row or None in row.values() or not row["step"].isdecimal():
            raise ValueError("no columns epoch and step, or rows that do not fit them")
    return rows
