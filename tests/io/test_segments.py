"""Windows of TIFFs against the whole array as tifffile reads it, and how little is decoded for them."""

import itertools
import threading

import numpy as np
import pytest
import tifffile

from msrgan import io
from msrgan.io.tiff import read, segments
from msrgan.io.tiff.segments import Cache, Planes, Segment

RNG = np.random.default_rng(11)
GREY = RNG.integers(0, 4096, (53, 47), dtype=np.uint16)
RGB = RNG.integers(0, 256, (53, 47, 3), dtype=np.uint8)
STACK = RNG.integers(0, 4096, (2, 3, 53, 47), dtype=np.uint16)
LAYOUTS = {"strips": {"rowsperstrip": 7}, "one strip": {"rowsperstrip": 53}, "tiles": {"tile": (16, 32)}}
CODECS = {
    "none": {},
    "lzw": {"compression": "lzw"},
    "lzw predictor": {"compression": "lzw", "predictor": True},
    "zstd": {"compression": "zstd"},
    "deflate predictor": {"compression": "deflate", "predictor": True},
    "packbits": {"compression": "packbits"},
}
WINDOWS = [(slice(0, 53), slice(0, 47)), (slice(13, 14), slice(31, 33)), (slice(40, 53), slice(0, 17))]
KINDS = {
    "grey": (GREY, {"photometric": "minisblack"}),
    "rgb": (RGB, {"photometric": "rgb"}),
    "planar": (np.moveaxis(RGB, -1, 0), {"photometric": "rgb", "planarconfig": "separate"}),
    "stack": (STACK, {"photometric": "minisblack", "metadata": {"axes": "TCYX"}}),
}


