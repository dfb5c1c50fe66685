"""Splits that keep the class balance and never cut a group."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from operator import attrgetter
from pathlib import Path

from msrgan.datasets.records import Record

SPLITS = ("train", "validation", "test")
# The fraction of all examples that a split holds which no folder names.
HELD_OUT = 0.15
# What split the name of a folder means.
FOLDERS = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}


def split(
    records: Sequence[Record],
    *,
    label: Callable[[Record], Hashable] = attrgetter("label"),
    held_out: Sequence[str] = ("test", "validation"),
    seed: int = 0,
) -> dict[str, list[Record]]:
    """Split records into train, validation and test: 70, 15 and 15 % of every class, whole groups only.

    Splits that records name are kept. A split of `held_out` that no record names is held out of the records that name
    train or none. A class keeps at least one group on either side where it has two or more; a class of a single group
    is not held out. What is held out depends on the names of the groups and the seed, not on their order.

    Args:
        records: all of them, in the order that every split keeps. A group of several classes counts for the class of
            its first record.
        label: the class of a record; one value for all where classes play no part.
        held_out: splits to make where there are none.
        seed: another choice for another seed.

    Returns:
        The records of each split; a split may be empty.
    """
    parts = {name: [record for record in records if record.split == name] for name in SPLITS[1:]}
    train = [record for record in records if record.split in (None, "train")]
    left = 1.0
    for name in held_out:
        if not parts[name]:
            groups = _choose(train, label, HELD_OUT / left, seed)
            parts[name] = [record for record in train if record.group in groups]
            train = [record for record in train if record.group not in groups]
            left -= HELD_OUT
    return {"train": train, **parts}


def named_by(path: Path, folder: Path) -> str | None:
    """Return the split that a folder `train`, `val`, `validation` or `test` at the top of `folder` names, or None."""
    return FOLDERS.get(path.relative_to(folder).parts[0].lower())


def check_all_named(records: Sequence[Record]) -> set[str]:
    """Return the splits that records name.

    Raises:
        ValueError: some records name a split and others do not.
    """
    named = {record.split for record in records}
    if None in named and len(named) > 1:
        stray = next(record.paths[0] for record in records if record.split is None)
        raise ValueError(f"With train, val or test folders every image lies in one. Received: {stray}. Move it.")
    return named - {None}


def rank(name: str, seed: int = 0) -> str:
    """Return a key that sorts names in an order drawn from the seed."""
    return hashlib.sha256(f"{seed}/{name}".encode()).hexdigest()


def _choose(records, label, fraction, seed):
    """Choose groups that hold about a fraction of every class."""
    sizes, label_of = defaultdict(int), {}
    for record in records:
        sizes[record.group] += 1
        label_of.setdefault(record.group, label(record))
    by_class = defaultdict(list)
    for group in sorted(sizes, key=lambda name: rank(name, seed)):
        by_class[label_of[group]].append(group)
    chosen = set()
    for groups in by_class.values():
        wanted, taken = fraction * sum(sizes[group] for group in groups), 0
        for group in groups[:-1]:
            if taken and taken + sizes[group] / 2 > wanted:
                break
            chosen.add(group)
            taken += sizes[group]
    return chosen
