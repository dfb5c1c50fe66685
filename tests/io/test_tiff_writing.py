"""TIFF files, read back by tifffile, and by bioio where it is installed."""

import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
import tifffile
from skimage.measure import block_reduce

from msrgan.io.image import Band, Channel, Image, PixelSize, Promised
from msrgan.io.tiff import imagej, pyramid, write, writing
from msrgan.io.tiff.codecs import COMPRESSIONS

DTYPES = ["int8", "int16", "int32", "uint8", "uint16", "uint32", "float32", "float64"]
PROVENANCE = {"software": "msrgan 9.9", "model": "srgan", "note": "computationally generated: not a measurement"}


def noise(shape, dtype="uint16"):
    rng = np.random.default_rng(len(shape))
    if np.dtype(dtype).kind == "f":
        return rng.normal(0, 1e3, shape).astype(dtype)
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max, shape, dtype, endpoint=True)


def stored(path):
    with tifffile.TiffFile(path) as file:
        series = file.series[0]
        return series.axes, series.asarray()


def save(path, image, *, format="ome-tiff", height=None, **options):
    write(path, image, image.bands(height), format=format, **options)
    return path


@pytest.mark.parametrize(
    "axes, shape",
    [
        ("YX", (1, 1)),
        ("YX", (3, 7)),
        ("YX", (257, 511)),
        ("YX", (256, 256)),
        ("YX", (512, 256)),
        ("YXS", (1, 1, 3)),
        ("YXS", (257, 300, 3)),
        ("CYX", (3, 5, 1)),
        ("TYX", (4, 1, 6)),
        ("ZYX", (3, 300, 17)),
        ("TCZYX", (2, 3, 2, 5, 7)),
        ("ZTCYX", (2, 3, 4, 260, 5)),
        ("CZYX", (2, 3, 9, 300)),
        ("TZYXS", (2, 3, 8, 270, 3)),
        ("CYXS", (2, 8, 270, 3)),
    ],
)
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_ome_tiff_holds_pixels_and_axes(tmp_path, axes, shape, compression):
    pixels = noise(shape)
    path = save(tmp_path / "a.ome.tif", Image(pixels, axes), compression=compression, height=37)
    read_axes, read = stored(path)
    assert read_axes == axes
    np.testing.assert_array_equal(read, pixels)


@pytest.mark.parametrize("compression", [None, *COMPRESSIONS])
@pytest.mark.parametrize("dtype", DTYPES)
def test_all_dtypes_and_compressions_are_lossless(tmp_path, dtype, compression):
    pixels = noise((2, 35, 300), dtype)
    path = save(tmp_path / "a.ome.tif", Image(pixels, "CYX"), compression=compression)
    read = stored(path)[1]
    assert read.dtype == dtype
    np.testing.assert_array_equal(read, pixels)
    with tifffile.TiffFile(path) as file:
        assert file.pages[0].is_tiled
        tag = {None: 1, "lzw": 5, "zlib": 8, "zstd": 50000, "lzma": 34925}[compression]
        assert file.pages[0].compression == tag


@pytest.mark.parametrize("format", ["ome-tiff", "tiff"])
@pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
def test_other_decoders_read_rgb(tmp_path, format, compression):
    from PIL import Image as Pillow

    pixels = noise((300, 523, 3), "uint8")
    path = save(tmp_path / "a.tif", Image(pixels, "YXS"), format=format, compression=compression)
    with Pillow.open(path) as image:
        np.testing.assert_array_equal(np.asarray(image), pixels)


def test_compression_makes_smooth_images_smaller(tmp_path):
    rows, columns = np.mgrid[:300, :300].astype(np.uint16)
    image = Image(7 * rows + 11 * columns, "YX")
    sizes = {c: save(tmp_path / f"{c}.tif", image, compression=c).stat().st_size for c in (None, "zlib")}
    # Differences to the left neighbour are 11 everywhere.
    assert sizes["zlib"] < sizes[None] / 50


