"""What shows one slide stays in one split: whole groups, whatever their sizes."""

import numpy as np
import pytest

from msrgan import datasets, io
from msrgan.datasets.splits import hold_out, three_ways

SPLITS = ("train", "validation", "test")


def write(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    io.write(path, np.random.default_rng(seed).integers(20, 180, (32, 32, 3), dtype=np.uint8))


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
    for split in SPLITS:
        for example in datasets.load("tissue:tile=32", split, **where).as_numpy_iterator():
            name = example["id"].decode().rsplit("_y", 1)[0]
            of_file[name.removeprefix(f"{top}/")] = split
            of_group.setdefault(example["group"].decode().removeprefix(f"{top}/"), set()).add(split)
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
    labels = [f"class{rng.integers(0, 3)}" for _ in groups]
    held = hold_out(labels, groups, fraction=0.3, seed=seed)
    assert not {g for g, out in zip(groups, held, strict=True) if out} & {
        g for g, out in zip(groups, held, strict=True) if not out
    }
    examples = list(zip(labels, groups, strict=True))
    parts = three_ways(examples, label=lambda e: e[0], group=lambda e: e[1])
    owners = [{group for _, group in part} for part in parts.values()]
    assert sum(map(len, owners)) == len(set(groups))
    assert sorted(e for part in parts.values() for e in part) == sorted(examples)
