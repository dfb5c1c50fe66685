"""Tiles of equal size whose seams cannot be seen."""

from collections.abc import Iterator
from typing import NamedTuple


class Tile(NamedTuple):
    """One tile: `rows` and `columns` of a window (start, stop), and the part of it that is kept."""

    rows: tuple[int, int]
    columns: tuple[int, int]
    kept_rows: tuple[int, int]
    kept_columns: tuple[int, int]

    @property
    def window(self) -> tuple[slice, slice]:
        """Where the tile reads in the image."""
        return slice(*self.rows), slice(*self.columns)

    def outer(self, scale: int) -> tuple[slice, slice]:
        """Where the kept part lies in an image enlarged `scale` times."""
        return _scaled(self.kept_rows, 0, scale), _scaled(self.kept_columns, 0, scale)

    def inner(self, scale: int) -> tuple[slice, slice]:
        """Where the kept part lies in the enlarged window."""
        return _scaled(self.kept_rows, self.rows[0], scale), _scaled(self.kept_columns, self.columns[0], scale)


def tiles(height: int, width: int, *, tile: int, overlap: int) -> Iterator[Tile]:
    """Cover an image with windows of one shape, as few as can be; their kept parts partition it.

    A kept part has `overlap` or more pixels of its window on each side, except where the window ends with the
    image: there the network must see the border as it would in the whole image. So the result of a network
    whose receptive radius is at most `overlap` does not depend on the tiles.

    Args:
        height: rows of the image.
        width: columns of the image.
        tile: largest side of a kept part between two others; windows have sides up to tile + 2 overlap.
        overlap: least context.
    """
    columns = list(_spans(width, tile, overlap))
    for rows, kept_rows in _spans(height, tile, overlap):
        for window, kept in columns:
            yield Tile(rows, window, kept_rows, kept)


def _spans(size: int, tile: int, overlap: int) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Yield (window, kept) spans along one axis: windows evenly spread, cut midway where two overlap."""
    count = max(1, -(-(size - 2 * overlap) // tile))
    step = -(-(size - 2 * overlap) // count)
    window = min(size, step + 2 * overlap)
    # Neighbours start at most `step` apart, so they share 2 overlap pixels or more.
    starts = [i * (size - window) // max(count - 1, 1) for i in range(count)]
    cuts = [0, *((a + window + b) // 2 for a, b in zip(starts, starts[1:], strict=False)), size]
    for start, first, last in zip(starts, cuts, cuts[1:], strict=False):
        yield (start, start + window), (first, last)


def _scaled(span: tuple[int, int], origin: int, scale: int) -> slice:
    return slice((span[0] - origin) * scale, (span[1] - origin) * scale)
