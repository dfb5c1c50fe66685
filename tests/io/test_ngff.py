"""Reading OME-Zarr: stores are made by plain zarr, as the specifications 0.4 and 0.5 describe them."""

import json
import logging
import shutil
import sys

import numpy as np
import pytest

from msrgan.io import ngff
from msrgan.io.source import UnreadableImageError

zarr = pytest.importorskip("zarr", reason="the extra zarr is not installed")
VERSIONS = ("0.4", "0.5")
AXES = [
    {"name": "t", "type": "time", "unit": "millisecond"},
    {"name": "c", "type": "channel"},
    {"name": "z", "type": "space", "unit": "nanometer"},
    {"name": "y", "type": "space", "unit": "nanometer"},
    {"name": "x", "type": "space", "unit": "nanometer"},
]
OMERO = {
    "id": 7,
    "rdefs": {"defaultT": 0, "defaultZ": 1, "model": "color"},
    "channels": [
        {
            "label": "DAPI",
            "color": "0000FF",
            "window": {"min": 0, "max": 4095, "start": 10, "end": 2000},
            "active": True,
        },
        {
            "label": "GFP",
            "color": "00ff00",
            "window": {"min": 0, "max": 4095, "start": 0.5, "end": 99},
            "active": False,
        },
    ],
}


def pixels(shape, dtype=np.uint16, seed=0):
    return np.random.default_rng(seed).integers(1, 4096, shape).astype(dtype)


def store(folder, levels, *, version="0.4", axes=AXES, scales=None, multiscale=(), omero=None, others=(), **array):
    """Write an image by plain zarr; `scales` has one list of transformations a level."""
    group = zarr.create_group(folder, zarr_format=2 if version == "0.4" else 3)
    for name, level in enumerate(levels):
        chunks = (1,) * (level.ndim - 2) + (16, 16)
        written = group.create_array(str(name), shape=level.shape, dtype=level.dtype, **{"chunks": chunks, **array})
        written[...] = level
    steps = [{"coordinateTransformations": step} for step in scales] if scales else [{}] * len(levels)
    datasets = [{"path": str(name), **step} for name, step in enumerate(steps)]
    description = {"name": "cells", "axes": axes, "datasets": datasets, **dict(multiscale)}
    omero = {"omero": omero} if omero else {}
    if version == "0.4":
        group.attrs.update({"multiscales": [{"version": "0.4", **description}], **omero, **dict(others)})
    else:
        group.attrs.update({"ome": {"version": "0.5", "multiscales": [description], **omero}, **dict(others)})
    return folder


def edit(folder, change):
    """Change the attributes of a group of OME-Zarr 0.4 as JSON."""
    path = folder / ".zattrs"
    attributes = json.loads(path.read_text())
    change(attributes)
    path.write_text(json.dumps(attributes))


def scale(*values):
    return {"type": "scale", "scale": list(values)}


@pytest.fixture
def plain(tmp_path):
    """An image of 20x36 in OME-Zarr 0.4."""
    return store(tmp_path / "plain.zarr", [pixels((20, 36))], axes=AXES[3:], scales=[[scale(500, 250)]])


@pytest.mark.parametrize("version", VERSIONS)
def test_all_that_a_file_knows(tmp_path, version):
    image = pixels((2, 2, 3, 20, 36))
    levels = [image, image[..., ::2, ::2]]
    steps = [[scale(1, 1, 2000, 500, 250)], [scale(1, 1, 2000, 1000, 500)]]
    folder = store(
        tmp_path / "a.zarr",
        levels,
        version=version,
        scales=steps,
        multiscale={"coordinateTransformations": [scale(1500, 1, 1, 1, 1)]},
        omero=OMERO,
        others={"sample": {"mouse": 3}},
    )
    opened = ngff.read(folder)
    assert opened.axes == "TCZYX" and opened.dtype == np.uint16 and opened.format == f"ome-zarr-{version}"
    assert opened.source == folder and opened.levels == ((20, 36), (10, 18))
    assert opened.pixel_size == pytest.approx((0.5, 0.25, 2.0)) and opened.time_step == pytest.approx(1.5)
    assert [channel.name for channel in opened.channels] == ["DAPI", "GFP"]
    assert [channel.colour for channel in opened.channels] == [(0, 0, 255), (0, 255, 0)]
    assert [channel.display for channel in opened.channels] == [(10, 2000), (0.5, 99)]
    assert opened.extra["attributes"] == {"sample": {"mouse": 3}} and opened.extra["ngff"]["name"] == "cells"
    for index in opened.indices():
        np.testing.assert_array_equal(opened.read(index), image[index])
    np.testing.assert_array_equal(opened.read((1, 0, 2), slice(3, 19), slice(15, 33)), image[1, 0, 2, 3:19, 15:33])
    np.testing.assert_array_equal(opened.transposed("ZTC").read((2, 1, 0)), image[1, 0, 2])
    coarse = ngff.read(folder, level=1)
    assert coarse.pixel_size == pytest.approx((1.0, 0.5, 2.0)) and coarse.levels == opened.levels
    np.testing.assert_array_equal(coarse.read((1, 1, 2)), levels[1][1, 1, 2])


