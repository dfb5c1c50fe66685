"""Tiles of equal size whose seams cannot be seen."""

from collections.abc import Iterator
from typing import NamedTuple


class Span(NamedTuple):
    """A tile along one axis: its window (start, stop), and the part of it that is kept."""

    window: tuple[int, int]
    kept: tuple[int, int]

    def outer(self, scale: int) -> slice:
        """Where the kept part lies in an image enlarged `scale` times."""
        return slice(self.kept[0] * scale, self.kept[1] * scale)

    def inner(self, scale: int) -> slice:
        """Where the kept part lies in the enlarged window."""
        return slice((self.kept[0] - self.window[0]) * scale, (self.kept[1] - self.window[0]) * scale)


def spans(size: int, *, tile: int, overlap: int) -> Iterator[Span]:
    """Cover one axis of an image with windows of one length, as few as can be; their kept parts partition it.

    A kept part has `overlap` or more pixels of its window on each side, except where the window ends with the
    image: there the network must see the border as it would in the whole image. So the result of a network
    whose receptive radius is at most `overlap` does not depend on the tiles. Windows are spread evenly, and cut midway
    where two overlap.

    Args:
        size: pixels along the axis.
        tile: largest kept part between two others; windows have up to tile + 2 overlap pixels.
        overlap: least context.
    """
    count = max(1, -(-(size - 2 * overlap) // tile))
    step = -(-(size - 2 * overlap) // count)
    window = min(size, step + 2 * overlap)
    # Neighbours start at most `step` apart, so they share 2 overlap pixels or more.
    starts = [i * (size - window) // max(count - 1, 1) for i in range(count)]
    cuts = [0, *((a + window + b) // 2 for a, b in zip(starts, starts[1:], strict=False)), size]
    for start, first, last in zip(starts, cuts, cuts[1:], strict=False):
        yield Span((start, start + window), (first, last))
