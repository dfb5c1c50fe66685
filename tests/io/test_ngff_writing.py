"""Writing OME-Zarr: read back by plain zarr, ome-zarr, ome-zarr-models and bioio."""

import itertools
import json
import sys
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from msrgan.io import ngff
from msrgan.io.image import Band, Channel, Image, PixelSize, Promised
from msrgan.io.ngff_writing import halved, write

zarr = pytest.importorskip("zarr", reason="the extra zarr is not installed")
FORMATS = ("ome-zarr-0.4", "ome-zarr-0.5")


def pixels(*shape, dtype=np.uint16):
    return np.random.default_rng(3).integers(0, 200, shape).astype(dtype)


def described(folder):
    """Return multiscale, omero and ours, as JSON has them."""
    if (folder / "zarr.json").is_file():
        attributes = json.loads((folder / "zarr.json").read_text())["attributes"]
        assert attributes["ome"]["version"] == "0.5"
    else:
        attributes = json.loads((folder / ".zattrs").read_text())
        assert attributes["multiscales"][0]["version"] == "0.4"
    ome = attributes.get("ome", attributes)
    return ome["multiscales"][0], ome.get("omero"), attributes["msrgan"]


def steps(multiscale):
    """Return scale and translation of each level."""
    return [
        {step["type"]: step[step["type"]] for step in dataset["coordinateTransformations"]}
        for dataset in multiscale["datasets"]
    ]


