import os
from pathlib import Path

import pytest

from msrgan.io import targets


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """Two folders of empty files, seen from their parent."""
    for name in ("a/1.tif", "a/deep/2.png", "a/deep/s.zarr/0", "b/1.tif", "b/notes.csv", "b/labels/1.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pairs(*inputs, **options):
    return [(str(job.source), str(job.target)) for job in targets.plan(inputs, "out", **options).jobs]


def test_a_folder_is_mirrored_and_several_have_a_folder_each(tree):
    first = [("a/1.tif", "out/1.tif"), ("a/deep/2.png", "out/deep/2.png"), ("a/deep/s.zarr", "out/deep/s.zarr")]
    assert pairs("a") == first
    assert pairs("a", "b") == [
        *[(source, target.replace("out", "out/a")) for source, target in first],
        ("b/1.tif", "out/b/1.tif"),
    ]
    assert targets.plan(["b"], "out").passed_over() == "passed over 1 file that is no image: 1 .csv"


def test_patterns_are_mirrored_below_what_has_no_wildcard(tree):
    assert pairs("*/1.tif") == [("a/1.tif", "out/a/1.tif"), ("b/1.tif", "out/b/1.tif")]
    assert pairs("a/**/*.png") == [("a/deep/2.png", "out/deep/2.png")]
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        pairs("*.czi")


def test_files_get_the_suffix_and_the_name_of_the_format(tree):
    assert pairs("a/1.tif", suffix="_x4", format="ome-zarr-0.4") == [("a/1.tif", "out/1_x4.ome.zarr")]
    with pytest.raises(ValueError, match="`suffix` is part of a file name"):
        pairs("a", suffix="/../../evil")


def test_two_inputs_with_one_output_are_not_both_done(tree):
    (tree / "a" / "1.czi").touch()
    plan = targets.plan(["a/1.tif", "b/1.tif", "a/1.tif"], "out")
    assert [job.source for job in plan.jobs] == [Path("a/1.tif")]
    assert plan.refused == {Path("b/1.tif"): "its output would be that of a/1.tif, out/1.tif. Rename one of them"}


def test_no_output_leaves_its_folder(tree, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (tree / "out").mkdir()
    (tree / "out" / "deep").symlink_to(elsewhere)
    plan = targets.plan(["a"], "out")
    assert [job.target for job in plan.jobs] == [Path("out/1.tif")]
    assert sorted(map(str, plan.refused)) == ["a/deep/2.png", "a/deep/s.zarr"]
    assert "would lie outside out, through a link" in plan.refused[Path("a/deep/2.png")]
    os.chdir("a/deep")
    # ".." has no name of its own: that of the folder is taken.
    jobs = targets.plan(["..", "../../b"], "../../new").jobs
    assert sorted({str(job.target.parent) for job in jobs}) == ["../../new/a", "../../new/a/deep", "../../new/b"]


@pytest.mark.parametrize(
    ("inputs", "out", "message"),
    [
        (["a"], "a/out", "must lie outside the input folder"),
        (["a", "b"], "b", "must lie outside the input folder"),
        (["a"], "b/1.tif", "is a folder"),
        (["a/1.tif", "b/1.tif"], "new.tif", "is a folder"),
        (["a/1.tif"], "a", "must not replace the input"),
        (["a/1.tif", "b/1.tif"], "b", "must not replace the input"),
    ],
)
def test_outputs_among_the_inputs_are_refused(tree, inputs, out, message):
    with pytest.raises(ValueError, match=message):
        targets.plan(inputs, out)


@pytest.mark.parametrize("count", [1, 2, 5, 9])
def test_shards_are_a_partition(tree, count):
    for k in range(7):
        (tree / "b" / f"{k}.png").touch()
    (tree / "b" / "gone.png").symlink_to("nothing")
    plan = targets.plan(["b"], "out")
    shards = [plan.shard(number, count) for number in range(1, count + 1)]
    assert sorted(job for shard in shards for job in shard.jobs) == sorted(plan.jobs)
    assert [path for shard in shards for path in shard.refused] == [Path("b/gone.png")]
    sizes = [len(shard.jobs) for shard in shards]
    assert max(sizes) - min(sizes) <= 1