def test_pixels_of_a_big_endian_file(tmp_path):
    pixels = noise((2, 9, 300)).astype(">u2")
    for number, options in enumerate(({}, {"compression": "zstd"}, {"format": "imagej"})):
        read = stored(save(tmp_path / f"{number}.tif", Image(pixels, "CYX"), **options))[1]
        np.testing.assert_array_equal(read, pixels)


def block_mean(plane, times):
    """The mean of 2x2 blocks, again and again, the last row and column repeated where odd."""
    for _ in range(times):
        even = np.pad(plane, [(0, plane.shape[0] % 2), (0, plane.shape[1] % 2)] + [(0, 0)] * (plane.ndim - 2), "edge")
        mean = block_reduce(even.astype(float), (2, 2) + (1,) * (plane.ndim - 2), np.mean)
        plane = (np.round(mean) if plane.dtype.kind == "u" else mean).astype(plane.dtype)
    return plane


@pytest.mark.parametrize(
    "axes, shape, dtype, levels, compression",
    [
        ("YX", (513, 259), "uint16", 2, None),
        ("CYX", (2, 256, 512), "uint8", 1, None),
        ("ZYX", (2, 30, 301), "float32", 1, "zlib"),
        ("YXS", (301, 20, 3), "uint8", 1, "lzw"),
        ("TCYXS", (2, 1, 5, 290, 3), "uint16", 1, "zstd"),
    ],
)
def test_levels_of_a_pyramid_are_block_means(tmp_path, axes, shape, dtype, levels, compression):
    pixels = noise(shape, dtype)
    path = save(tmp_path / "a.ome.tif", Image(pixels, axes), pyramid=True, compression=compression)
    with tifffile.TiffFile(path) as file:
        series = file.series[0]
        assert len(series.levels) == 1 + levels
        np.testing.assert_array_equal(series.levels[0].asarray().reshape(shape), pixels)
        planes = pixels.reshape(-1, *shape[axes.index("Y") :])
        for level in range(1, 1 + levels):
            expected = np.stack([block_mean(plane, level) for plane in planes])
            np.testing.assert_array_equal(series.levels[level].asarray().reshape(expected.shape), expected)
        assert all(page.subfiletype == 1 for page in file.pages[0].pages)


def test_halves_are_exact_at_the_ends_of_the_range():
    top = 2**32 - 1
    assert pyramid.halve(np.full((2, 2), top, np.uint32)) == top
    assert pyramid.halve(np.full((2, 2), -(2**31), np.int32)) == -(2**31)
    # 1.5 and 2.5 are rounded to the even number.
    assert pyramid.halve(np.array([[1, 2, 2, 3], [1, 2, 2, 3]], np.uint8)).tolist() == [[2, 2]]
    assert pyramid.halve(np.array([[0.1, 0.2, 0.4]], np.float32)).tolist() == [[np.float32(0.15), np.float32(0.4)]]


def test_small_images_get_no_pyramid(tmp_path):
    path = save(tmp_path / "a.ome.tif", Image(noise((256, 256)), "YX"), pyramid=True)
    with tifffile.TiffFile(path) as file:
        assert len(file.series[0].levels) == 1
        assert not file.pages[0].is_tiled


@pytest.mark.parametrize("compression, factor", [(None, 1), ("zlib", 1.5)])
def test_bigtiff_where_the_size_needs_it(compression, factor):
    def big(rows, levels=0):
        image = Image(Promised((2, rows, 1 << 16), np.uint8), "CYX")
        return writing.is_big(image, writing._Layout((256, 256), None, 256, levels), compression, 1000)

    limit = int(2**32 / factor) >> 17  # rows of both planes that fill 4 GiB
    assert big(limit)
    assert not big(int(limit * 0.99))
    assert big(int(limit * 0.8), levels=8)
    assert not big(int(limit * 0.7), levels=8)