@pytest.mark.parametrize(
    ("unit", "micrometres"),
    [("micrometer", 3), ("nanometer", 0.003), ("millimeter", 3000), ("meter", 3e6), ("angstrom", 3e-4), ("µm", 3),
     ("parsec", None), ("pixel", None), (None, None)],
)  # fmt: skip
def test_units_become_micrometres(tmp_path, unit, micrometres):
    axes = [{"name": name, "type": "space", **({"unit": unit} if unit else {})} for name in "yx"]
    opened = ngff.read(store(tmp_path / "a.zarr", [pixels((4, 4))], axes=axes, scales=[[scale(3, 6)]]))
    y = None if micrometres is None else pytest.approx(micrometres)
    x = None if micrometres is None else pytest.approx(2 * micrometres)
    assert opened.pixel_size == (y, x, None) and opened.time_step is None


def test_a_scale_that_is_absent_stays_absent(tmp_path):
    opened = ngff.read(store(tmp_path / "a.zarr", [pixels((4, 4))], axes=AXES[3:]))
    assert opened.pixel_size == (None, None, None) and opened.channels == () and "provenance" not in opened.extra


def test_a_translation_is_scaled_by_what_follows(tmp_path):
    steps = [scale(1, 2), {"type": "translation", "translation": [5, 7]}]
    outer = {"coordinateTransformations": [scale(10, 100)]}
    folder = store(tmp_path / "a.zarr", [pixels((4, 4))], axes=AXES[3:], scales=[steps], multiscale=outer)
    grid = ngff.read(folder).extra["ngff"]["grid"]
    assert [grid[axis]["scale"] for axis in "YX"] == pytest.approx([0.01, 0.2])  # nm -> um
    assert [grid[axis]["offset"] for axis in "YX"] == pytest.approx([0.05, 0.7])


@pytest.mark.parametrize("version", VERSIONS)
def test_other_dtypes_and_byte_orders(tmp_path, version):
    for dtype in ("uint8", "int16", "uint32", "float16", "float32", "float64"):
        image = pixels((5, 7), dtype)
        opened = ngff.read(store(tmp_path / f"{dtype}.zarr", [image], axes=AXES[3:], version=version))
        assert opened.dtype == np.dtype(dtype)
        np.testing.assert_array_equal(opened.read(), image)
    big = pixels((5, 7)).astype(">u2") if version == "0.4" else pixels((5, 7))
    opened = ngff.read(store(tmp_path / "big.zarr", [big], axes=AXES[3:], version=version))
    assert opened.read().dtype.isnative
    np.testing.assert_array_equal(opened.read(), big)


def test_shards(tmp_path, caplog):
    image = pixels((70, 50))
    folder = store(tmp_path / "a.zarr", [image], axes=AXES[3:], version="0.5", shards=(32, 32))
    with caplog.at_level(logging.WARNING, logger="msrgan"):
        opened = ngff.read(folder)
    np.testing.assert_array_equal(opened.read((), slice(20, 70), slice(10, 40)), image[20:70, 10:40])
    assert not caplog.records
    (folder / "0" / "c" / "2" / "1").unlink()
    with caplog.at_level(logging.WARNING, logger="msrgan"):
        ngff.read(folder)
    assert "1 of 6 chunks" in caplog.text


def test_an_empty_shard_is_no_dark_part_of_the_image(tmp_path):
    folder = store(tmp_path / "a.zarr", [pixels((70, 50))], axes=AXES[3:], version="0.5", shards=(32, 32))
    (folder / "0" / "c" / "1" / "0").write_bytes(b"")
    opened = ngff.read(folder)
    opened.read((), slice(0, 32))
    with pytest.raises(UnreadableImageError, match=r"damaged pixels \(chunk c/1/0 is truncated\)"):
        opened.read((), slice(0, 33))


def test_chunks_without_pixels_are_damage(tmp_path):
    folder = store(tmp_path / "a.zarr", [pixels((70, 50))], axes=AXES[3:], version="0.5")
    path = folder / "0" / "zarr.json"
    text = path.read_text()
    assert '"chunk_shape": [' in text
    head, _, tail = text.partition('"chunk_shape": [')
    path.write_text(f'{head}"chunk_shape": [{tail.replace("16", "0", 1)}')
    with pytest.raises(UnreadableImageError, match=r"a\.zarr"):
        ngff.read(folder)


