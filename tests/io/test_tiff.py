import io as memory
import itertools
import logging
import struct
import threading

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow

from msrgan import io
from msrgan.io import formats, tiff
from msrgan.io.image import Image, PixelSize
from msrgan.io.tiff.faults import FAULTS

PLANES = np.random.default_rng(7).integers(0, 65536, (6, 16, 17), dtype=np.uint16)
IMAGEJ = {"imagej": True, "metadata": {"axes": "CYX"}}
OME = {"ome": True, "metadata": {"axes": "CYX"}}
LOSSY = ("jpeg", "webp", "jpegxl")
CODECS = (None, "lzw", "packbits", "deflate", "jpeg", "jpeg2000", "jpegxl", "zstd", "webp", "lerc")
FORMS = {
    "strips": {"photometric": "rgb", "rowsperstrip": 8},
    "tiles": {"photometric": "rgb", "tile": (16, 16)},
    "planar": {"photometric": "rgb", "planarconfig": "separate"},
    "imagej": {"photometric": "minisblack", **IMAGEJ},
    "ome": {"photometric": "minisblack", "rowsperstrip": 8, **OME},
    "shaped": {"photometric": "minisblack", "metadata": {"axes": "CYX"}},
}


def encoded(pixels, **options):
    file = memory.BytesIO()
    tifffile.imwrite(file, pixels, **{"metadata": None, **options})
    return file.getvalue()


def colour():
    """A smooth image (24, 20, 3)."""
    noise = np.random.default_rng(3).integers(0, 256, (24, 20, 3), dtype=np.uint8)
    return cv2.GaussianBlur(noise, (5, 5), 1.5)


def size_of(path):
    """The width of a pixel."""
    with formats.read(path) as image:
        return image.pixel_size.x


def of(codec, form):
    """The bytes of a TIFF of `colour`."""
    image = colour() if form in ("strips", "tiles") else np.moveaxis(colour(), -1, 0)
    return encoded(image, compression=codec, **FORMS[form])


