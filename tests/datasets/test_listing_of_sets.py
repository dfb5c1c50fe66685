"""Files of a folder: depth, case, hidden ones, links to nothing, names that are no text."""

import os

from msrgan.datasets.listing import list_files, text_of


def test_files_are_listed_sorted_at_any_depth_in_any_case(tmp_path):
    for name in ("b.MAT", "a/c.mat", ".hidden.mat", "d.txt", "e.tif.gz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    skipped = []
    listed = list_files(tmp_path, (".mat", ".tif.gz"), skip=skipped.append)
    assert [path.relative_to(tmp_path).as_posix() for path in listed] == ["a/c.mat", "b.MAT", "e.tif.gz"]
    assert skipped == []


def test_what_cannot_be_opened_or_named_is_told(tmp_path):
    (tmp_path / "good.mat").touch()
    (tmp_path / "link.mat").symlink_to(tmp_path / "good.mat")
    (tmp_path / "nothing.mat").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe.mat")
    with open(os.fsencode(tmp_path) + b"/\xff.mat", "w"):
        pass
    skipped = []
    listed = list_files(tmp_path, (".mat",), skip=skipped.append)
    assert [path.name for path in listed] == ["good.mat", "link.mat"]
    assert sorted(skipped) == [
        f"{tmp_path}/\\xff.mat: its name is not UTF-8. Rename it",
        f"{tmp_path}/nothing.mat: a link to nothing",
        f"{tmp_path}/pipe.mat: no file",
    ]
    assert text_of("plain/ä.png") == "plain/ä.png"