def assert_windows_equal(path, expected):
    """Compare windows of every plane with an array (*stack, Y, X[, S]), the same windows twice."""
    with read(path) as image:
        assert (image.pixels.shape, image.dtype) == (expected.shape, expected.dtype)
        for index, (rows, columns), _ in itertools.product(image.indices(), WINDOWS, range(2)):
            window = image.read(index, rows, columns)
            assert window.dtype.isnative
            np.testing.assert_array_equal(window, expected[(*index, rows, columns)])
        whole = [slice(None)] * expected.ndim
        np.testing.assert_array_equal(image.pixels[tuple(whole)], expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_windows_of_every_layout_and_codec(tmp_path, layout, kind):
    pixels, options = KINDS[kind]
    for (codec, compression), byteorder, bigtiff in zip(
        CODECS.items(), itertools.cycle("<>>"), itertools.cycle([False, True]), strict=False
    ):
        path = tmp_path / f"{codec}.tif"
        given = {"metadata": None, **options, **LAYOUTS[layout], **compression}
        tifffile.imwrite(path, pixels, byteorder=byteorder, bigtiff=bigtiff, **given)
        stored = tifffile.imread(path)
        assert_windows_equal(path, np.moveaxis(stored, 0, -1) if kind == "planar" else stored)


@pytest.mark.parametrize("dtype", ["int8", "int16", "uint32", "float16", "float32", "float64"])
@pytest.mark.parametrize("options", [{}, {"compression": "zstd", "tile": (16, 16)}], ids=["plain", "zstd"])
def test_dtypes_stay_those_of_the_file(tmp_path, dtype, options):
    pixels = (GREY.astype(float) - 2000).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", pixels, byteorder=">", **options)
    assert_windows_equal(tmp_path / "a.tif", pixels)


@pytest.mark.parametrize("compression", [None, "packbits", "ccittfax4"])
@pytest.mark.parametrize("white", [False, True])
def test_bits_are_0_and_255(tmp_path, compression, white):
    if compression == "ccittfax4":
        from PIL import Image

        Image.fromarray(GREY > 2048).save(tmp_path / "a.tif", compression="group4")
        expected = tifffile.imread(tmp_path / "a.tif")
        with tifffile.TiffFile(tmp_path / "a.tif") as file:
            expected = ~expected if file.pages[0].photometric == 0 else expected
        np.testing.assert_array_equal(expected, GREY > 2048)
    else:
        expected = GREY > 2048
        photometric = "miniswhite" if white else "minisblack"
        stored = ~expected if white else expected
        tifffile.imwrite(tmp_path / "a.tif", stored, photometric=photometric, compression=compression, rowsperstrip=9)
    assert_windows_equal(tmp_path / "a.tif", expected * np.uint8(255))


@pytest.mark.parametrize("dtype", ["uint8", "float32", "int16"])
def test_white_is_zero_by_the_whole_page(tmp_path, dtype):
    pages = np.array([[[0, 5, 1], [2, 3, 4]], [[9, 0, 7], [1, 1, 1]]], dtype)
    tifffile.imwrite(tmp_path / "a.tif", pages, photometric="miniswhite", metadata={"axes": "ZYX"})
    with read(tmp_path / "a.tif") as image:
        tops = (255, 255) if dtype == "uint8" else (5, 9)
        for index, top in enumerate(tops):  # the second row does not hold the maximum
            np.testing.assert_array_equal(image.read((index,), slice(1, 2)), top - pages[index, 1:])


@pytest.fixture
def decoded(monkeypatch):
    """The (page, segment) of each segment that is decoded."""
    numbers, segment = [], Planes._segment

    def counting(self, number, index):
        numbers.append((number, index))
        return segment(self, number, index)

    monkeypatch.setattr(Planes, "_segment", counting)
    return numbers


def test_only_touched_segments_are_decoded_and_neighbours_share_them(tmp_path, decoded):
    tifffile.imwrite(
        tmp_path / "a.tif",
        STACK,
        tile=(16, 16),
        compression="zstd",
        photometric="minisblack",
        metadata={"axes": "TCYX"},
    )
    with read(tmp_path / "a.tif") as image:
        assert decoded == []
        image.read((1, 2), slice(15, 17), slice(20, 30))  # rows of tiles 0 and 1, column 1 of 3
        assert sorted(decoded) == [(5, 1), (5, 4)]
        image.read((1, 2), slice(0, 32), slice(16, 33))
        assert sorted(decoded) == [(5, 1), (5, 2), (5, 4), (5, 5)]
    tifffile.imwrite(tmp_path / "b.tif", GREY, rowsperstrip=10, compression="lzw")
    decoded.clear()
    with read(tmp_path / "b.tif") as image:
        for left in range(0, 47, 8):
            image.read((), slice(25, 35), slice(left, min(left + 8, 47)))
    assert decoded == [(0, 2), (0, 3)]


def test_the_cache_forgets_what_was_used_longest_ago_and_stays_within_its_bytes():
    made = []

    def get(cache, number):
        def decode():
            made.append(number)
            return Segment(np.zeros(100, np.uint8), 0, 0, 0)

        return cache.get((0, number), decode)

    cache = Cache(300)
    for number in (1, 2, 3, 1, 4, 1, 2):
        get(cache, number)
    assert made == [1, 2, 3, 4, 2]
    assert sum(s.pixels.nbytes for s in cache._segments.values()) == cache._nbytes == 300
    small = Cache(10)
    for number in (8, 8, 9):
        get(small, number)
    assert made[5:] == [8, 9]
    assert len(small._segments) == 1


def test_the_cache_holds_some_rows_of_segments(tmp_path):
    """4 rows of 256 tiles, 16x16 pixels of 2 bytes, within the least and the most."""
    for width, kept in ((4096, 1 << 20), (16384, 4 * 16 * 16384 * 2)):
        tifffile.imwrite(tmp_path / "a.tif", np.zeros((256, width), np.uint16), tile=(16, 16), compression="zlib")
        with pytest.MonkeyPatch.context() as patch, tifffile.TiffFile(tmp_path / "a.tif") as file:
            patch.setattr(segments, "CACHE_BYTES", (1 << 20, 1 << 25))
            planes = Planes(file, file.series[0], "a.tif", None)
            planes.window(0, slice(0, 256), slice(0, width))
            assert planes._cache._nbytes == kept


def test_a_tile_that_claims_to_be_huge_is_refused_before_it_is_decoded(tmp_path, decoded):
    """A JPEG in it would be decoded at that size: 4 GiB for a file of 2 kB."""
    tifffile.imwrite(tmp_path / "a.tif", GREY.astype(np.uint8), tile=(64, 64), compression="jpeg")
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+") as file:
        for name in ("TileWidth", "TileLength"):
            file.pages[0].tags[name].overwrite(65520)
    with pytest.raises(io.UnreadableImageError, match="its tiles of 65520x65520 are larger than its image"):
        read(tmp_path / "a.tif")
    assert decoded == []


def test_threads_read_right_pixels(tmp_path):
    tifffile.imwrite(
        tmp_path / "a.tif",
        STACK,
        rowsperstrip=5,
        compression="deflate",
        photometric="minisblack",
        metadata={"axes": "TCYX"},
    )
    wrong = []
    with read(tmp_path / "a.tif") as image:

        def work(seed):
            rng = np.random.default_rng(seed)
            for _ in range(40):
                t, c, top = int(rng.integers(2)), int(rng.integers(3)), int(rng.integers(50))
                if not np.array_equal(image.read((t, c), slice(top, top + 3)), STACK[t, c, top : top + 3]):
                    wrong.append((t, c, top))

        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


def test_damage_is_an_error_of_the_window_that_meets_it(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, GREY, rowsperstrip=10, compression="deflate")
    with tifffile.TiffFile(path) as file:
        start = file.pages[0].dataoffsets[3]
    data = bytearray(path.read_bytes())
    data[start + 20] ^= 0x55
    path.write_bytes(data)
    with read(path) as image:
        np.testing.assert_array_equal(image.read((), slice(0, 30)), GREY[:30])
        np.testing.assert_array_equal(image.read((), slice(40, 53)), GREY[40:])
        with pytest.raises(io.UnreadableImageError, match=r"a\.tif: cannot be read as an image \([^\n]+\)$"):
            image.read((), slice(29, 31))


def test_a_file_that_is_cut_while_it_is_open_is_an_error(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, GREY)
    with read(path) as image:
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size // 2)
        with pytest.raises(io.UnreadableImageError, match=r"a\.tif: cannot be read"):
            image.read()


def test_keys_are_numbers_and_slices_of_step_1(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", STACK, photometric="minisblack", metadata={"axes": "TCYX"})
    with read(tmp_path / "a.tif") as image:
        np.testing.assert_array_equal(image.pixels[1, -1, 5, 2:4], STACK[1, -1, 5, 2:4])
        np.testing.assert_array_equal(image.pixels[:, 1:, 50:, 46], STACK[:, 1:, 50:, 46])
        assert image.pixels[0, 0, 5:5, :].shape == (0, 47)
        for key in ((2, 0, slice(None), slice(None)), (0, 0, slice(None, None, 2), slice(None))):
            with pytest.raises(IndexError):
                image.pixels[key]


def test_real_files_equal_tifffile(real_data):
    seen = 0
    for path in sorted(real_data.rglob("*"))[::3]:
        if path.suffix.lower() not in (".tif", ".tiff"):
            continue
        expected = tifffile.imread(path)
        with read(path) as image, tifffile.TiffFile(path) as file:
            table = file.pages[0].colormap
            if table is not None:  # they are grey
                expected = (table[0] >> 8).astype(np.uint8)[expected]
            n = len(expected)
            for rows in (slice(0, 40), slice(n // 2, n // 2 + 3), slice(n - 1, n)):
                np.testing.assert_array_equal(image.read((), rows, slice(5, 99)), expected[rows, 5:99])
        seen += 1
    assert seen > 10


def test_a_segment_that_does_not_fill_its_place_is_an_error(tmp_path, monkeypatch):
    tifffile.imwrite(tmp_path / "a.tif", GREY, rowsperstrip=10, compression="lzw")
    segment = Planes._segment

    def short(self, number, index):
        whole = segment(self, number, index)
        return whole._replace(pixels=whole.pixels[:, :9]) if index == 1 else whole

    monkeypatch.setattr(Planes, "_segment", short)
    with read(tmp_path / "a.tif") as image:
        np.testing.assert_array_equal(image.read((), slice(0, 19)), GREY[:19])
        with pytest.raises(io.UnreadableImageError, match="smaller than its header says"):
            image.read((), slice(0, 20))