@pytest.mark.parametrize(("codec", "form"), [c for c in itertools.product(CODECS, FORMS) if c[0] != "webp"])
def test_a_truncated_tiff_is_an_error_or_has_its_pixels(codec, form):
    data = of(codec, form)
    whole = io.decode(data, "a.tif")
    if codec in LOSSY:
        assert np.abs(whole.astype(int) - colour()).mean() < 12
    else:
        np.testing.assert_array_equal(whole, colour())
    errors = 0
    for length in [len(data) * k // 10 for k in range(10)] + [len(data) - 1]:
        try:
            image = io.decode(data[:length], "a.tif")
        except io.UnreadableImageError as error:
            assert "a.tif: cannot be read as an image (" in str(error)  # noqa: PT017
            errors += 1
        else:
            np.testing.assert_array_equal(image, whole)
    assert errors >= 4


@pytest.mark.parametrize("form", ["strips", "tiles"])
def test_a_truncated_webp_tiff_is_an_error(form):
    data = of("webp", form)
    assert np.abs(io.decode(data, "a.tif").astype(int) - colour()).mean() < 12
    for k in range(10):
        with pytest.raises(io.UnreadableImageError):
            io.decode(data[: len(data) * k // 10], "a.tif")


@pytest.mark.parametrize("codec", ["lzw", "packbits"])
def test_a_strip_that_ends_early_is_an_error(codec):
    image = np.repeat(np.arange(60, dtype=np.uint8), 40).reshape(60, 40)
    data = bytearray(encoded(image, compression=codec, rowsperstrip=60))
    with tifffile.TiffFile(memory.BytesIO(data)) as file:
        start, length = file.pages[0].dataoffsets[0], file.pages[0].databytecounts[0]
        count = file.pages[0].tags["StripByteCounts"]
    np.testing.assert_array_equal(io.decode(bytes(data), "a.tif")[..., 0], image)
    position = count.valueoffset
    data[position : position + 4] = (length * 2 // 3).to_bytes(4, "little")
    assert start + length <= len(data)
    with pytest.raises(io.UnreadableImageError, match="corrupted strip"):
        io.decode(bytes(data), "a.tif")


@pytest.mark.parametrize("level", [logging.WARNING, logging.CRITICAL])
@pytest.mark.parametrize("metadata", [{"axes": "CYX"}, {"axes": "CYX", "unit": "um"}])
def test_a_cut_imagej_tiff_is_no_image_of_one_channel(level, metadata, capsys):
    logger = logging.getLogger("tifffile")
    before = logger.level
    data = encoded(PLANES[:3], imagej=True, metadata=metadata)
    logger.setLevel(level)
    try:
        np.testing.assert_array_equal(io.decode(data, "a.tif"), np.moveaxis(PLANES[:3], 0, -1))
        with tifffile.TiffFile(memory.BytesIO(data)) as file:
            start = file.pages[0].dataoffsets[0]
        for planes in (1, 2, 2.5):
            length = start + int(planes * PLANES[0].nbytes)
            with pytest.raises(io.UnreadableImageError, match="damaged or truncated"):
                io.decode(data[:length], "a.tif")
        assert (logger.level, logger.propagate, logger.handlers) == (level, True, [])
    finally:
        logger.setLevel(before)
    assert capsys.readouterr().err == ""


def test_planes_are_counted_against_the_metadata():
    for options in (IMAGEJ, OME):
        data = encoded(PLANES[:3], photometric="minisblack", **options)
        for old, new in ((b"channels=3", b"channels=4"), (b"images=3", b"images=4"), (b'SizeC="3"', b'SizeC="4"')):
            if old in data:
                with pytest.raises(io.UnreadableImageError, match="damaged or truncated"):
                    io.decode(data.replace(old, new), "a.tif")


def test_ome_planes_of_other_files_are_missed():
    data = encoded(PLANES[:1], photometric="minisblack", **OME)
    assert io.decode(data, "a.tif").shape == (16, 17, 1)
    # As in a set of one file a channel.
    for size in (b'SizeC="2"', b'SizeZ="2"', b'SizeT="2"'):
        with pytest.raises(io.UnreadableImageError):
            io.decode(data.replace(size.replace(b"2", b"1"), size), "a.tif")


def test_a_page_that_should_follow_is_missed():
    data = bytearray(encoded(PLANES[0], photometric="minisblack"))
    np.testing.assert_array_equal(io.decode(bytes(data), "a.tif")[..., 0], PLANES[0])
    (directory,) = struct.unpack_from("<I", data, 4)
    (tags,) = struct.unpack_from("<H", data, directory)
    struct.pack_into("<I", data, directory + 2 + 12 * tags, len(data) + 100)
    with pytest.raises(io.UnreadableImageError, match="damaged or truncated"):  # tifffile only logs it
        io.decode(bytes(data), "a.tif")


def test_errors_that_are_only_logged_are_seen_by_the_thread_that_decodes():
    logger = logging.getLogger("tifffile")
    seen = []

    def work():
        with FAULTS.watched() as faults:
            started.wait()
            seen.append(list(faults))

    started = threading.Event()
    other = threading.Thread(target=work)
    other.start()
    with FAULTS.watched() as faults:
        logger.error("<TiffPages> corrupted")
        logger.warning("odd")
        assert faults == ["<TiffPages> corrupted"]
    started.set()
    other.join()
    assert seen == [[]]
    assert FAULTS not in logger.handlers


@pytest.mark.parametrize(
    ("count", "options", "channels"),
    [
        (3, {"metadata": {"axes": "CYX"}}, 3),
        (6, {"metadata": {"axes": "CYX"}}, 6),
        (6, IMAGEJ, 6),
        (3, OME, 3),
        (1, {"metadata": {"axes": "ZYX"}}, 1),
        (3, {"metadata": {"axes": "ZYX"}}, None),
        (3, {"imagej": True, "metadata": {"axes": "ZYX"}}, None),
        (3, {"ome": True, "metadata": {"axes": "TYX"}}, None),
    ],
)
def test_planes_are_channels_or_a_stack(count, options, channels):
    planes = PLANES[:count]
    data = encoded(planes, photometric="minisblack", **options)
    if channels is None:
        with pytest.raises(io.UnreadableImageError, match=r"a\.tif: .*this stack has [ZT]YX \(3, 16, 17\)"):
            io.decode(data, "a.tif")
    else:
        np.testing.assert_array_equal(io.decode(data, "a.tif"), np.moveaxis(planes, 0, -1))


def test_two_kinds_of_planes_are_a_stack():
    data = encoded(PLANES.reshape(2, 3, 16, 17), imagej=True, metadata={"axes": "TCYX"})
    for axes in (None, "TCYX", "ZCYX"):
        with pytest.raises(io.UnreadableImageError, match="this stack has [TZ]CYX"):
            io.decode(data, "a.tif", axes=axes)


@pytest.mark.parametrize("options", [{}, {"metadata": {}}], ids=["none", "tifffile's"])
@pytest.mark.parametrize("count", [2, 3, 4, 6])
def test_pages_without_axes_are_channels_only_where_told(options, count):
    planes = PLANES[:count]
    data = encoded(planes, photometric="minisblack", **options)
    refusal = (
        f"pages are a stack or channels. Received: {count} pages without axes in plates/a.tif. "
        "Say what they are: `axes` ZYX for a stack, CYX for channels"
    )
    with pytest.raises(io.UnreadableImageError) as caught:
        io.decode(data, "plates/a.tif")
    assert str(caught.value) == refusal
    for axes in ("CYX", "cyx"):
        np.testing.assert_array_equal(io.decode(data, "a.tif", axes=axes), np.moveaxis(planes, 0, -1))
    with pytest.raises(io.UnreadableImageError, match=rf"this stack has ZYX \({count}, 16, 17\)"):
        io.decode(data, "a.tif", axes="ZYX")
    with pytest.raises(io.UnreadableImageError, match=r"a letter for each dimension. Received: YX for .* in a\.tif"):
        io.decode(data, "a.tif", axes="YX")


def test_told_axes_stand_above_those_of_the_file_and_name_their_order(tmp_path):
    tifffile.imwrite(tmp_path / "z.tif", PLANES[:3], imagej=True, metadata={"axes": "ZYX"})
    np.testing.assert_array_equal(io.read_pixels(tmp_path / "z.tif", axes="CYX"), np.moveaxis(PLANES[:3], 0, -1))
    pixels = np.moveaxis(PLANES[:3], 0, -1).astype(np.float32)
    tifffile.imwrite(tmp_path / "last.tif", pixels, photometric="minisblack")
    with pytest.raises(io.UnreadableImageError, match="16 pages without axes .*, YXC for an array of pixels"):
        io.read_pixels(tmp_path / "last.tif")
    np.testing.assert_array_equal(io.read_pixels(tmp_path / "last.tif", axes="YXC"), pixels)
    np.testing.assert_array_equal(io.read_pixels(tmp_path / "last.tif", axes="XYC"), pixels.swapaxes(0, 1))


@pytest.mark.parametrize("axes", ["CYX", "YX", "ZYX"])
def test_a_single_plane_and_colours_need_no_axes(tmp_path, axes):
    Pillow.fromarray(colour()).save(tmp_path / "a.tif")
    Pillow.fromarray(colour()).save(tmp_path / "a.png")
    Pillow.fromarray(colour()[..., 0]).save(tmp_path / "grey.tif")
    np.testing.assert_array_equal(io.read_pixels(tmp_path / "a.tif", axes=axes), colour())
    np.testing.assert_array_equal(io.read_pixels(tmp_path / "a.png", axes=axes), colour())
    np.testing.assert_array_equal(io.read_pixels(tmp_path / "grey.tif", axes=axes), colour()[..., :1])


@pytest.mark.parametrize("axes", ["", "C", "CY", "YXX", "YXS", "YXQ", 3])
def test_axes_that_are_none_are_an_error(axes):
    with pytest.raises(ValueError, match="`axes` are Y, X and further letters") as caught:
        io.decode(of(None, "strips"), "a.tif", axes=axes)
    assert not isinstance(caught.value, io.UnreadableImageError)


@pytest.mark.parametrize("codec", [None, "jpeg", "jpeg2000"])
@pytest.mark.parametrize("form", ["strips", "tiles", "planar"])
def test_photometric_rgb_is_rgb(tmp_path, codec, form):
    (tmp_path / "a.tif").write_bytes(of(codec, form))
    with tiff.read(tmp_path / "a.tif") as image:
        assert (image.axes, image.is_rgb) == ("YXS", True)


@pytest.mark.parametrize("form", ["imagej", "ome", "shaped"])
def test_three_planes_stay_planes_and_keep_their_pixel_size(tmp_path, form):
    planes = np.moveaxis(colour(), -1, 0)
    options = dict(FORMS[form])
    if form == "ome":
        options["metadata"] = {"axes": "CYX", "PhysicalSizeX": 0.25, "PhysicalSizeXUnit": "µm"}
    if form == "imagej":
        options |= {"resolution": (4, 4), "metadata": {"axes": "CYX", "unit": "um"}}
    (tmp_path / "a.tif").write_bytes(encoded(planes, **options))
    with formats.read(tmp_path / "a.tif") as image:
        assert (image.axes, image.is_rgb) == ("CYX", False)
        assert image.pixel_size.x == (None if form == "shaped" else pytest.approx(0.25))
        formats.write(tmp_path / "b.tif", image)
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        assert (file.series[0].axes, file.series[0].shape) == ("CYX", (3, 24, 20))
        np.testing.assert_array_equal(file.asarray(), planes)
    np.testing.assert_array_equal(io.read_pixels(tmp_path / "b.tif"), colour())
    with formats.read(tmp_path / "b.tif") as again:
        assert (again.axes, again.is_rgb) == ("CYX", False)
        assert again.pixel_size.x == (image.pixel_size.x and pytest.approx(image.pixel_size.x))


def test_equal_planes_are_one_grey_image_only_where_they_are_colours():
    grey = np.dstack([colour()[..., 0]] * 3)
    assert io.decode(encoded(grey, photometric="rgb"), "a.tif").shape == (24, 20, 1)
    planes = encoded(np.moveaxis(grey, -1, 0), photometric="minisblack", **IMAGEJ)
    np.testing.assert_array_equal(io.decode(planes, "a.tif"), grey)


def test_white_is_zero_alpha_and_foreign_colours():
    grey = np.array([[0, 1, 4095]], np.uint16)
    white = encoded(grey, photometric="miniswhite")
    assert io.decode(white, "a.tif").ravel().tolist() == [65535, 65534, 61440]
    pixels = np.arange(2 * 3 * 5, dtype=np.uint8).reshape(2, 3, 5)
    alpha = {"photometric": "minisblack", "planarconfig": "contig"}
    data = encoded(pixels, **alpha, extrasamples=["unspecified", "unspecified", "unassalpha", "unspecified"])
    np.testing.assert_array_equal(io.decode(data, "a.tif"), pixels[..., [0, 1, 2, 4]])
    data = encoded(pixels[..., :2], **alpha, extrasamples=["unassalpha"])
    np.testing.assert_array_equal(io.decode(data, "a.tif"), pixels[..., :1])
    for kind in ("cielab", "ycbcr"):
        with pytest.raises(io.UnreadableImageError, match="is grey, RGB or has a palette"):
            io.decode(encoded(pixels[..., :3], photometric=kind), "a.tif")


def test_a_palette_of_planes_is_a_matter_of_show():
    planes = PLANES[:2].astype(np.uint8)
    table = np.zeros((3, 256), np.uint16)
    table[1] = np.arange(256) * 257
    data = encoded(planes, photometric="palette", colormap=table, imagej=False, metadata={"axes": "CYX"})
    np.testing.assert_array_equal(io.decode(data, "a.tif"), np.moveaxis(planes, 0, -1))
    single = io.decode(encoded(planes[0], photometric="palette", colormap=table), "a.tif")
    np.testing.assert_array_equal(single[..., 1], planes[0])
    assert not single[..., [0, 2]].any()


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_pixel_size_round_trip(tmp_path, channels):
    pixels = np.eye(8, dtype=np.uint16)[None].repeat(channels, 0)
    formats.write(tmp_path / "a.tif", Image(pixels, "CYX", pixel_size=PixelSize(0.1625, 0.1625)))
    assert size_of(tmp_path / "a.tif") == pytest.approx(0.1625, rel=1e-5)
    io.write_pixels(tmp_path / "b.tif", np.zeros((8, 8, channels), np.uint16))
    assert size_of(tmp_path / "b.tif") is None


def test_pixel_size_of_other_software(tmp_path):
    plane = np.zeros((8, 8), np.uint16)
    ome = {"axes": "YX", "PhysicalSizeX": 65.0, "PhysicalSizeXUnit": "nm"}
    tifffile.imwrite(tmp_path / "a.ome.tif", plane, metadata=ome)
    assert size_of(tmp_path / "a.ome.tif") == pytest.approx(0.065)
    tifffile.imwrite(tmp_path / "b.tif", plane, resolution=(25400 / 2, 25400 / 2), resolutionunit="INCH")
    assert size_of(tmp_path / "b.tif") == pytest.approx(2)
    tifffile.imwrite(tmp_path / "c.tif", plane, resolution=((0, 1), (0, 1)), resolutionunit="CENTIMETER")
    assert size_of(tmp_path / "c.tif") is None
    Pillow.fromarray(plane).save(tmp_path / "c.png")
    assert size_of(tmp_path / "c.png") is None


@pytest.mark.parametrize("axes", ["TZCYX", "CYX", "ZYX", "TYX", "ZCYX"])
@pytest.mark.parametrize("kind", ["imagej", "ome"])
def test_stacks_keep_their_axes(tmp_path, axes, kind):
    shape = [{"T": 2, "Z": 4, "C": 3, "Y": 9, "X": 7}[axis] for axis in axes]
    pixels = np.random.default_rng(1).integers(0, 4096, shape, dtype=np.uint16)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, pixels, photometric="minisblack", metadata={"axes": axes}, **{kind: True})
    with tiff.read(path) as image:
        assert (image.axes, image.format, image.source) == (axes, {"ome": "ome-tiff"}.get(kind, kind), path)
        for index in image.indices():
            np.testing.assert_array_equal(image.read(index, slice(2, 5), slice(1, 6)), pixels[index][2:5, 1:6])


@pytest.mark.parametrize(("order", "axes"), [("zct", "TCZ"), ("ctz", "ZTC"), ("tzc", "CZT"), ("ztc", "CTZ")])
def test_hyperstacks_of_one_page_in_odd_orders(tmp_path, order, axes):
    """ImageJ describes stacks over 4 GB by one page, and their planes follow one another."""
    planes = np.random.default_rng(1).integers(0, 4096, (24, 9, 7), dtype=np.uint16)
    text = f"ImageJ=1.53t\nimages=24\nchannels=2\nslices=3\nframes=4\nhyperstack=true\norder={order}\n"
    path = tmp_path / "a.tif"
    first = encoded(planes[0], photometric="minisblack", description=text, metadata=None, byteorder=">")
    with tifffile.TiffFile(memory.BytesIO(first)) as file:
        assert file.pages[0].dataoffsets[0] + planes[0].nbytes == len(first)
    path.write_bytes(first + planes[1:].astype(">u2").tobytes())
    sizes = [{"C": 2, "Z": 3, "T": 4}[axis] for axis in axes]
    with tiff.read(path) as image:
        assert (image.axes, image.format) == (axes + "YX", "imagej")
        np.testing.assert_array_equal(image.pixels[(slice(None),) * 5], planes.reshape(*sizes, 9, 7))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(io.UnreadableImageError, match="damaged or truncated"):
        tiff.read(path)


@pytest.mark.parametrize("form", ["subifds", "pages"])
def test_levels_of_a_pyramid(tmp_path, form):
    levels = [np.random.default_rng(k).integers(0, 255, (64 >> k, 96 >> k), dtype=np.uint8) for k in range(3)]
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path, ome=form == "subifds") as writer:
        size = {"PhysicalSizeX": 0.25, "PhysicalSizeY": 0.5} if form == "subifds" else None
        options = {"tile": (16, 16), "compression": "deflate", "photometric": "minisblack"}
        writer.write(levels[0], **options, metadata=size, **({"subifds": 2} if size else {}))
        for pixels in levels[1:]:
            writer.write(pixels, **options, metadata=None, subfiletype=1)
    for k, pixels in enumerate(levels):
        with tiff.read(path, level=k) as image:
            assert image.levels == ((64, 96), (32, 48), (16, 24))
            np.testing.assert_array_equal(image.read((), slice(3, 14)), pixels[3:14])
            expected = (0.5 * 2**k, 0.25 * 2**k, None) if form == "subifds" else (None, None, None)
            assert image.pixel_size == expected
    for level in (3, -1):
        with pytest.raises(ValueError, match=rf"`level` is 0 to 2. Received: {level} for .*a\.tif") as caught:
            tiff.read(path, level=level)
        assert not isinstance(caught.value, io.UnreadableImageError)


def test_a_header_that_claims_more_than_is_welcome_is_refused(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PLANES[:3], photometric="minisblack", metadata={"axes": "ZYX"})
    with pytest.raises(io.UnreadableImageError, match=r"at most `max_pixels` pixels, 815. Received: 3 x 16 x 17"):
        tiff.read(path, max_pixels=815)
    with tiff.read(path, max_pixels=816) as image:
        assert image.axes == "ZYX"
    with tifffile.TiffFile(memory.BytesIO(encoded(PLANES[:3], photometric="minisblack", **OME))) as file:
        text = file.ome_metadata
    for old, new in (('SizeC="3"', 'SizeC="3000000000000"'), ('PlaneCount="3"', 'PlaneCount="3000000000000"')):
        assert old in text
        options = {"photometric": "minisblack", "description": text.replace(old, new).encode()}
        with pytest.raises(io.UnreadableImageError, match="planes are missing"):
            tiff.decode(encoded(PLANES[:3], **options), "a.tif")


def test_planes_in_other_files_are_not_looked_for(tmp_path):
    text = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:1"><Image ID="Image:0">'
        '<Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint16" SizeX="17" SizeY="16" SizeC="2" '
        'SizeZ="1" SizeT="1">'
        '<TiffData FirstC="0" PlaneCount="1"><UUID FileName="a.ome.tif">urn:uuid:1</UUID></TiffData>'
        '<TiffData FirstC="1" PlaneCount="1"><UUID FileName="b.ome.tif">urn:uuid:2</UUID></TiffData>'
        "</Pixels></Image></OME>"
    )
    for k, name in enumerate(("a.ome.tif", "b.ome.tif")):
        own = text.replace('UUID="urn:uuid:1"><Image', f'UUID="urn:uuid:{k + 1}"><Image')
        tifffile.imwrite(tmp_path / name, PLANES[k], photometric="minisblack", description=own, metadata=None)
    with pytest.raises(io.UnreadableImageError, match=r"its planes lie in 2 files, such as b\.ome\.tif"):
        tiff.read(tmp_path / "a.ome.tif")


@pytest.mark.parametrize("is_ome", [False, True])
def test_images_that_are_not_read_are_told_once(tmp_path, said, is_ome):
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=is_ome) as writer:
        for height, width in ((16, 17), (12, 5), (9, 16)):  # not those of a pyramid
            writer.write(PLANES[0, :height, :width], photometric="minisblack")
    for _ in range(2):
        with tiff.read(path) as image:
            np.testing.assert_array_equal(image.read(), PLANES[0])
    assert said.messages == [f"{path}: holds 3 images. The first is read, YX 16x17. Save the others as files"]