def block_means(image):
    """Means of 2x2 pixels by the definition; at the edge, of the pixels that there are."""
    y, x = (-(-n // 2) * 2 for n in image.shape)
    padded = np.full((y, x), np.nan)
    padded[: image.shape[0], : image.shape[1]] = image
    means = np.nanmean(padded.reshape(y // 2, 2, x // 2, 2), axis=(1, 3))
    return np.floor(means + 0.5) if image.dtype.kind in "iu" else means


@pytest.fixture(scope="module")
def stack():
    """An image of every axis, its stack in another order than OME-Zarr has it, with all that a file can tell."""
    return Image(
        pixels(2, 3, 2, 20, 24),
        "CZTYX",
        pixel_size=PixelSize(0.2, 0.1, 0.5),
        time_step=1.5,
        channels=(Channel("DAPI", (0, 0, 255), None, (10, 150)), Channel("GFP", (1, 255, 16), None, (0.5, 99))),
        extra={
            "provenance": {"software": "msrgan 1", "note": "computationally generated: not a measurement"},
            "attributes": {"sample": {"mouse": [3, 4]}},
            "description": "cells",
            "imagej": {"Info": "exposure = 5", "numbers": np.arange(2)},
            "ome": "<OME/>",
            "vendor": {"objective": "40x"},
        },
    )


@pytest.mark.parametrize("format", FORMATS)
def test_all_that_an_image_knows_comes_back(tmp_path, stack, format):
    path = tmp_path / "a.ome.zarr"
    write(path, stack, stack.bands(7), format=format)
    opened = ngff.read(path)
    assert opened.axes == "TCZYX" and opened.format == format and opened.channels == stack.channels
    assert opened.pixel_size == stack.pixel_size and opened.time_step == 1.5
    np.testing.assert_array_equal(opened.pixels[:, :, :, :, :], stack.pixels.transpose(2, 0, 1, 3, 4))
    assert opened.extra["imagej"] == {"Info": "exposure = 5", "numbers": [0, 1]}
    for key in ("provenance", "attributes", "description", "ome", "vendor"):
        assert opened.extra[key] == stack.extra[key]
    assert opened.extra["ngff"]["name"] == "a"
    again = tmp_path / "b.zarr"
    write(again, opened, opened.bands(), format=format)
    for first, second in zip(described(path), described(again), strict=True):
        assert first == second


@pytest.mark.parametrize("format", FORMATS)
def test_what_plain_zarr_sees(tmp_path, stack, format):
    path = tmp_path / "a.zarr"
    write(path, stack, stack.bands(), format=format)
    array = zarr.open_group(path, mode="r")["0"]
    np.testing.assert_array_equal(array[...], stack.pixels.transpose(2, 0, 1, 3, 4))
    assert array.chunks == (1, 1, 1, 20, 24) and array.dtype == np.uint16 and array.attrs.asdict() == {}
    multiscale, omero, _ = described(path)
    assert multiscale["axes"] == [
        {"name": "t", "type": "time", "unit": "second"},
        {"name": "c", "type": "channel"},
        *({"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"),
    ]
    assert steps(multiscale) == [{"scale": [1.5, 1, 0.5, 0.2, 0.1]}]
    assert [channel["label"] for channel in omero["channels"]] == ["DAPI", "GFP"]
    assert [channel["color"] for channel in omero["channels"]] == ["0000FF", "01FF10"]
    limits = [(float(plane.min()), float(plane.max())) for plane in stack.pixels]
    windows = [dict(min=limits[0][0], max=limits[0][1], start=10, end=150),
               dict(min=limits[1][0], max=limits[1][1], start=0.5, end=99)]  # fmt: skip
    assert [channel["window"] for channel in omero["channels"]] == windows
    if format == "ome-zarr-0.4":
        assert (path / "0" / "0" / "1" / "2" / "0" / "0").is_file()  # folders, as the specification wants
    else:
        assert array.metadata.dimension_names == ("t", "c", "z", "y", "x")


def test_other_readers_agree(tmp_path, stack):
    models = pytest.importorskip("ome_zarr_models", reason="ome-zarr-models is not installed")
    io = pytest.importorskip("ome_zarr.io", reason="ome-zarr is not installed")
    from ome_zarr.reader import Reader

    image = replace(stack, pixels=pixels(2, 1, 1, 514, 600), pixel_size=PixelSize(0.2, 0.1, 0.5))
    for format in FORMATS:
        path = tmp_path / f"{format}.zarr"
        write(path, image, image.bands(), format=format)
        checked = models.open_ome_zarr(zarr.open_group(path, mode="r"))
        assert f"ome-zarr-{checked.ome_zarr_version}" == format
        [node] = Reader(io.parse_url(path))()
        assert [level.shape for level in node.data] == [(1, 2, 1, 514, 600), (1, 2, 1, 257, 300)]
        np.testing.assert_array_equal(np.asarray(node.data[0])[0, :, 0], image.pixels[:, 0, 0])
        assert node.metadata["channel_names"] == ["DAPI", "GFP"]
        assert node.metadata["contrast_limits"] == [[10, 150], [0.5, 99]]
        assert node.metadata["coordinateTransformations"][0][0]["scale"] == [1.5, 1, 0.5, 0.2, 0.1]


@pytest.mark.parametrize("format", FORMATS)
def test_bioio_agrees(tmp_path, stack, format):
    bioio = pytest.importorskip("bioio_ome_zarr", reason="bioio-ome-zarr is not installed")
    write(tmp_path / "a.zarr", stack, stack.bands(), format=format)
    reader = bioio.Reader(str(tmp_path / "a.zarr"))
    assert reader.dims.order == "TCZYX" and reader.channel_names == ["DAPI", "GFP"]
    assert tuple(reader.physical_pixel_sizes) == (0.5, 0.2, 0.1)
    np.testing.assert_array_equal(reader.get_image_data("YX", T=1, C=0, Z=2), stack.pixels[0, 2, 1])


def test_what_ome_zarr_writes(tmp_path):
    writer = pytest.importorskip("ome_zarr.writer", reason="ome-zarr is not installed")
    from ome_zarr.format import FormatV04, FormatV05

    image = pixels(2, 40, 50)
    for fmt in (FormatV04(), FormatV05()):
        path = tmp_path / f"{fmt.version}.zarr"
        group = zarr.create_group(path, zarr_format=fmt.zarr_format)
        units = {"y": "micrometer", "x": "micrometer"}
        writer.write_image(
            image, group, [2], fmt=fmt, axes=["c", "y", "x"], scale={"c": 1.0, "y": 0.5, "x": 0.25}, axes_units=units
        )
        opened = ngff.read(path)
        assert opened.axes == "CYX" and opened.format == f"ome-zarr-{fmt.version}"
        assert opened.pixel_size == (0.5, 0.25, None) and opened.levels == ((40, 50), (20, 25))
        np.testing.assert_array_equal(opened.pixels[:, :, :], image)


@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float16", "float32", "float64"]
)
def test_halved_is_the_mean_of_blocks(dtype):
    limits = np.iinfo(dtype) if np.dtype(dtype).kind in "iu" else np.finfo(np.float16)
    numbers = np.random.default_rng(0).uniform(limits.min / 8, limits.max / 8, (3, 7, 10)).astype(dtype)
    numbers[0, :2, :2] = limits.max  # whose sum the dtype does not hold
    numbers[0, 2:4, :2] = limits.min
    for plane, half in zip(numbers, halved(numbers), strict=True):
        assert half.dtype == numbers.dtype and half.shape == (4, 5)
        means = block_means(plane.astype(float) if plane.dtype.kind == "f" else plane).astype(dtype)
        np.testing.assert_allclose(half, means, rtol=0, atol=1e-11 if dtype == "float64" else 0)  # order of the sum
    assert halved(np.array([[1, 2], [2, 1]], np.uint8)) == 2 and halved(np.array([[-1, -2], [-2, -1]], np.int8)) == -1
    assert halved(np.array([[7]], dtype)) == 7


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(("height", "shape"), [(1, (3, 600)), (37, (1025, 1100)), (700, (1025, 513)), (512, (1024, 4))])
def test_the_pyramid_is_made_of_means(tmp_path, format, height, shape):
    plane = pixels(*shape, dtype=np.uint8)
    image = Image(np.stack([plane, plane[::-1]]), "ZYX", pixel_size=PixelSize(0.2, 0.1, 3))
    write(tmp_path / "a.zarr", image, image.bands(height), format=format)
    group = zarr.open_group(tmp_path / "a.zarr", mode="r")
    multiscale, _, _ = described(tmp_path / "a.zarr")
    levels = [group[dataset["path"]][...] for dataset in multiscale["datasets"]]
    np.testing.assert_array_equal(levels[0], image.pixels)
    assert len(levels) == {3: 2, 1025: 3, 1024: 2}[shape[0]]  # until one fits into 512x512
    for finer, coarser in itertools.pairwise(levels):
        np.testing.assert_array_equal(coarser, [block_means(plane) for plane in finer])
    assert ngff.read(tmp_path / "a.zarr").levels == tuple(level.shape[1:] for level in levels)
    for level, place in enumerate(steps(multiscale)):
        assert place["scale"] == pytest.approx([3, 0.2 * 2**level, 0.1 * 2**level])
        offset = [0, 0.1 * (2**level - 1), 0.05 * (2**level - 1)]  # the middle of the pixels that a mean is of
        assert place.get("translation", [0, 0, 0]) == pytest.approx(offset)


def test_without_a_pyramid(tmp_path):
    image = Image(pixels(600, 700), "YX")
    write(tmp_path / "a.zarr", image, image.bands(), pyramid=False)
    assert ngff.read(tmp_path / "a.zarr").levels == ((600, 700),)
    assert sorted(path.name for path in (tmp_path / "a.zarr").iterdir() if path.name[0] != ".") == ["0"]


@pytest.mark.parametrize("format", FORMATS)
def test_rgb_becomes_three_channels(tmp_path, format):
    image = Image(pixels(2, 600, 5, 3, dtype=np.uint8), "ZYXS", channels=())
    write(tmp_path / "a.zarr", image, image.bands(100), format=format)
    opened = ngff.read(tmp_path / "a.zarr")
    assert opened.axes == "CZYX"
    assert opened.channels == tuple(
        Channel(name, colour) for name, colour in (("red", (255, 0, 0)), ("green", (0, 255, 0)), ("blue", (0, 0, 255)))
    )
    np.testing.assert_array_equal(opened.pixels[:, :, :, :], image.pixels.transpose(3, 0, 1, 2))
    coarse = ngff.read(tmp_path / "a.zarr", level=1)
    np.testing.assert_array_equal(coarse.read((2, 1)), halved(image.pixels[1, ..., 2]))


def test_what_an_image_does_not_know_is_not_invented(tmp_path):
    image = Image(pixels(2, 9, 9), "CYX")
    write(tmp_path / "a.zarr", image, image.bands())
    multiscale, omero, ours = described(tmp_path / "a.zarr")
    assert omero is None and set(ours) == {"chunks"}
    assert steps(multiscale) == [{"scale": [1, 1, 1]}] and not any("unit" in axis for axis in multiscale["axes"])
    opened = ngff.read(tmp_path / "a.zarr")
    assert opened.pixel_size == PixelSize() and opened.channels == () and opened.time_step is None
    named = replace(image, channels=(Channel("a"), Channel(colour=(1, 2, 3))), pixel_size=PixelSize(x=0.5))
    write(tmp_path / "b.zarr", named, named.bands())
    opened = ngff.read(tmp_path / "b.zarr")
    assert opened.channels == named.channels and opened.pixel_size == PixelSize(x=0.5)
    for channel in described(tmp_path / "b.zarr")[1]["channels"]:  # what the specification wants
        assert set(channel["window"]) == {"min", "max", "start", "end"} and len(channel["color"]) == 6


def test_look_up_tables(tmp_path):
    fire = np.stack([np.arange(256), np.arange(256) // 2, np.full(256, 7)]).astype(np.uint8)
    image = Image(pixels(2, 9, 9), "CYX", channels=(Channel("a", None, fire), Channel("b", (1, 2, 3), None, (4, 5))))
    write(tmp_path / "a.zarr", image, image.bands())
    assert [channel["color"] for channel in described(tmp_path / "a.zarr")[1]["channels"]] == ["FF7F07", "010203"]
    first, second = ngff.read(tmp_path / "a.zarr").channels
    assert second == image.channels[1] and first[:2] == ("a", None) and first.display is None
    np.testing.assert_array_equal(first.lut, fire)


def test_an_enlarged_image_lies_where_it_lay(tmp_path):
    """Four pixels of 1 um from 10 - 0.5 on, become 16 of 0.25 um: the centre of the first lies at 9.5 + 0.125."""
    place = {"type": "translation", "translation": [10, 20]}
    group = zarr.create_group(tmp_path / "a.zarr", zarr_format=2)
    group.create_array("0", shape=(4, 6), dtype=np.uint8)[...] = 1
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "yx"]
    transformations = [{"type": "scale", "scale": [1, 2]}, place]
    dataset = {"path": "0", "coordinateTransformations": transformations}
    group.attrs.update({"multiscales": [{"version": "0.4", "axes": axes, "datasets": [dataset]}]})
    opened = ngff.read(tmp_path / "a.zarr")
    large = opened.enlarged(4, provenance={"model": "bicubic"})
    write(tmp_path / "b.zarr", large, iter([Band((), 0, np.ones((16, 24), np.uint8))]))
    multiscale, _, ours = described(tmp_path / "b.zarr")
    assert ours["provenance"] == {"model": "bicubic"}
    assert steps(multiscale) == [{"scale": [0.25, 0.5], "translation": [9.625, 19.25]}]
    # without units, which are no pixel size, the numbers become smaller all the same
    for axis in axes:
        del axis["unit"]
    group.attrs.update({"multiscales": [{"version": "0.4", "axes": axes, "datasets": [dataset]}]})
    large = ngff.read(tmp_path / "a.zarr").enlarged(4, provenance={})
    assert large.pixel_size == PixelSize()
    write(tmp_path / "b.zarr", large, iter([Band((), 0, np.ones((16, 24), np.uint8))]))
    multiscale, _, _ = described(tmp_path / "b.zarr")
    assert steps(multiscale) == [{"scale": [0.25, 0.5], "translation": [9.625, 19.25]}]
    assert not any("unit" in axis for axis in multiscale["axes"])


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint32", "float16", "float32", "float64"])
def test_dtypes(tmp_path, format, dtype):
    image = Image(pixels(30, 40, dtype=dtype) - 7, "YX")
    write(tmp_path / "a.zarr", image, image.bands(), format=format)
    opened = ngff.read(tmp_path / "a.zarr")
    assert opened.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(opened.read(), image.pixels)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("compression", ["blosc", "zstd", "gzip", "none"])
def test_compressions(tmp_path, format, compression):
    image = Image(np.tile(np.arange(200, dtype=np.uint16), (100, 1)), "YX")
    write(tmp_path / "a.zarr", image, image.bands(), format=format, compression=compression)
    array = zarr.open_group(tmp_path / "a.zarr", mode="r")["0"]
    names = [type(codec).__name__.removesuffix("Codec").lower() for codec in array.compressors]
    assert names == ([] if compression == "none" else [compression])
    assert (array.nbytes_stored() < 20000) == (compression != "none")
    np.testing.assert_array_equal(ngff.read(tmp_path / "a.zarr").read(), image.pixels)


def test_floats_without_numbers(tmp_path):
    plane = np.array([[np.nan, 3], [np.inf, -1]], np.float32)
    image = Image(np.stack([plane, np.full((2, 2), np.nan, np.float32)]), "CYX", channels=(Channel("a"), Channel("b")))
    write(tmp_path / "a.zarr", image, image.bands())
    np.testing.assert_array_equal(ngff.read(tmp_path / "a.zarr").pixels[:, :, :], image.pixels)
    windows = [channel["window"] for channel in described(tmp_path / "a.zarr")[1]["channels"]]
    assert windows == [dict(min=0, max=1, start=0, end=1)] * 2  # JSON has no infinity


def test_every_chunk_is_stored(tmp_path):
    image = Image(np.zeros((2, 600, 520), np.uint8), "ZYX")
    write(tmp_path / "a.zarr", image, image.bands())
    files = [path for path in (tmp_path / "a.zarr" / "0").rglob("*") if path.is_file() and path.name[0] != "."]
    assert len(files) == 2 * 2 * 2
    files[3].unlink()
    with pytest.raises(ValueError, match="1 of 8 chunks are missing"):
        ngff.read(tmp_path / "a.zarr")


def test_memory_does_not_grow_with_the_image(tmp_path):
    """32 MB in 512 bands; at a time in memory: 512 rows of 1 MB, half of that of each level, and some copies."""
    shape = (16, 1024, 1024)
    image = Image(Promised(shape, np.uint16), "ZYX")
    rows = pixels(32, 1024)
    bands = (Band((z,), top, rows) for z, top in itertools.product(range(16), range(0, 1024, 32)))
    tracemalloc.start()
    try:
        write(tmp_path / "a.zarr", image, bands, compression="none")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 12e6


def test_whole_or_not_at_all(tmp_path):
    image = Image(pixels(3, 600, 40), "ZYX")
    path = tmp_path / "a.zarr"

    def failing():
        yield from itertools.islice(image.bands(100), 10)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write(path, image, failing())
    assert list(tmp_path.iterdir()) == []
    write(path, image, image.bands())
    with pytest.raises(RuntimeError):
        write(path, image, failing())
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.zarr"]
    np.testing.assert_array_equal(ngff.read(path).pixels[:, :, :], image.pixels)


@pytest.mark.parametrize(
    ("change", "received"),
    [
        (lambda bands: bands[:-1], "none for rows from 20 of plane \\(1,\\)"),
        (lambda bands: [*bands, bands[-1]], "more than its planes"),
        (lambda bands: bands[::-1], "from 20 of \\(1,\\)"),
        (lambda bands: [bands[0]._replace(top=1), *bands[1:]], "from 1 of \\(0,\\)"),
        (lambda bands: [bands[0]._replace(pixels=bands[0].pixels[:, :-1]), *bands[1:]], "\\(20, 8\\)"),
        (lambda bands: [bands[0]._replace(pixels=bands[0].pixels.astype(float)), *bands[1:]], "float64"),
        (lambda bands: [bands[0], bands[1]._replace(pixels=bands[0].pixels), *bands[2:]], "\\(20, 9\\)"),
        (lambda bands: [bands[0]._replace(pixels=bands[0].pixels[:0]), *bands], "\\(0, 9\\)"),
    ],
)
def test_bands_that_are_not_the_image(tmp_path, change, received):
    image = Image(pixels(2, 30, 9), "ZYX")
    with pytest.raises(ValueError, match=f"Bands make up the image. Received: .*{received}"):
        write(tmp_path / "a.zarr", image, iter(change(list(image.bands(20)))))
    assert list(tmp_path.iterdir()) == []


def test_arguments_that_are_refused(tmp_path, monkeypatch):
    image = Image(pixels(4, 4), "YX")
    with pytest.raises(ValueError, match=r"`format` is one of ome-zarr-0.4, ome-zarr-0.5. Received: 'zarr'"):
        write(tmp_path / "a.zarr", image, image.bands(), format="zarr")
    with pytest.raises(ValueError, match=r"`compression` of OME-Zarr is one of zstd, .*Received: 'lzw'"):
        write(tmp_path / "a.zarr", image, image.bands(), compression="lzw")
    both = Image(pixels(2, 4, 4, 3), "CYXS")
    with pytest.raises(ValueError, match="one axis of channels. Received: CYXS"):
        write(tmp_path / "a.zarr", both, both.bands())
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(ValueError, match=r"pip install 'msrgan\[zarr\]'"):
        write(tmp_path / "a.zarr", image, image.bands())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("format", FORMATS)
def test_a_changed_byte_of_a_chunk_is_noticed(tmp_path, format):
    image = Image(pixels(40, 50), "YX")
    write(tmp_path / "a.zarr", image, image.bands(), format=format)
    (chunk,) = (path for path in (tmp_path / "a.zarr" / "0").rglob("*0") if path.is_file())
    whole = chunk.read_bytes()
    for place in range(0, len(whole), 97):
        changed = bytearray(whole)
        changed[place] ^= 0x10
        chunk.write_bytes(changed)
        try:
            read = ngff.read(tmp_path / "a.zarr").read()
        except ValueError:
            continue
        np.testing.assert_array_equal(read, image.pixels)  # a bit that says nothing
