"""Tables that people wrote, as CSV."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path


def rows(table: Path, columns: Sequence[str], *, errors: str = "strict") -> Iterator[tuple[int, dict[str | None, str]]]:
    """Read a table row by row.

    Args:
        table: CSV in UTF-8, its first line the names of the columns.
        columns: those it must have.
        errors: what becomes of bytes that are not UTF-8, see `open`.

    Yields:
        The line of a row in the file, counted from 1, and {column: cell}, a cell that is not there empty. What stands
        in cells beyond the columns is one text under the key None.

    Raises:
        ValueError: it cannot be read, or lacks a column.
    """
    try:
        with open(table, newline="", encoding="utf-8-sig", errors=errors) as file:
            reader = csv.DictReader(file, restval="")
            header = reader.fieldnames or ()
            if not set(columns) <= set(header):
                raise ValueError(
                    f"{table} must have the columns {' and '.join(columns)}. Received: {', '.join(header)}. "
                    "Save it as CSV, with commas."
                )
            for row in reader:
                yield reader.line_num, row | {None: ", ".join(filter(str.strip, row.get(None, [])))}
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{table} cannot be read as a table: {error}. Save it as CSV in UTF-8.") from error