def test_bigtiff_is_written(tmp_path, monkeypatch):
    pixels = noise((2, 300, 301))
    for big in (False, True):
        monkeypatch.setattr(writing, "is_big", lambda *_, big=big: big)
        path = save(tmp_path / "a.ome.tif", Image(pixels, "ZYX"), pyramid=True, compression="zlib")
        with tifffile.TiffFile(path) as file:
            assert file.is_bigtiff is big
            np.testing.assert_array_equal(file.asarray(), pixels)
            expected = np.stack([block_mean(plane, 1) for plane in pixels])
            np.testing.assert_array_equal(file.series[0].levels[1].asarray(), expected)


@pytest.mark.parametrize(
    "axes, shape, dtype",
    [
        ("YX", (3, 7), "uint8"),
        ("YX", (257, 511), "float32"),
        ("TYX", (5, 7, 1), "uint16"),
        ("CYX", (3, 1, 1), "uint16"),
        ("ZCYX", (3, 2, 6, 3), "uint16"),
        ("TZCYX", (2, 3, 4, 5, 6), "float32"),
        ("YXS", (4, 5, 3), "uint8"),
        ("TZYXS", (2, 3, 4, 5, 3), "uint8"),
    ],
)
@pytest.mark.parametrize("truncated", [False, True])
def test_imagej_holds_pixels_and_axes(tmp_path, monkeypatch, axes, shape, dtype, truncated):
    monkeypatch.setattr(imagej, "passes_4_gb", lambda _: truncated)
    pixels = noise(shape, dtype)
    path = save(tmp_path / "a.tif", Image(pixels, axes), format="imagej", height=2)
    with tifffile.TiffFile(path) as file:
        assert file.is_imagej
        # Beyond 4 GB there is one directory, and all planes follow each other.
        assert len(file.pages) == (1 if truncated else int(np.prod(shape[: axes.index("Y")])))
        assert file.series[0].axes == axes
        np.testing.assert_array_equal(file.series[0].asarray(), pixels)


def test_imagej_truncates_where_offsets_end():
    def image(planes):
        return Image(Promised((planes, 1 << 15, 1 << 15), np.uint8), "ZYX")

    assert not imagej.passes_4_gb(image(3))
    assert imagej.passes_4_gb(image(4))


def test_imagej_metadata(tmp_path):
    fire = np.arange(768, dtype=np.uint16).reshape(3, 256).astype(np.uint8)
    image = Image(
        noise((2, 3, 2, 4, 5)),
        "TZCYX",
        PixelSize(0.08125, 0.1625, 0.3),
        2.5,
        (Channel("DAPI", (0, 0, 255), display=(3, 70)), Channel("GFP µ", lut=fire, display=(-1.5, 4e4))),
        {
            "imagej": {
                **{"Info": "Ti2 µm", "Labels": [f"plane {n} Ω" for n in range(12)], "Properties": {"key": "välue"}},
                **{"fps": 3.5, "vunit": "µV", "loop": True, "mode": "color", "ImageJ": "1.53t", "images": 99},
                **{"unit": "inch", "xorigin": 17, "min": 0.0, "ROI": b"Iout"},
            },
            "provenance": PROVENANCE,
        },
    )
    with tifffile.TiffFile(save(tmp_path / "a.tif", image, format="imagej")) as file:
        meta, tags = file.imagej_metadata, file.pages[0].tags
    luts = meta.pop("LUTs")
    assert luts[0][0].max() == luts[0][1].max() == 0
    assert luts[0][2].tolist() == list(range(256))
    np.testing.assert_array_equal(luts[1], fire)
    assert meta == {
        **{"ImageJ": "1.11a", "images": 12, "channels": 2, "slices": 3, "frames": 2, "hyperstack": True},
        **{"mode": "color", "loop": True, "unit": "um", "spacing": 0.3, "finterval": 2.5, "fps": 3.5},
        "vunit": "\\u00B5V",
        "Ranges": (3, 70, -1.5, 4e4),
        "Labels": [f"plane {n} Ω" for n in range(12)],
        "Properties": {"key": "välue"},
        "Info": "Ti2 µm\nsoftware: msrgan 9.9\nmodel: srgan\nnote: computationally generated: not a measurement",
    }
    assert tags["XResolution"].value == (80, 13)
    assert tags["YResolution"].value == (160, 13)
    assert tags["Software"].value.startswith("msrgan ")


