"""Splits that keep the class balance and never cut a group."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

SPLITS = ("train", "validation", "test")
# Of the examples of no named split, for validation and for test each.
HELD_OUT = 0.15
SPLIT_FOLDERS = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}


def three_ways(
    examples: Iterable[Any],
    *,
    label: Callable[[Any], Hashable],
    group: Callable[[Any], str],
    named: Callable[[Any], str | None] = lambda example: None,
) -> dict[str, list]:
    """Split examples into 70 % train, 15 % validation and 15 % test, see `hold_out`; splits that are named are kept.

    Args:
        examples: all of them, in the order that every split keeps.
        label: the class of an example; one value for all where there are no classes.
        group: what must stay together.
        named: the split that an example already belongs to, one of `SPLITS`, or None. A validation or test split that
            no example names is held out of the examples that name train or none: 15 % of them.

    Returns:
        The examples of train, validation and test; a split may be empty, see `check_filled`.
    """
    examples = list(examples)
    splits = {name: [example for example in examples if named(example) == name] for name in ("validation", "test")}
    train = [example for example in examples if named(example) in (None, "train")]
    left = 1.0
    for name in ("test", "validation"):
        if not splits[name]:
            held = hold_out(list(map(label, train)), list(map(group, train)), fraction=HELD_OUT / left)
            splits[name] = [example for example, out in zip(train, held, strict=True) if out]
            train = [example for example, out in zip(train, held, strict=True) if not out]
            left -= HELD_OUT
    return {"train": train, **splits}


def check_filled(splits: Mapping[str, object], problem: str, remedy: str):
    """Raise the ValueError "`problem` for a NAME split. `remedy`" if a split is empty, which is any false value."""
    empty = [name for name, part in splits.items() if not part]
    if empty:
        raise ValueError(f"{problem} for a {' and a '.join(empty)} split. {remedy}")


def split_of(path: Path, folder: Path) -> str | None:
    """Return the split that a folder `train`, `val`, `validation` or `test` at the top of `folder` names, or None."""
    return SPLIT_FOLDERS.get(path.relative_to(folder).parts[0].lower())


def named_splits(items: Sequence[Any]) -> set[str]:
    """Return the splits that images name.

    Args:
        items: with a `path` and a `split`, which is None where no folder names it.

    Raises:
        ValueError: some images name a split and others do not.
    """
    named = {item.split for item in items}
    if None in named and len(named) > 1:
        stray = next(item.path for item in items if item.split is None)
        raise ValueError(f"With train, val or test folders every image lies in one. Received: {stray}. Move it.")
    return named - {None}


def hold_out(labels: Sequence[Hashable], groups: Sequence[str], *, fraction: float, seed: int = 0) -> list[bool]:
    """Choose which examples to hold out: about `fraction` of every class, whole groups only.

    A class keeps at least one group on either side where it has two or more; a class of a single group is
    not held out. The choice depends on the names of the groups and the seed, not on their order.

    Args:
        labels: class of each example; one value for all where there are no classes.
        groups: what must stay together: patient, well, field of view, source slide. A group that holds
            several classes counts for the class of its first example.
        fraction: in (0, 1).
        seed: another choice for another seed.

    Returns:
        For each example, whether it is held out.
    """
    sizes, label_of = defaultdict(int), {}
    for label, group in zip(labels, groups, strict=True):
        sizes[group] += 1
        label_of.setdefault(group, label)
    by_class = defaultdict(list)
    for group in sorted(sizes, key=lambda g: rank(g, seed)):
        by_class[label_of[group]].append(group)
    held = set()
    for members in by_class.values():
        wanted, taken = fraction * sum(sizes[g] for g in members), 0
        for group in members[:-1]:
            if taken and taken + sizes[group] / 2 > wanted:
                break
            held.add(group)
            taken += sizes[group]
    return [group in held for group in groups]


def rank(name: str, seed: int = 0) -> str:
    """Return a key that sorts names in an order drawn from the seed."""
    return hashlib.sha256(f"{seed}/{name}".encode()).hexdigest()