def test_levels_of_a_pyramid_are_no_other_images(tmp_path, said):
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for step in (1, 2):
            writer.write(np.ascontiguousarray(PLANES[0, :16:step, :16:step]), subfiletype=step - 1, metadata=None)
    with tiff.read(tmp_path / "a.tif") as image:
        assert image.levels == ((16, 16), (8, 8))
    assert said.messages == []


def test_palettes_of_imagej_are_a_matter_of_show(tmp_path):
    table = np.zeros((3, 256), np.uint16)
    table[1] = np.arange(256) * 257
    grey = PLANES[0].astype(np.uint8)
    path = tmp_path / "a.tif"
    options = {"photometric": "palette", "colormap": table, "metadata": None}
    tifffile.imwrite(path, grey, description="ImageJ=1.53t\nmin=3.0\nmax=99.0\n", **options)
    with tiff.read(path) as image:
        assert (image.axes, image.format) == ("YX", "imagej")
        np.testing.assert_array_equal(image.read(), grey)
        (channel,) = image.channels
        assert (channel.colour, channel.display) == ((0, 255, 0), (3, 99))
        np.testing.assert_array_equal(channel.lut, table >> 8)
    tifffile.imwrite(path, grey, **options)
    with tiff.read(path) as image:
        assert image.axes == "YXS"
        np.testing.assert_array_equal(image.read((), slice(2, 4))[..., 1], grey[2:4])
    options["colormap"] = np.stack([np.arange(255, -1, -1, dtype=np.uint16) * 257] * 3)
    tifffile.imwrite(path, grey, **options)
    with tiff.read(path) as image:
        assert image.axes == "YX"
        np.testing.assert_array_equal(image.read(), 255 - grey)
