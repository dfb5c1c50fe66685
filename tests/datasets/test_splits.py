"""Splits: fractions, classes, groups, and folders that name them."""

from pathlib import Path

import pytest

from msrgan.datasets.records import Record
from msrgan.datasets.splits import check_all_named, named_by, split


def wells(count, size=1, classes=1, names=()):
    """Records in groups of a size, their classes in turn by group; every fifth of them names a split."""
    return [
        Record(f"{k}", f"well{k // size}", (), k // size % classes, dict(enumerate(names)).get(k % 5))
        for k in range(count)
    ]


def sizes(records, **arguments):
    parts = split(records, **arguments)
    assert list(parts) == ["train", "validation", "test"]
    assert sorted(sum(parts.values(), [])) == sorted(records)
    return [len(part) for part in parts.values()]


def test_splits_hold_70_15_and_15_percent_of_the_whole_and_of_each_class():
    records = wells(200, classes=2)
    assert sizes(records) == [140, 30, 30]
    parts = split(records)
    assert [sum(record.label for record in part) for part in parts.values()] == [70, 15, 15]
    assert parts["train"] == [record for record in records if record.group in {r.group for r in parts["train"]}]


def test_groups_are_not_cut():
    # 40 of class 0 and 20 of class 1, in wells of four: 15 % are 6 and 3.
    records = [Record(f"{k}", f"well{k // 4}", label=int(k >= 40)) for k in range(60)]
    parts = split(records, held_out=["validation"])
    groups = [{record.group for record in part} for part in parts.values()]
    assert not groups[0] & groups[1]
    # Of class 0 one well, and another while half of it fits (4 + 2 <= 6); of class 1 one, since 4 + 2 > 3.
    assert [sum(r.label == label for r in parts["validation"]) for label in (0, 1)] == [8, 4]
    assert parts["test"] == []
    assert parts["validation"] != split(records, held_out=["validation"], seed=1)["validation"]
    assert split(records[::-1], held_out=["validation"])["validation"] == parts["validation"][::-1]


def test_a_class_is_never_held_out_whole():
    one, two = Record("0", "a", label=0), [Record("1", "b", label=1), Record("2", "c", label=1)]
    parts = split([one, *two], held_out=["validation"])
    assert one in parts["train"]
    assert len(parts["validation"]) == 1
    assert sizes([one, *two]) == [2, 0, 1]


def test_a_group_of_two_classes_counts_for_its_first():
    # Two classes of ten patients: 15 % of 20 images are two patients of each, then of the 16 that are left one.
    records = [Record(f"{k}/{scan}", f"{k}", label=scan and 2 or k % 2) for k in range(20) for scan in (0, 1)]
    assert sizes(records) == [28, 4, 8]


def test_splits_that_are_named_are_kept():
    assert sizes(wells(200, names=("test",))) == [136, 24, 40]
    assert sizes(wells(200, names=("test", "train"))) == [136, 24, 40]
    assert sizes(wells(200, names=("validation",))) == [136, 40, 24]
    assert sizes(wells(200, names=("validation", "test"))) == [120, 40, 40]
    records = wells(200, names=("validation", "test"))
    assert split(records)["test"] == records[1::5]
    assert sizes(wells(200, names=("test",)), held_out=["validation"]) == [136, 24, 40]


def test_a_folder_at_the_top_names_a_split():
    names = {
        "Train/a": "train",
        "val/x/a": "validation",
        "validation/a": "validation",
        "TEST/a": "test",
        "a/val": None,
    }
    assert {name: named_by(Path("raw", name), Path("raw")) for name in names} == names


def test_all_images_name_a_split_or_none_does():
    records = [Record("a", "a", (Path("train/a.png"),), split="train"), Record("b", "b", (Path("b.png"),))]
    assert check_all_named(records[:1]) == {"train"}
    assert check_all_named(records[1:]) == set()
    with pytest.raises(ValueError, match="every image lies in one. Received: b.png. Move it."):
        check_all_named(records)