def test_axes_of_the_caller(plain, tmp_path):
    folder = store(tmp_path / "a.zarr", [pixels((3, 20, 36))], axes=AXES[2:], scales=[[scale(2000, 500, 250)]])
    opened = ngff.read(folder, axes="cyx")
    assert opened.axes == "CYX" and opened.pixel_size == (pytest.approx(0.5), pytest.approx(0.25), None)
    with pytest.raises(UnreadableImageError, match="letter for each dimension"):
        ngff.read(plain, axes="ZYX")
    with pytest.raises(ValueError, match="`axes`"):
        ngff.read(plain, axes="YXQ")


def test_arguments_that_do_not_fit(plain):
    with pytest.raises(ValueError, match=r"`level` is a number from 0 to 0.*Received: 1"):
        ngff.read(plain, level=1)
    with pytest.raises(UnreadableImageError, match="claims 720 pixels"):
        ngff.read(plain, max_pixels=719)
    assert ngff.read(plain, max_pixels=720).sizes == {"Y": 20, "X": 36}
    with pytest.raises(FileNotFoundError):
        ngff.read(plain.with_name("none.zarr"))


def chunk_files(folder):
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".") and path.suffix != ".json"
    )


def test_only_what_is_asked_for_is_read(plain):
    first, *rest = chunk_files(plain / "0")
    assert len(rest) == 5  # chunks of 16x16 of 20x36
    first.write_bytes(b"x")
    opened = ngff.read(plain)
    np.testing.assert_array_equal(opened.read((), slice(16, 20), slice(16, 36)), pixels((20, 36))[16:, 16:])
    with pytest.raises(UnreadableImageError, match="damaged pixels"):
        opened.read((), slice(0, 2), slice(0, 2))


def test_what_to_open_in_place_of_a_plate_and_of_label_maps(tmp_path):
    def group(name, attributes, version=2):
        zarr.create_group(tmp_path / name, zarr_format=version).attrs.update(attributes)
        return tmp_path / name

    wells = [{"path": "B/3", "rowIndex": 0, "columnIndex": 0}, {"path": "B/4", "rowIndex": 0, "columnIndex": 1}]
    plate = {"plate": {"wells": wells}}
    well = {"well": {"images": [{"path": "0"}, {"path": "1"}]}}
    for version, pack in ((2, dict), (3, lambda content: {"ome": {"version": "0.5", **content}})):
        with pytest.raises(UnreadableImageError, match=r"plate of 2 wells.*such as .*/plate/B/3/0$"):
            ngff.read(group("plate", pack(plate), version))
        with pytest.raises(UnreadableImageError, match=r"well of 2 fields.*such as .*/well/0$"):
            ngff.read(group("well", pack(well), version))
        with pytest.raises(UnreadableImageError, match=rf"label maps.*belong to: {tmp_path}$"):
            ngff.read(group("labels", pack({"labels": ["nuclei"]}), version))
        with pytest.raises(UnreadableImageError, match=rf"label maps.*belong to: {tmp_path}$"):
            ngff.read(group("labels/nuclei", pack({"multiscales": [], "image-label": {}}), version))
        for name in ("plate", "well", "labels"):
            shutil.rmtree(tmp_path / name)
    with pytest.raises(UnreadableImageError, match="a Zarr store, not an OME-Zarr image"):
        ngff.read(group("other", {"some": "thing"}))


def test_a_level_is_not_an_image(plain):
    with pytest.raises(UnreadableImageError, match=f"is one level.*Open the image: {plain}"):
        ngff.read(plain / "0")


def test_the_only_image_of_a_converted_file(tmp_path):
    folder = tmp_path / "converted.zarr"
    zarr.create_group(folder, zarr_format=2).attrs.update({"bioformats2raw.layout": 3})
    (folder / "OME").mkdir()
    store(folder / "0", [pixels((4, 4))], axes=AXES[3:])
    assert ngff.read(folder).source == folder / "0"
    store(folder / "1", [pixels((4, 4))], axes=AXES[3:])
    with pytest.raises(UnreadableImageError, match=rf"holds 2 images.*{folder / '0'}"):
        ngff.read(folder)


def set_in(path, value):
    """Return a function that sets what a path of keys leads to in the attributes, or deletes it where it is None."""

    def change(attributes):
        *parents, last = path
        place = attributes
        for key in parents:
            place = place[key]
        if value is None:
            del place[last]
        else:
            place[last] = value

    return change


