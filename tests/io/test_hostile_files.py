"""Damaged files of every format: an error of one line, or the right pixels; never a crash, a hang or a traceback.

truncated      at every tenth of its length, each file of an OME-Zarr, too: an error, or the right pixels
bytes changed  where the format has a checksum the same, elsewhere an error or some image
"""

import functools
import importlib.util
import os
import resource
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import tifffile
from PIL import Image as Picture

import msrgan
from msrgan.io.image import Channel, Image, PixelSize
from msrgan.io.source import UnreadableImageError

needs_zarr = pytest.mark.skipif(not importlib.util.find_spec("zarr"), reason="the extra zarr is not installed")
needs_bio = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("bioio_czi", "bioio_lif", "pylibCZIrw"))),
    reason="the extra bio is not installed",
)
RNG = np.random.default_rng(21)
# Smooth as a picture, and with noise, so that no codec makes nothing of it.
_RAMP = np.add.outer(np.arange(24), 2 * np.arange(22))
RGB = (_RAMP[..., None] * [1, 2, 1] + RNG.integers(0, 60, (24, 22, 3))).astype(np.uint8)
GREY = (_RAMP * 40 + RNG.integers(0, 900, (24, 22))).astype(np.uint16)
STACK = (_RAMP * 40 + RNG.integers(0, 900, (2, 3, 24, 22))).astype(np.uint16)
# What is read of a file whose header claims more than any of these.
MOST_PIXELS = 1 << 20
# Of changed bytes in each kind of file; a thousand were tried once.
TRIALS = int(os.environ.get("MSRGAN_TRIALS", "40"))


class Sample(NamedTuple):
    """A way to make a file.

    Attributes:
        make: writes it to a path.
        suffix: of the path.
        axes: that have to be told.
        checked: returns (a file, the first byte, the last byte + 1) of what has a checksum.
    """

    make: Callable[[Path], None]
    suffix: str
    axes: str | None = None
    checked: Callable[[Path], tuple[Path, int, int]] | None = None


def pillow(pixels, mode="RGB", **options):
    return lambda path: Picture.fromarray(pixels).convert(mode).save(path, **options)


def tiff(pixels, **options):
    return lambda path: tifffile.imwrite(path, pixels, **options)


def written(image, **options):
    return lambda path: msrgan.write(path, image, **options)


def known(axes="TCYX", pixels=STACK):
    channels = (Channel("DAPI", (0, 0, 255), None, (1.0, 200.0)), Channel("GFP"), Channel("Cy5"))
    channels = channels if "C" in axes else ()
    return Image(pixels, axes, pixel_size=PixelSize(0.2, 0.2), channels=channels)


def whole(path):
    """All of a file that is one."""
    return path, 0, path.stat().st_size


def segments(path):
    """The strips of a TIFF."""
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        return path, page.dataoffsets[0], page.dataoffsets[-1] + page.databytecounts[-1]


def chunk(path):
    """A chunk of an OME-Zarr."""
    return whole(min(part for part in path.rglob("*") if part.is_file() and part.name[0].isdigit()))


def pyramid(path):
    with tifffile.TiffWriter(path) as writer:
        writer.write(STACK[0], subifds=1, photometric="minisblack", tile=(16, 16), metadata={"axes": "CYX"})
        writer.write(STACK[0, :, ::2, ::2], subfiletype=1, photometric="minisblack", tile=(16, 16))


