"""What is known of an example before its pixels are read."""

from pathlib import Path
from typing import Any, NamedTuple


class Record(NamedTuple):
    """One example to be: an image, a slide that gives many tiles, or a field to draw.

    Attributes:
        id: names it within its set.
        group: what a split never cuts: patient, plate well, field of view, source slide; the id itself where there is
            no such thing.
        paths: its files: one, one a channel, or none where it is drawn.
        label: its class, as its set takes it: an index, a name, several indices; None without one.
        split: the split that its place names, "train", "validation" or "test"; None if it names none.
        frame: which image of a stack it is, see `msrgan.io.frames`.
    """

    id: str
    group: str
    paths: tuple[Path, ...] = ()
    label: Any = None
    split: str | None = None
    frame: str = ""
