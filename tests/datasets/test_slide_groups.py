"""What shows one slide stays in one split: whole groups, whatever their sizes."""

import numpy as np
import pytest

from msrgan import datasets, io
from msrgan.datasets.records import Record
from msrgan.datasets.splits import split

SPLITS = ("train", "validation", "test")


def record(name, group, label):
    return Record(id=name, paths=(), group=group, label=label)


def write(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    io.write_pixels(path, np.random.default_rng(seed).integers(20, 180, (32, 32, 3), dtype=np.uint8))


@pytest.mark.parametrize("top", ["", "images"])
def test_a_slide_of_several_files_is_never_split(top, tmp_path):
    raw = tmp_path / "raw"
    files = [f"slide{k}/{name}.png" for k in range(8) for name in ("a", "b", "deep/c")] + ["alone.png"]
    for seed, name in enumerate(files):
        write(raw / top / name, seed)
    if top:
        write(raw / "labels" / "alone.png", 0)
    where = {"manual_dir": raw, "data_dir": tmp_path / "tfds"}
    of_file, of_group = {}, {}
    for part in SPLITS:
        for example in datasets.load("tissue:tile=32", part, **where).as_numpy_iterator():
            name = example["id"].decode().rsplit("_y", 1)[0]
            of_file[name.removeprefix(f"{top}/")] = part
            of_group.setdefault(example["group"].decode().removeprefix(f"{top}/"), set()).add(part)
    assert sorted(of_file) == sorted(files)
    for k in range(8):
        assert len({split for name, split in of_file.items() if name.startswith(f"slide{k}/")}) == 1
    assert sorted(of_group) == sorted([f"slide{k}" for k in range(8)] + ["alone.png"])
    assert all(len(splits) == 1 for splits in of_group.values())
    assert set(of_file.values()) == set(SPLITS)


@pytest.mark.parametrize("seed", range(20))
def test_groups_of_any_sizes_are_held_out_whole(seed):
    rng = np.random.default_rng(seed)
    groups = [f"group{g}" for g in rng.integers(0, rng.integers(3, 30), 150)]
    records = [record(f"{k}", group, f"class{rng.integers(0, 3)}") for k, group in enumerate(groups)]
    parts = split(records, seed=seed)
    owners = [{record.group for record in part} for part in parts.values()]
    assert sum(map(len, owners)) == len(set(groups))
    assert sorted(record.id for part in parts.values() for record in part) == sorted(r.id for r in records)