def test_imagej_shows_names_of_channels_as_labels(tmp_path):
    image = Image(noise((2, 2, 3, 3)), "ZCYX", channels=(Channel("DAPI"), Channel("GFP", (0, 255, 0))))
    with tifffile.TiffFile(save(tmp_path / "a.tif", image, format="imagej")) as file:
        meta = file.imagej_metadata
    assert meta["Labels"] == ["DAPI", "GFP", "DAPI", "GFP"]
    assert meta["mode"] == "composite"
    assert meta["LUTs"][0].tolist() == [list(range(256))] * 3  # no colour is grey
    assert meta["LUTs"][1].tolist() == [[0] * 256, list(range(256)), [0] * 256]
    assert "unit" not in meta


def test_imagej_range_of_a_single_channel(tmp_path):
    image = Image(noise((3, 4)), "YX", channels=(Channel(display=(5.0, 900.0)),))
    with tifffile.TiffFile(save(tmp_path / "a.tif", image, format="imagej")) as file:
        assert (file.imagej_metadata["min"], file.imagej_metadata["max"]) == (5, 900)


def test_plain_tiff(tmp_path):
    pixels = noise((130, 901, 3))
    extra = {"description": "from the µ stage", "provenance": PROVENANCE}
    image = Image(pixels, "YXS", PixelSize(0.5, 0.1625), extra=extra)
    with tifffile.TiffFile(save(tmp_path / "a.tif", image, format="tiff", compression="zlib")) as file:
        page = file.pages[0]
        np.testing.assert_array_equal(page.asarray(), pixels)
        assert page.photometric == tifffile.PHOTOMETRIC.RGB
        assert not page.is_tiled
        assert page.tags["ResolutionUnit"].value == 3
        assert Fraction(*page.tags["XResolution"].value) == Fraction(10000 * 80, 13)
        assert page.tags["YResolution"].value == (20000, 1)
        assert page.description.split("\n\n") == [
            "from the µ stage",
            "software: msrgan 9.9\nmodel: srgan\nnote: computationally generated: not a measurement",
        ]
    with tifffile.TiffFile(save(tmp_path / "b.tif", Image(pixels, "YXS"), format="tiff")) as file:
        assert file.pages[0].tags["ResolutionUnit"].value == 1
        assert file.pages[0].description == ""


@pytest.mark.parametrize("size", [1e-4, 0.0325, 0.1, 1 / 3, 7.77e3])
def test_resolution_is_the_nearest_fraction(tmp_path, size):
    image = Image(noise((2, 2)), "YX", PixelSize(size, size))
    for format, unit in (("imagej", 1), ("tiff", 1e4)):
        with tifffile.TiffFile(save(tmp_path / "a.tif", image, format=format)) as file:
            pixels, units = file.pages[0].tags["XResolution"].value
        assert units / pixels * unit == pytest.approx(size, rel=1e-8)


def test_absent_stays_absent(tmp_path):
    path = save(tmp_path / "a.ome.tif", Image(noise((2, 3, 4)), "CYX"))
    with tifffile.TiffFile(path) as file:
        image = tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]
    assert not [key for key in image["Pixels"] if "Physical" in key or "Time" in key]
    assert "Description" not in image
    assert [set(channel) for channel in image["Pixels"]["Channel"]] == [{"ID", "SamplesPerPixel"}] * 2


