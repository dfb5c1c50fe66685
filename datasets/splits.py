"""Splits that keep the class balance and never cut a group."""

import hashlib
from collections import defaultdict
from collections.abc import Hashable, Sequence

SPLIT_FOLDERS = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}


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
