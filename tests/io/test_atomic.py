import contextlib
import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from msrgan.io import atomic as module
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


def killed(path, kind):
    """Kill a process in the middle of writing."""
    write = "(part / 'half').touch()" if kind == "atomic_folder" else "part.write_text('half')"
    code = f"""
import os, signal, sys
from msrgan.io.atomic import {kind}
with {kind}(sys.argv[1]) as part:
    {write}
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code, path]).returncode == -signal.SIGKILL
    (left,) = path.parent.glob(".msrgan-*")
    return left


def test_what_a_killed_process_left_of_a_file_is_replaced_by_the_next(tmp_path):
    path = tmp_path / "a.txt"
    left = killed(path, "atomic")
    assert not path.exists() and left.read_text() == "half"
    with atomic(path) as temporary:
        assert temporary == left and temporary.read_bytes() == b""
        temporary.write_text("new")
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"] and path.read_text() == "new"


def test_what_a_killed_process_left_of_a_folder_is_replaced_by_the_next(tmp_path):
    path = tmp_path / "a.zarr"
    left = killed(path, "atomic_folder")
    (left / "deep" / "deeper").mkdir(parents=True)
    (left / "deep" / "link").symlink_to(tmp_path)
    assert not path.exists() and (left / "half").exists()
    with atomic_folder(path) as temporary:
        assert temporary == left and not list(temporary.iterdir())
        (temporary / "new").touch()
    assert [p.relative_to(tmp_path).as_posix() for p in sorted(tmp_path.rglob("*"))] == ["a.zarr", "a.zarr/new"]


def test_a_folder_is_back_where_a_process_was_killed_between_taking_it_away_and_bringing_the_new_one(tmp_path):
    path = tmp_path / "a.zarr"
    (tmp_path / ".msrgan-a.zarr-old").mkdir()
    (tmp_path / ".msrgan-a.zarr-old" / "old").touch()
    with pytest.raises(RuntimeError), atomic_folder(path):
        assert (path / "old").exists()
        raise RuntimeError
    assert [p.name for p in tmp_path.iterdir()] == ["a.zarr"]
    with atomic_folder(path) as temporary:
        (temporary / "new").touch()
    assert [p.name for p in tmp_path.iterdir()] == ["a.zarr"]
    assert [p.name for p in path.iterdir()] == ["new"]


@pytest.mark.parametrize("write", [atomic, atomic_folder])
def test_two_writers_of_the_same_do_not_meet(tmp_path, write):
    with write(tmp_path / "a") as first, write(tmp_path / "a") as second:
        assert first != second and first.exists() and second.exists()
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("write", [atomic, atomic_folder])
@pytest.mark.parametrize("system", ["no flock", "no locks", "a link"])
def test_names_are_their_own_where_nothing_can_be_locked(tmp_path, monkeypatch, write, system):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    if system == "no flock":
        monkeypatch.setattr(module, "fcntl", None)
    elif system == "no locks":
        monkeypatch.setattr(module.fcntl, "flock", refuse)
    else:
        (tmp_path / "elsewhere").write_text("mine")
        (tmp_path / ".msrgan-a").symlink_to(tmp_path / "elsewhere")
    with write(tmp_path / "a") as first, write(tmp_path / "a") as second:
        names = {first.name, second.name, ".msrgan-a"}
        assert len(names) == 3 and all(name.startswith(".msrgan-") for name in names)
    names = {p.name for p in tmp_path.iterdir()}
    assert names == ({"a", "elsewhere", ".msrgan-a"} if system == "a link" else {"a"})
    assert system != "a link" or (tmp_path / "elsewhere").read_text() == "mine"


@pytest.mark.parametrize("write", [atomic, atomic_folder])
def test_a_writer_does_not_take_what_another_has_just_finished(tmp_path, monkeypatch, write):
    """Between opening and locking, the other one gives its work the final name."""
    flock, made = module.fcntl.flock, []

    def slow(lock, how):
        if not made:
            made.append(lock)
            os.rename(tmp_path / ".msrgan-a", tmp_path / "a")
        return flock(lock, how)

    monkeypatch.setattr(module.fcntl, "flock", slow)
    with write(tmp_path / "a") as temporary:
        assert (tmp_path / "a").exists() and temporary.name != ".msrgan-a"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_name_may_be_as_long_as_the_system_allows(tmp_path):
    name = "µ" * 120 + ".ome.tif"
    with atomic(tmp_path / name) as temporary, atomic(tmp_path / name) as other:
        assert temporary.name.endswith(".ome.tif") and other.name.endswith(".ome.tif")
    assert [p.name for p in tmp_path.iterdir()] == [name]