# bioio asks Beautiful Soup and its own helpers for things that are going.
@pytest.mark.filterwarnings("ignore")
def test_bioio_reads_the_same(tmp_path):
    reader = pytest.importorskip("bioio_ome_tiff").Reader
    pixels = noise((2, 3, 4, 260, 300))
    channels = (Channel("DAPI"), Channel("αβ"), Channel("GFP"))
    image = Image(pixels, "TCZYX", PixelSize(0.08125, 0.1, 0.3), 2.5, channels)
    read = reader(save(tmp_path / "a.ome.tif", image, pyramid=True, compression="zlib"))
    assert read.dims.order == "TCZYX"
    np.testing.assert_array_equal(read.data, pixels)
    assert list(read.channel_names) == ["DAPI", "αβ", "GFP"]
    assert tuple(read.physical_pixel_sizes) == (0.3, 0.08125, 0.1)
    assert read.ome_metadata.images[0].pixels.time_increment == 2.5


# bioio asks Beautiful Soup and its own helpers for things that are going.
@pytest.mark.filterwarnings("ignore")
def test_bioio_reads_rgb(tmp_path):
    reader = pytest.importorskip("bioio_ome_tiff").Reader
    pixels = noise((2, 5, 300, 3), "uint8")
    read = reader(save(tmp_path / "a.ome.tif", Image(pixels, "ZYXS", PixelSize(0.5, 0.25))))
    assert read.dims.order.endswith("YXS")
    np.testing.assert_array_equal(np.squeeze(read.data), pixels)


@pytest.mark.parametrize(
    "fault, change",
    [
        ("none for row 20 of plane", lambda bands: [*bands[:2], *bands[3:5]][:2]),
        ("in place of row 20", lambda bands: [*bands[:2], *bands[3:]]),
        ("in place of row 0", lambda bands: bands[::-1]),
        ("of plane .1,. in place of row 0 of plane .0,.", lambda bands: [*bands[3:], *bands[:3]]),
        ("in place of row 10", lambda bands: [bands[0], *bands]),
        ("one more", lambda bands: [*bands, bands[-1]]),
        ("full width", lambda bands: [bands[0]._replace(pixels=bands[0].pixels[:, 1:]), *bands[1:]]),
        ("full width", lambda bands: [bands[0]._replace(pixels=bands[0].pixels[:0]), *bands[1:]]),
        ("full width", lambda bands: [Band((0,), 0, np.concatenate([b.pixels for b in bands]))]),
        ("dtype", lambda bands: [bands[0]._replace(pixels=bands[0].pixels.astype("float32")), *bands[1:]]),
    ],
)
@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"format": "imagej"}], ids=str)
def test_wrong_bands_leave_nothing(tmp_path, fault, change, options):
    image = Image(noise((2, 25, 270)), "CYX")
    bands = change(list(image.bands(10)))
    with pytest.raises(ValueError, match=fault):
        write(tmp_path / "a.tif", image, iter(bands), **{"format": "ome-tiff"} | options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, StopIteration])
@pytest.mark.parametrize("options", [{"compression": "zstd"}, {"pyramid": True}, {"format": "imagej"}], ids=str)
def test_interruption_leaves_the_old_file(tmp_path, error, options):
    image = Image(noise((2, 600, 300)), "CYX")

    class Interrupted:
        def __init__(self):
            self.bands = image.bands(100)

        def __iter__(self):
            return self

        def __next__(self):
            band = next(self.bands)
            if band.index == (1,):
                raise error
            return band

    path = tmp_path / "a.tif"
    path.write_text("old")
    with pytest.raises(ValueError if error is StopIteration else error):
        write(path, image, Interrupted(), **{"format": "ome-tiff"} | options)
    assert [file.name for file in tmp_path.iterdir()] == ["a.tif"]
    assert path.read_text() == "old"


@pytest.mark.parametrize("format", ["ome-tiff", "imagej", "tiff"])
def test_full_disk_leaves_no_file_or_a_whole_one(small_disk, format):
    outcomes = set()
    for rows in range(750, 801, 5):
        pixels = noise((rows, 256), "uint8")
        path = small_disk / "a.tif"
        try:
            save(path, Image(pixels, "YX"), format=format)
        except OSError:
            assert not list(small_disk.iterdir())
            outcomes.add("full")
        else:
            np.testing.assert_array_equal(stored(path)[1], pixels)
            path.unlink()
            outcomes.add("whole")
    assert outcomes == {"full", "whole"}


