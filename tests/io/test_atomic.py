import contextlib
import os
from pathlib import Path

import pytest

from msrgan.io.atomic import atomic, atomic_folder, writable_folder


def test_atomic_leaves_the_old_file_after_an_error(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_text() == "old"
    with atomic(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"


def test_atomic_folder_replaces_or_leaves(tmp_path):
    folder = tmp_path / "model"
    for text in ("old", "new"):
        with atomic_folder(folder) as temporary:
            (temporary / text).write_text(text)
    assert [p.name for p in folder.iterdir()] == ["new"]
    with pytest.raises(RuntimeError), atomic_folder(folder) as temporary:
        raise RuntimeError
    assert [p.name for p in folder.iterdir()] == ["new"]
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_a_folder_into_which_nothing_was_written_is_gone(tmp_path):
    deep = tmp_path / "there" / "a" / "b"
    (tmp_path / "there").mkdir()
    for fails in (False, True):
        with contextlib.suppress(RuntimeError), writable_folder(deep):
            assert deep.is_dir()
            if fails:
                raise RuntimeError
        assert [path.name for path in tmp_path.iterdir()] == ["there"]
        assert not list((tmp_path / "there").iterdir())
    with pytest.raises(RuntimeError), writable_folder(deep) as folder:
        (folder / "half.txt").touch()
        raise RuntimeError
    assert (deep / "half.txt").exists()
    with pytest.raises(OSError, match="half.txt"), writable_folder(deep / "half.txt" / "c"):
        pass


def test_an_old_folder_stays_where_the_new_one_cannot_take_its_place(tmp_path, monkeypatch):
    folder = tmp_path / "model"
    with atomic_folder(folder) as temporary:
        (temporary / "old").touch()
    rename = Path.rename

    def refuse(path, target):
        if (path / "new").exists():
            raise OSError("refused")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OSError, match="refused"), atomic_folder(folder) as temporary:
        (temporary / "new").touch()
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert [path.name for path in folder.iterdir()] == ["old"]


def test_what_is_written_is_as_open_to_others_as_any_file(tmp_path):
    before = os.umask(0o027)
    try:
        with atomic(tmp_path / "a.txt"):
            pass
        with atomic_folder(tmp_path / "model"):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "model").stat().st_mode & 0o777 == 0o750
