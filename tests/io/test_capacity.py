import os

import pytest

from msrgan.io import capacity


def test_the_disk_is_that_of_the_nearest_folder_that_is_there(tmp_path, monkeypatch):
    seen, real = [], os.statvfs

    def statvfs(path):
        seen.append(str(path))
        return real(path)

    monkeypatch.setattr(os, "statvfs", statvfs)
    stat = real(tmp_path)
    free = capacity.free_disk(tmp_path / "new" / "deep" / "a.tif")
    assert free == pytest.approx(stat.f_bavail * stat.f_frsize, rel=0.2)
    assert seen == [str(tmp_path)]


def test_a_disk_without_room_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(capacity, "free_disk", lambda path: 2_500_000)
    capacity.check_disk(tmp_path, 2_500_000)
    with pytest.raises(ValueError, match=r"takes 12.3 GB. Received: a disk with 2.5 MB left"):
        capacity.check_disk(tmp_path, 12_345_678_901)


def test_memory_is_what_the_system_tells():
    assert 2**26 < capacity.free_memory() <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1 kB"), (27_096, "27.1 kB"), (123_456, "123 kB"), (5e15, "5000 TB")],
)
def test_sizes_are_written_for_people(size, text):
    assert capacity.size_text(size) == text