@pytest.mark.parametrize("options", [{}, {"compression": "zstd", "pyramid": True}, {"format": "imagej"}], ids=str)
def test_memory_holds_some_rows(tmp_path, options):
    row = noise((1, 1024))
    options = {"format": "ome-tiff"} | options

    def save_rows(rows):
        bands = (Band((), top, np.repeat(row, 32, axis=0)) for top in range(0, rows, 32))
        write(tmp_path / "a.tif", Image(Promised((rows, 1024), np.uint16), "YX"), bands, **options)

    save_rows(512)  # what is imported on the way is no memory of the image
    tracemalloc.start()
    try:
        save_rows(16384)  # 32 MiB
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_bands_are_taken_as_they_are_written(tmp_path, compression):
    image = Image(Promised((16384, 512), np.uint8), "YX")
    sizes = []

    def bands():
        for top in range(0, 16384, 64):
            (file,) = tmp_path.iterdir()
            sizes.append((top, file.stat().st_size))
            yield Band((), top, np.random.default_rng(top).integers(0, 256, (64, 512), np.uint8))

    write(tmp_path / "a.tif", image, bands(), format="ome-tiff", compression=compression)
    # Two rows of tiles, and those that threads are compressing, are ahead of the file.
    ahead = 512 * 512 + (0 if compression is None else 17 * 256 * 256 * 2)
    assert all(size > top * 512 - ahead for top, size in sizes)


@pytest.mark.parametrize(
    "axes, shape, dtype, options, words",
    [
        ("YX", (2, 2), "uint16", {"format": "png"}, "`format`.*'png'"),
        ("YX", (2, 2), "uint16", {"compression": "jpeg"}, "`compression`.*zlib.*'jpeg'"),
        ("YX", (0, 2), "uint16", {}, "has pixels"),
        ("YX", (2, 2), "float16", {}, "float16.*Choose the `format` ome-zarr-0.4"),
        ("YX", (2, 2), "int64", {"format": "tiff"}, "int64"),
        ("YX", (2, 2), "bool", {}, "bool"),
        ("CYX", (2, 2, 2), "uint8", {"format": "tiff"}, "one plane.*OME-TIFF"),
        ("YX", (2, 2), "uint8", {"format": "tiff", "pyramid": True}, "`pyramid`"),
        ("YX", (2, 2), "int16", {"format": "imagej"}, "uint8 uint16 float32.*int16.*OME-TIFF"),
        ("YXS", (2, 2, 3), "uint16", {"format": "imagej"}, "RGB.*OME-TIFF"),
        ("CYXS", (2, 2, 2, 3), "uint8", {"format": "imagej"}, "OME-TIFF"),
        ("TCZYX", (2, 2, 2, 2, 2), "uint8", {"format": "imagej"}, "transposed.'TZC'"),
        ("YX", (2, 2), "uint8", {"format": "imagej", "compression": "zlib"}, "not compressed.*OME-TIFF"),
        ("YX", (1 << 16, 1 << 15), "uint8", {"format": "imagej"}, "2147483648.*OME-TIFF"),
    ],
)
def test_refusals(tmp_path, axes, shape, dtype, options, words):
    image = Image(Promised(shape, np.dtype(dtype)), axes)
    with pytest.raises(ValueError, match=words):
        write(tmp_path / "a.tif", image, iter(()), **{"format": "ome-tiff"} | options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("size", [0.0, -1.0, float("nan"), float("inf")])
def test_pixel_sizes_are_positive(tmp_path, size):
    image = Image(noise((2, 2)), "YX", PixelSize(None, size))
    with pytest.raises(ValueError, match="positive"):
        save(tmp_path / "a.tif", image)


def test_plain_float16(tmp_path):
    pixels = noise((5, 6), "float32").astype("float16")
    read = stored(save(tmp_path / "a.tif", Image(pixels, "YX"), format="tiff", compression="zlib"))[1]
    assert read.dtype == "float16"
    np.testing.assert_array_equal(read, pixels)
