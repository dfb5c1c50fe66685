import os

import numpy as np
import pytest

from msrgan import io
from msrgan.io.listing import contents


def touch(folder, names):
    for name in names:
        path = os.path.join(os.fsencode(folder), os.fsencode(name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        open(path, "wb").close()


@pytest.fixture
def said(caplog):
    """The lines that the library says."""
    caplog.set_level("INFO", "msrgan")
    return lambda: caplog.messages


def test_list_images_skips_label_maps_and_hidden_files(tmp_path):
    kept = ["b.TIF", "set/images/1.png", "set/images/2.Jpeg", "a class/is.png", "masks of paper/1.png"]
    left_out = ["set/labels/1.png", "set/Masks/deep/1.png", "labels/1.png", "notes.txt", ".hidden.png", ".cache/1.png"]
    touch(tmp_path, kept + left_out)
    assert io.list_images(tmp_path) == sorted(tmp_path / name for name in kept)


def test_an_ome_zarr_is_one_image_and_no_folder_of_images(tmp_path):
    touch(tmp_path, ["b/a.ome.zarr/0/c/0.png", "b/a.ome.zarr/labels/x/zarr.json", "B.ZARR/zarr.json", "c.npy", "d.czi"])
    (tmp_path / "e.gif").touch()  # is read where it is named
    assert io.list_images(tmp_path) == [tmp_path / name for name in ("B.ZARR", "b/a.ome.zarr", "c.npy", "d.czi")]


def test_a_folder_of_label_maps_is_listed_where_it_is_named(tmp_path):
    touch(tmp_path, ["a/labels/1.png", "Masks/2.png"])
    with pytest.raises(
        ValueError, match=r"holds no images \(.*\) but label maps in .*Masks, .*a/labels. Name that folder"
    ):
        io.list_images(tmp_path)
    assert io.list_images(tmp_path / "a" / "labels") == [tmp_path / "a" / "labels" / "1.png"]
    assert io.list_images(tmp_path / "Masks") == [tmp_path / "Masks" / "2.png"]


def test_list_images_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        io.list_images(tmp_path / "missing")
    with pytest.raises(ValueError, match=r"holds no images \([^)]*\)$"):
        io.list_images(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="a file"):
        io.list_images(tmp_path / "file")


def test_files_that_are_no_images_are_counted(tmp_path):
    touch(tmp_path, ["a.png", "1.csv", "b/2.CSV", "b/c/3.txt", "b/README", ".4.csv", ".d/5.csv"])
    survey = io.survey_folder(tmp_path)
    assert survey.images == [tmp_path / "a.png"]
    assert survey.others == {".csv": 2, ".txt": 1, "": 1}
    assert survey.passed_over() == "passed over 4 files that are no images: 2 .csv, 1 .txt, 1 without suffix"
    (tmp_path / "b" / "c" / "3.txt").unlink()
    (tmp_path / "b" / "README").unlink()
    (tmp_path / "1.csv").unlink()
    assert io.survey_folder(tmp_path).passed_over() == "passed over 1 file that is no image: 1 .csv"
    (tmp_path / "b" / "2.CSV").unlink()
    assert io.survey_folder(tmp_path).passed_over() is None


def test_links_to_nothing_and_strange_names_are_skipped_and_named(tmp_path, said):
    touch(tmp_path, ["a.png", b"\xff.png", b"d\xfe/b.png"])
    (tmp_path / "link.png").symlink_to(tmp_path / "gone.png")
    (tmp_path / "good.png").symlink_to(tmp_path / "a.png")
    os.mkfifo(tmp_path / "pipe.png")
    assert io.list_images(tmp_path) == [tmp_path / "a.png", tmp_path / "good.png"]
    lines = said()
    assert len(lines) == 4
    assert lines[1:3] == [f"skipped {tmp_path}/link.png: a link to nothing", f"skipped {tmp_path}/pipe.png: no file"]
    assert lines[0].endswith("/b.png: its name is not UTF-8. Rename it")
    assert lines[3].endswith("\\xff.png: its name is not UTF-8. Rename it")
    for name in ("a.png", "good.png"):
        (tmp_path / name).unlink()
    with pytest.raises(ValueError, match="holds no images that can be read"):
        io.list_images(tmp_path)


def test_a_folder_without_permission_is_named(tmp_path, said, monkeypatch):
    touch(tmp_path, ["a.png", "b/c.png"])
    scandir = os.scandir

    def refusing(path):
        if os.path.basename(path) == "b":
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    assert io.list_images(tmp_path) == [tmp_path / "a.png"]
    assert said() == [f"skipped {tmp_path}/b: Permission denied"]


def test_contents(tmp_path):
    assert contents(tmp_path / "none") == "nothing"
    assert contents(tmp_path) == "an empty folder"
    touch(tmp_path, ["b", "a"])
    assert contents(tmp_path) == "a folder of a, b"
    assert contents(tmp_path / "a") == "a file"


def test_only_the_name_below_the_folder_must_be_text(tmp_path):
    parent = tmp_path / os.fsdecode(b"caf\xe9")
    io.write_pixels(parent / "a.png", np.zeros((4, 4), np.uint8))
    assert io.survey_folder(parent).images == [parent / "a.png"]
    assert io.survey_folder(tmp_path).unusable == {parent / "a.png": "its name is not UTF-8. Rename it"}