def zarr(compressor, version=2, **options):
    """An OME-Zarr by plain zarr."""

    def make(path):
        import zarr

        group = zarr.create_group(path, zarr_format=version)
        options["compressors"] = compressor()
        array = group.create_array("0", shape=STACK.shape, dtype=STACK.dtype, chunks=(1, 1, 16, 16), **options)
        array[...] = STACK
        axes = [{"name": "t", "type": "time"}, {"name": "c", "type": "channel"}]
        axes += [{"name": name, "type": "space"} for name in "yx"]
        scale = {"type": "scale", "scale": [1, 1, 1, 1]}
        multiscale = {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": [scale]}]}
        if version == 2:
            group.attrs["multiscales"] = [{"version": "0.4", **multiscale}]
        else:
            group.attrs["ome"] = {"version": "0.5", "multiscales": [multiscale]}

    return make


def codec(name, *arguments, **options):
    def make():
        import numcodecs
        import zarr.codecs

        return getattr(zarr.codecs if name.endswith("Codec") else numcodecs, name)(*arguments, **options)

    return make


def czi(path):
    from pylibCZIrw import czi

    with czi.create_czi(str(path)) as file:
        for c, plane in enumerate(STACK[0]):
            file.write(data=np.ascontiguousarray(plane[..., None]), plane={"C": c, "T": 0, "Z": 0}, location=(0, 0))


def lif(path):
    """Three slices; the format is described in tests/io/test_vendor.py, where more of it is written."""
    image = STACK[0]
    strides = [(1, 22, 2), (2, 24, 2 * 22), (3, 3, 2 * 22 * 24)]
    dimensions = "".join(
        f'<DimensionDescription DimID="{axis}" NumberOfElements="{n}" Origin="0" Length="{(n - 1) * 1e-6}" Unit="m" '
        f'BytesInc="{stride}" BitInc="0"/>'
        for axis, n, stride in strides
    )
    channel = (
        '<ChannelDescription DataType="0" ChannelTag="0" Resolution="16" NameOfMeasuredQuantity="" Min="0" Max="1" '
        'Unit="" LUTName="Green" IsLUTInverted="0" BytesInc="0" BitInc="0"/>'
    )
    header = (
        '<LMSDataContainerHeader Version="2"><Element Name="p" Visibility="1" UniqueID="p"><Data><Experiment Path="p"/>'
        '</Data><Memory Size="0" MemoryBlockID="Root"/><Children><Element Name="a" Visibility="1" UniqueID="0"><Data>'
        f'<Image TextDescription=""><ImageDescription><Channels>{channel}</Channels><Dimensions>{dimensions}'
        f'</Dimensions></ImageDescription></Image></Data><Memory Size="{image.nbytes}" MemoryBlockID="Block0"/>'
        "<Children/></Element></Children></Element></LMSDataContainerHeader>"
    ).encode("utf-16-le")
    blocks = b""
    for name, data in (("Root", b""), ("Block0", image.tobytes())):
        text = name.encode("utf-16-le")
        blocks += struct.pack("<IIBQBI", 0x70, 14 + len(text), 0x2A, len(data), 0x2A, len(text) // 2) + text + data
    path.write_bytes(struct.pack("<IIBI", 0x70, 5 + len(header), 0x2A, len(header) // 2) + header + blocks)


_MINIS = {"photometric": "minisblack"}
_AXES = {**_MINIS, "metadata": {"axes": "TCYX"}}
PICTURES = {
    "png rgb": Sample(pillow(RGB), ".png", checked=whole),
    "png 16": Sample(written(Image(GREY, "YX")), ".png", checked=whole),
    "png palette": Sample(pillow(RGB, "P"), ".png", checked=whole),
    "png interlaced bits": Sample(pillow(RGB, "1"), ".png", checked=whole),
    "jpeg": Sample(pillow(RGB, quality=95), ".jpg"),
    "jpeg progressive": Sample(pillow(RGB, progressive=True), ".jpg"),
    "jpeg grey": Sample(pillow(RGB, "L"), ".jpg"),
    "bmp": Sample(pillow(RGB), ".bmp"),
    "bmp palette": Sample(pillow(RGB, "P"), ".bmp"),
    "webp": Sample(pillow(RGB), ".webp"),
    "webp lossless": Sample(pillow(RGB, lossless=True), ".webp"),
    "webp alpha": Sample(pillow(RGB, "RGBA"), ".webp"),
    "gif": Sample(pillow(RGB, "P"), ".gif"),
    "npy": Sample(lambda path: np.save(path, GREY), ".npy"),
    "npy stack": Sample(lambda path: np.save(path, STACK), ".npy", axes="TCYX"),
}
TIFFS = {
    "raw": Sample(tiff(GREY), ".tif"),
    "raw rgb": Sample(tiff(RGB, photometric="rgb"), ".tif"),
    "big-endian": Sample(tiff(STACK, byteorder=">", **_AXES), ".tif"),
    "bigtiff": Sample(tiff(STACK, bigtiff=True, **_AXES), ".tif"),
    "pages without axes": Sample(tiff(STACK[0], metadata=None, **_MINIS), ".tif", axes="CYX"),
    "planar": Sample(tiff(np.moveaxis(RGB, -1, 0), photometric="rgb", planarconfig="separate"), ".tif"),
    "tiled": Sample(tiff(STACK, tile=(16, 16), **_AXES), ".tif"),
    "tiled big-endian zlib": Sample(
        tiff(STACK, tile=(16, 16), byteorder=">", compression="zlib", predictor=True, **_AXES), ".tif"
    ),
    "bits": Sample(pillow(RGB, "1"), ".tif"),
    "fax": Sample(pillow(RGB, "1", compression="group4"), ".tif"),
    "palette": Sample(pillow(RGB, "P"), ".tif"),
    "libtiff jpeg": Sample(pillow(RGB, compression="jpeg"), ".tif"),
    "pyramid": Sample(pyramid, ".tif"),
    "hyperstack": Sample(written(known(), format="imagej"), ".tif"),
    "ome-tiff": Sample(written(known(), format="ome-tiff"), ".ome.tif"),
    "ome-tiff zstd": Sample(written(known(), format="ome-tiff", compression="zstd"), ".ome.tif"),
    "ome-tiff lzw": Sample(written(known(), format="ome-tiff", compression="lzw"), ".ome.tif"),
    "ome-tiff lzma": Sample(written(known(), format="ome-tiff", compression="lzma"), ".ome.tif"),
    "deflate": Sample(tiff(RGB, photometric="rgb", compression="deflate"), ".tif", checked=segments),
    "deflate strips": Sample(tiff(GREY, compression="deflate", rowsperstrip=5), ".tif", checked=segments),
    "lzma": Sample(tiff(GREY, compression="lzma"), ".tif", checked=segments),
    **{name: Sample(tiff(GREY, compression=name, rowsperstrip=7), ".tif") for name in ("lzw", "zstd", "packbits")},
    **{
        name: Sample(tiff(RGB, photometric="rgb", compression=name), ".tif")
        for name in ("jpeg", "jpeg2000", "jpegxl", "jpegxr", "webp", "lerc", "png")
        if name
    },
}
ZARRS = {
    "ome-zarr 0.4": Sample(written(known(), format="ome-zarr-0.4"), ".zarr", checked=chunk),
    "ome-zarr 0.5": Sample(written(known(), format="ome-zarr-0.5"), ".zarr", checked=chunk),
    "ome-zarr gzip": Sample(written(known(), format="ome-zarr-0.4", compression="gzip"), ".zarr", checked=chunk),
    "ome-zarr none": Sample(written(known(), format="ome-zarr-0.5", compression="none"), ".zarr"),
    "ome-zarr blosc": Sample(written(known(), format="ome-zarr-0.4", compression="blosc"), ".zarr"),
    "zarr 2 zlib": Sample(zarr(codec("Zlib")), ".zarr", checked=chunk),
    "zarr 2 lz4": Sample(zarr(codec("LZ4")), ".zarr"),
    "zarr 2 bz2": Sample(zarr(codec("BZ2")), ".zarr", checked=chunk),
    "zarr 2 blosc lz4": Sample(zarr(codec("Blosc", "lz4")), ".zarr"),
    "zarr 3 blosc": Sample(zarr(codec("BloscCodec"), 3), ".zarr"),
    "zarr 3 zstd": Sample(zarr(codec("ZstdCodec"), 3), ".zarr"),
    "zarr 3 shards": Sample(zarr(codec("ZstdCodec", checksum=True), 3, shards=(1, 1, 32, 32)), ".zarr", checked=chunk),
}
VENDORS = {"czi": Sample(czi, ".czi"), "lif": Sample(lif, ".lif")}
SAMPLES = PICTURES | {f"tiff {name}": sample for name, sample in TIFFS.items()} | ZARRS | VENDORS
# The others of their kind take long.
_FEW = ("ome-zarr 0.4", "ome-zarr blosc", "zarr 3 shards")


def parameter(name):
    marks = [needs_zarr] if name in ZARRS else [needs_bio] if name in VENDORS else []
    marks += [pytest.mark.long] if name in VENDORS or (name in ZARRS and name not in _FEW) else []
    return pytest.param(name, marks=marks)


samples = pytest.mark.parametrize("name", [parameter(name) for name in SAMPLES])


@functools.cache
def made(name, folder):
    """Return the path of a sample, and what is read of it."""
    path = folder / f"{name.replace(' ', '_')}{SAMPLES[name].suffix}"
    SAMPLES[name].make(path)
    return path, read(path, SAMPLES[name].axes)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("samples")


def copied(name, folder, tmp_path):
    """Return the path of a copy that may be damaged, and what is read of the whole file."""
    path, right = made(name, folder)
    copy = tmp_path / path.name
    (shutil.copytree if path.is_dir() else shutil.copy)(path, copy)
    return copy, right


def read(path, axes=None):
    """Read all of an image."""
    with msrgan.read(path, axes=axes, max_pixels=MOST_PIXELS) as image:
        return image.axes, np.stack([image.read(index) for index in image.indices()])


def outcome(path, name):
    """Return what is read of a damaged file, None where it is refused as it should be: on one line that names it."""
    try:
        return read(path, SAMPLES[name].axes)
    except UnreadableImageError as error:
        assert path.name in str(error) and "\n" not in str(error), repr(error)
        return None


def assert_right(result, right):
    if result is not None:
        assert result[0] == right[0]
        np.testing.assert_array_equal(result[1], right[1], strict=True)


def parts_of(path):
    """Return the file, or the files of a folder: those that describe it, and its first and last chunk."""
    files = sorted(part for part in path.rglob("*") if part.is_file()) or [path]
    chunks = [part for part in files if part.name.isdigit()]
    return [part for part in files if part not in chunks] + chunks[:1] + chunks[1:][-1:]


def test_samples_are_read_right(folder):
    exact = [name for name in SAMPLES if SAMPLES[name].make.__qualname__.startswith(("tiff.", "written.", "zarr."))]
    exact = [name for name in exact if not (name in ZARRS and not importlib.util.find_spec("zarr"))]
    for name in exact:
        if name.partition(" ")[2] in ("jpeg", "jpeg2000", "jpegxl", "jpegxr", "webp", "lerc"):
            continue
        axes, pixels = made(name, folder)[1]
        source = {"TCYX": STACK, "CYX": STACK[0], "YX": GREY, "YXS": RGB}[axes]
        np.testing.assert_array_equal(pixels.reshape(source.shape), source, err_msg=name)
    assert len(exact) > 20


@samples
def test_truncated_files_are_errors_or_right(name, folder, tmp_path):
    path, right = copied(name, folder, tmp_path)
    refused = 0
    for part in parts_of(path):
        data = part.read_bytes()
        for length in [len(data) * tenth // 10 for tenth in range(10)] + [len(data) - 1]:
            part.write_bytes(data[:length])
            result = outcome(path, name)
            assert_right(result, right)
            refused += result is None
        part.write_bytes(data)
    assert refused >= 10


def described(text):
    """A TIFF of a plane with a description."""
    return tiff(RGB[..., 0], description=text, metadata=None)


def ome_xml(depth="1", head="", tail=""):
    return (
        f'<?xml version="1.0"?>{head}<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
        '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" SizeX="22" SizeY="24" '
        f'SizeC="1" SizeT="1" SizeZ="{depth}"><Channel ID="Channel:0:0" SamplesPerPixel="1"/><TiffData/>'
        f"</Pixels></Image>{tail}</OME>"
    )


def in_circles(path):
    """A TIFF whose only directory is followed by itself."""
    tiff(RGB[..., 0], metadata=None)(path)
    data = bytearray(path.read_bytes())
    (first,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, first)
    struct.pack_into("<I", data, first + 2 + 12 * count, first)
    path.write_bytes(data)


_LAUGHS = "".join(f'<!ENTITY l{k} "{f"&l{k - 1};" * 10}">' for k in range(1, 12))
CLAIMS = {
    "entities": described(
        ome_xml(head=f'<!DOCTYPE x [<!ENTITY l0 "ha">{_LAUGHS}]>', tail="<Rights>&l11;</Rights>")  # 10^11 of them
    ),
    "a file of the system": described(
        ome_xml(head='<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname">]>', tail="<Rights>&a;</Rights>")
    ),
    "planes of OME": described(ome_xml(depth=2**31 - 1)),
    "planes of ImageJ": described("ImageJ=1.53\nimages=2147483647\nslices=2147483647\nhyperstack=true\n"),
    "planes of tifffile": described('{"shape": [1000000000, 24, 22]}'),
    "pages in circles": in_circles,
}


@pytest.mark.parametrize("claim", CLAIMS)
def test_descriptions_that_claim_what_is_not_there_are_refused(claim, tmp_path):
    CLAIMS[claim](tmp_path / "a.tif")
    with pytest.raises(UnreadableImageError, match=r"a\.tif: cannot be read as an image \([^\n]+\)$"):
        read(tmp_path / "a.tif")
    tiff(RGB[..., 0], description=ome_xml(), metadata=None)(tmp_path / "a.tif")
    np.testing.assert_array_equal(read(tmp_path / "a.tif")[1][0], RGB[..., 0])


def changed(data, rng, start=0, stop=None):
    """Return data with one to three bytes, or single bits of them, changed; as often in its head as elsewhere."""
    data, stop = bytearray(data), len(data) if stop is None else stop
    for _ in range(rng.integers(1, 4)):
        end = min(stop, start + 400) if rng.random() < 0.5 else stop
        data[rng.integers(start, end)] ^= 1 << rng.integers(8) if rng.random() < 0.5 else rng.integers(1, 256)
    return bytes(data)


def attack(path, right, name, trials):
    """Change bytes of a file at random, by the number of the trial; whether this is refused or gives some image."""
    parts = sorted(part for part in path.rglob("*") if part.is_file()) or [path]
    for trial in trials:
        rng = np.random.default_rng(trial)
        part = parts[rng.integers(len(parts))]
        data = part.read_bytes()
        part.write_bytes(changed(data, rng))
        yield trial
        result = outcome(path, name)
        if result is not None and SAMPLES[name].checked is whole:
            assert_right(result, right)
        part.write_bytes(data)
        if SAMPLES[name].checked not in (None, whole):
            part, start, stop = SAMPLES[name].checked(path)
            data = part.read_bytes()
            part.write_bytes(changed(data, rng, start, stop))
            assert_right(outcome(path, name), right)
            part.write_bytes(data)


@samples
def test_changed_bytes_are_errors_or_an_image(name, folder, tmp_path, capfd):
    path, right = copied(name, folder, tmp_path)
    assert len(list(attack(path, right, name, range(12)))) == 12


@pytest.mark.long
@samples
def test_many_changed_bytes_in_a_process_of_their_own(name, tmp_path):
    """Where a decoder crashes, hangs or takes all memory, the last number printed is that of the trial."""
    command = [sys.executable, __file__, name, tmp_path, str(TRIALS)]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=600)
    lines = done.stdout.split()
    assert done.returncode == 0, f"trial {lines[-1:]}: {done.returncode} {done.stderr[-2000:]}"
    assert lines[-1] == str(TRIALS - 1)


def main(name, folder, count):
    """Attack a file with the address space of 4 GiB beside what is in use; at most 256 MiB may really be taken."""
    os.environ["OPENCV_LOG_LEVEL"] = "SILENT"
    path, right = made(name, Path(folder))
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (4 << 30),) * 2)
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for trial in attack(path, right, name, range(int(count))):
        print(trial, flush=True)
    taken = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - resident
    if taken > 256 << 10:
        raise MemoryError(f"{taken >> 10} MiB were taken for an image of a few kB")


if __name__ == "__main__":
    main(*sys.argv[1:])