DATASET = ("multiscales", 0, "datasets", 0)
STEPS = (*DATASET, "coordinateTransformations")


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        (("multiscales", 0, "axes"), None, "no 'axes'"),
        (("multiscales", 0, "axes"), ["y", "x"], "cannot be read as an OME-Zarr image"),  # of version 0.3
        (("multiscales", 0, "axes"), AXES[2:], "letter for each dimension"),
        (("multiscales", 0, "axes"), AXES[:3:-1] + AXES[3:4], "`axes`"),  # x before y
        (("multiscales", 0, "axes", 0, "name"), "lambda", "t, c, z, y and x. Received: lambda, x"),
        (("multiscales", 0, "version"), "0.2", "0.4 and 0.5 are read. Received: 0.2"),
        (("multiscales", 0, "datasets"), None, "no 'datasets'"),
        (("multiscales",), [], "cannot be read as an OME-Zarr image"),
        (("multiscales",), "text", "cannot be read as an OME-Zarr image"),
        ((*DATASET, "path"), "7", "level 7 is missing"),
        ((*DATASET, "path"), "", "level  is missing"),
        ((*DATASET, "path"), "../other.zarr/0", "cannot be read as an OME-Zarr image"),
        (STEPS, [scale(1, 1, 1)], "a number for each axis"),
        (STEPS, [scale(1, 0)], "above 0"),
        (STEPS, [scale(-1, 1)], "above 0"),
        (STEPS, [scale("wide", 1)], "cannot be read as an OME-Zarr image"),
        (STEPS, [{"type": "affine", "affine": []}], "scales and translations"),
        (("omero",), "text", "cannot be read as an OME-Zarr image"),
        (("msrgan",), 3, "cannot be read as an OME-Zarr image"),
    ],
)
def test_damaged_metadata(plain, path, value, reason):
    edit(plain, set_in(path, value))
    with pytest.raises(UnreadableImageError, match=reason):
        ngff.read(plain)


def test_damaged_files_of_metadata(plain):
    for name in (".zattrs", "0/.zarray", ".zgroup"):
        file = plain / name
        whole = file.read_text()
        file.write_text(whole[: len(whole) // 2])
        with pytest.raises(UnreadableImageError):
            ngff.read(plain)
        file.unlink()
        with pytest.raises(UnreadableImageError):
            ngff.read(plain)
        file.write_text(whole)
    assert ngff.read(plain).axes == "YX"


def test_channels_that_do_not_fit_are_left_out(tmp_path, caplog):
    folder = store(tmp_path / "a.zarr", [pixels((3, 4, 4))], axes=[AXES[1], *AXES[3:]], omero=OMERO)
    with caplog.at_level(logging.WARNING, logger="msrgan"):
        assert ngff.read(folder).channels == ()
    assert "describes 2 channels and has 3" in caplog.text


def test_missing_chunks(plain, caplog):
    first, second, *rest = chunk_files(plain / "0")
    first.unlink()
    second.unlink()
    with caplog.at_level(logging.WARNING, logger="msrgan"):
        opened = ngff.read(plain)
    assert "2 of 6 chunks are missing" in caplog.text and "read as 0" in caplog.text
    assert not opened.read((), slice(0, 16), slice(0, 32)).any()
    edit(plain, set_in(("msrgan",), {"chunks": "all are stored"}))
    with pytest.raises(UnreadableImageError, match="incomplete copy.*2 of 6"):
        ngff.read(plain)
    edit(plain, set_in(("msrgan",), None))
    for file in rest:
        file.unlink()
    with pytest.raises(UnreadableImageError, match="incomplete copy.*6 of 6"):
        ngff.read(plain)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("codec", ["blosc", "zstd", "gzip", "none"])
def test_truncated_chunks_are_errors_or_right(tmp_path, version, codec):
    import numcodecs
    from zarr import codecs

    made = {
        "blosc": (numcodecs.Blosc("lz4"), codecs.BloscCodec(cname="lz4", typesize=2)),
        "zstd": (numcodecs.Zstd(), codecs.ZstdCodec()),
        "gzip": (numcodecs.GZip(), codecs.GzipCodec()),
        "none": (None, None),
    }[codec][VERSIONS.index(version)]
    image = pixels((16, 16))
    folder = store(tmp_path / "a.zarr", [image], axes=AXES[3:], version=version, compressors=made)
    [file] = chunk_files(folder / "0")
    whole = file.read_bytes()
    for tenth in range(10):
        file.write_bytes(whole[: len(whole) * tenth // 10])
        with pytest.raises(UnreadableImageError):
            ngff.read(folder).read()
    file.write_bytes(whole)
    np.testing.assert_array_equal(ngff.read(folder).read(), image)


def test_is_zarr(plain, tmp_path):
    assert ngff.is_zarr(plain) and ngff.is_zarr(store(tmp_path / "b", [pixels((4, 4))], axes=AXES[3:], version="0.5"))
    assert not ngff.is_zarr(tmp_path) and not ngff.is_zarr(tmp_path / "none")


def test_without_zarr(plain, monkeypatch):
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(ValueError, match=r"pip install 'msrgan\[zarr\]'"):
        ngff.read(plain)
