import csv
from pathlib import Path

import numpy as np
import pytest

import msrgan
from msrgan.io.image import Image
from msrgan.io.targets import Job
from msrgan.upscaling import files, stream


@pytest.fixture(scope="module")
def nearest():
    return msrgan.load("nearest", scale=2)


@pytest.fixture
def jobs(tmp_path):
    """Three files to enlarge, the second of which is damaged."""
    folder = tmp_path / "in"
    for k in range(3):
        msrgan.write(folder / f"{k}.tif", Image(np.full((8, 9), k, np.uint16), "YX"))
    (folder / "1.tif").write_bytes((folder / "1.tif").read_bytes()[:60])
    return [Job(folder / f"{k}.tif", tmp_path / "out" / f"{k}.tif") for k in range(3)]


def statuses(model, jobs, **options):
    choices = files.Choices(**options)
    return [result.status for result in files.upscale_files(model, jobs, choices, folder=jobs[0].target.parent)]


def test_a_file_that_fails_does_not_stop_the_others_and_the_rest_is_done_later(nearest, jobs):
    assert statuses(nearest, jobs) == ["done", "failed", "done"]
    assert sorted(path.name for path in jobs[0].target.parent.iterdir()) == ["0.tif", "2.tif"]
    msrgan.write(jobs[1].source, Image(np.full((8, 9), 1, np.uint16), "YX"))
    assert statuses(nearest, jobs, existing="skip") == ["skipped", "done", "skipped"]
    assert statuses(nearest, jobs) == ["failed"] * 3
    assert statuses(nearest, jobs, existing="overwrite") == ["done"] * 3
    for k, job in enumerate(jobs):
        with msrgan.read(job.target) as image:
            np.testing.assert_array_equal(image.read(), np.full((16, 18), k))


def test_a_fault_in_the_middle_leaves_the_old_output(nearest, jobs, monkeypatch):
    files.upscale_file(nearest, *jobs[0], files.Choices())
    before = jobs[0].target.read_bytes()
    bands = stream.bands

    def broken(*arguments, **options):
        yield from bands(*arguments, **options)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(stream, "bands", broken)
    (result,) = files.upscale_files(nearest, jobs[:1], files.Choices(existing="overwrite"))
    assert (result.status, result.reason) == ("failed", "Input/output error")
    assert jobs[0].target.read_bytes() == before
    assert [path.name for path in jobs[0].target.parent.iterdir()] == ["0.tif"]


def test_links_are_neither_followed_nor_replaced(nearest, jobs, tmp_path):
    (tmp_path / "mine.tif").write_bytes(b"mine")
    out = tmp_path / "out"
    out.mkdir()
    (out / "0.tif").symlink_to(tmp_path / "mine.tif")
    (out / "2.tif").symlink_to(tmp_path / "nothing.tif")
    assert statuses(nearest, [jobs[0], jobs[2]], existing="overwrite") == ["failed"] * 2
    assert (tmp_path / "mine.tif").read_bytes() == b"mine"
    # A folder that became a link since the outputs were planned.
    (out / "deep").symlink_to(tmp_path)
    (result,) = files.upscale_files(nearest, [Job(jobs[0].source, out / "deep" / "0.tif")], files.Choices(), folder=out)
    assert "would lie outside" in result.reason
    assert not (tmp_path / "0.tif").exists()


def test_progress_ends_with_all_tiles(nearest, jobs):
    calls = []
    choices = files.Choices(stream={"tile": 4})
    assert len(list(files.upscale_files(nearest, jobs[:1], choices, progress=lambda *n: calls.append(n)))) == 1
    done, total = zip(*calls, strict=True)
    assert len(set(total)) == 1
    assert total[0] > 1
    assert done[-1] == total[0]
    assert list(done) == sorted(done)


def test_options_that_do_not_suit_the_model_are_told_before_the_first_file(nearest):
    files.probe(nearest, {"tile": 7})
    with pytest.raises(ValueError, match="overlap"):
        files.probe(nearest, {"overlap": 0})


def test_failures_are_a_table_that_goes_with_them(tmp_path):
    path = files.write_failures(tmp_path, {Path('a,"b.tif'): "two, reasons", Path("\udcff.tif"): "a name"})
    with open(path, newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [
            ["file", "reason"], ['a,"b.tif', "two, reasons"], ["\\xff.tif", "a name"],
        ]  # fmt: skip
    assert files.write_failures(tmp_path, {Path("b"): "x"}, (2, 8)) == tmp_path / "failures-2-of-8.csv"
    assert files.write_failures(tmp_path, {}) is None
    assert [path.name for path in tmp_path.iterdir()] == ["failures-2-of-8.csv"]
