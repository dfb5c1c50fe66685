"""Reading CZI, LIF and ND2.

CZI files are written by Zeiss' own pylibCZIrw, LIF files by the tests as the format describes them. Nothing writes ND2:
a stand-in has the attributes of bioio's reader.
"""

import datetime
import importlib.util
import struct
import sys
import types

import numpy as np
import pytest

from msrgan.io import vendor
from msrgan.io.image import Channel, PixelSize
from msrgan.io.source import UnreadableImageError

pytestmark = pytest.mark.long
needs_czi = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("bioio_czi", "pylibCZIrw"))), reason="the extra bio is not installed"
)
needs_lif = pytest.mark.skipif(not importlib.util.find_spec("bioio_lif"), reason="the extra bio is not installed")


def pixels(*shape, dtype=np.uint16):
    return np.random.default_rng(5).integers(0, 250, shape).astype(dtype)


def write_czi(path, planes, *, metadata=None):
    """Write planes (Y, X, 1 or 3) at ({"C": 0, ...}, (x, y), scene)."""
    from pylibCZIrw import czi

    with czi.create_czi(str(path)) as file:
        for (place, location, scene), plane in planes:
            file.write(data=np.ascontiguousarray(plane), plane=place, location=location, scene=scene)
        if metadata:
            file.write_metadata(**metadata)
    return path


def write_lif(path, series):
    """Write {name: pixels (T, C, Z, Y, X)} with pixels of 0.5 um, Z of 2 um, T of 3 s; LUTs are Green, Red, Blue."""
    elements, blocks = "", b""
    for number, (name, image) in enumerate(series.items()):
        frames, channels, slices, rows, columns = image.shape
        size, plane = image.itemsize, image[0, 0, 0].nbytes
        dimensions = [(1, columns, size, "m", 0.5e-6), (2, rows, columns * size, "m", 0.5e-6)]
        dimensions += [(3, slices, plane * channels, "m", 2e-6)] if slices > 1 else []
        dimensions += [(4, frames, plane * channels * slices, "s", 3.0)] if frames > 1 else []
        described = "".join(
            f'<DimensionDescription DimID="{axis}" NumberOfElements="{n}" Origin="0" Length="{(n - 1) * step}" '
            f'Unit="{unit}" BytesInc="{stride}" BitInc="0"/>'
            for axis, n, stride, unit, step in dimensions
        )
        luts = "".join(
            f'<ChannelDescription DataType="0" ChannelTag="0" Resolution="{8 * size}" NameOfMeasuredQuantity="" '
            f'Min="0" Max="1" Unit="" LUTName="{lut}" IsLUTInverted="0" BytesInc="{place * plane}" BitInc="0"/>'
            for place, lut in enumerate(("Green", "Red", "Blue")[:channels])
        )
        elements += (
            f'<Element Name="{name}" Visibility="1" UniqueID="{number}"><Data><Image TextDescription="">'
            f"<ImageDescription><Channels>{luts}</Channels><Dimensions>{described}</Dimensions></ImageDescription>"
            f'</Image></Data><Memory Size="{image.nbytes}" MemoryBlockID="Block{number}"/><Children/></Element>'
        )
        blocks += _block(f"Block{number}", image.transpose(0, 2, 1, 3, 4).tobytes())
    header = (
        '<LMSDataContainerHeader Version="2"><Element Name="p" Visibility="1" UniqueID="p"><Data>'
        '<Experiment Path="p"/></Data><Memory Size="0" MemoryBlockID="Root"/>'
        f"<Children>{elements}</Children></Element></LMSDataContainerHeader>"
    ).encode("utf-16-le")
    start = struct.pack("<IIBI", 0x70, 5 + len(header), 0x2A, len(header) // 2)
    path.write_bytes(start + header + _block("Root", b"") + blocks)
    return path


def _block(name, data):
    text = name.encode("utf-16-le")
    return struct.pack("<IIBQBI", 0x70, 14 + len(text), 0x2A, len(data), 0x2A, len(text) // 2) + text + data


@pytest.fixture(scope="module")
def czi_file(tmp_path_factory):
    """Two times, two channels, three slices."""
    pytest.importorskip("pylibCZIrw", reason="the extra bio is not installed")
    from pylibCZIrw import czi

    image = pixels(2, 2, 3, 20, 25)
    planes = [
        (({"T": t, "C": c, "Z": z}, (0, 0), 0), image[t, c, z, ..., None]) for t, c, z in np.ndindex(*image.shape[:3])
    ]
    shown = [
        czi.ChannelDisplaySettingsDataClass(
            True, czi.TintingMode.Color, czi.Rgb8Color(*map(np.uint8, colour)), low, high
        )
        for colour, low, high in (((0, 0, 255), 0.0, 0.5), ((1, 255, 16), 0.2, 1.0))
    ]
    metadata = {
        "channel_names": {0: "DAPI", 1: "GFP"},
        "scale_x": 0.65e-6,
        "scale_y": 0.5e-6,
        "scale_z": 2e-6,
        "display_settings": dict(enumerate(shown)),
    }
    return write_czi(tmp_path_factory.mktemp("czi") / "a.czi", planes, metadata=metadata), image


@needs_czi
def test_czi(czi_file, caplog):
    path, image = czi_file
    opened = vendor.read(path)
    assert opened.axes == "TCZYX" and opened.dtype == np.uint16 and opened.format == "czi" and opened.source == path
    assert opened.pixel_size == pytest.approx((0.5, 0.65, 2.0)) and opened.time_step is None
    assert [channel.name for channel in opened.channels] == ["DAPI", "GFP"]
    assert [channel.colour for channel in opened.channels] == [(0, 0, 255), (1, 255, 16)]
    assert [channel.display for channel in opened.channels] == [(0, 0.5 * 65535), (pytest.approx(13107), 65535)]
    assert opened.extra["vendor"]["timelapse"] is True and "pixel_size_x" not in opened.extra["vendor"]
    for index in opened.indices():
        np.testing.assert_array_equal(opened.read(index), image[index])
        np.testing.assert_array_equal(opened.read(index, slice(3, 9), slice(20, 25)), image[index][3:9, 20:25])
    np.testing.assert_array_equal(opened.pixels[1, 0:2, 1:3, 2, :], image[1, :, 1:3, 2])
    np.testing.assert_array_equal(opened.transposed("CTZ").read((1, 0, 2)), image[0, 1, 2])
    assert not caplog.records  # bioio logs what it misses


@needs_czi
def test_czi_of_one_plane(tmp_path):
    image = pixels(20, 25, dtype=np.uint8)
    opened = vendor.read(write_czi(tmp_path / "A.CZI", [(({"C": 0}, (0, 0), 0), image[..., None])]))
    assert opened.axes == "YX" and opened.format == "czi"
    assert opened.pixel_size == PixelSize() and opened.channels == ()
    np.testing.assert_array_equal(opened.read(), image)


@needs_czi
def test_czi_has_blue_first_and_an_image_red(tmp_path):
    bgr = pixels(20, 25, 3, dtype=np.uint8)
    opened = vendor.read(write_czi(tmp_path / "a.czi", [(({"C": 0}, (0, 0), 0), bgr)]))
    assert opened.axes == "YXS" and opened.is_rgb
    np.testing.assert_array_equal(opened.read(), bgr[..., ::-1])
    np.testing.assert_array_equal(opened.read((), slice(1, 3), slice(5, 9)), bgr[1:3, 5:9, ::-1])


@needs_czi
def test_czi_mosaics_are_put_together(tmp_path):
    """Tiles of 20x25, the third beside the others, the fourth missing."""
    whole = pixels(40, 50, 2)
    whole[20:, 25:] = 0
    tiles = [
        (({"C": c}, (x, y), 0), whole[y : y + 20, x : x + 25, c : c + 1])
        for c in range(2)
        for x, y in ((0, 0), (0, 20), (25, 0))
    ]
    opened = vendor.read(write_czi(tmp_path / "a.czi", tiles))
    assert opened.axes == "CYX" and opened.sizes == {"C": 2, "Y": 40, "X": 50}
    for channel in range(2):
        np.testing.assert_array_equal(opened.read((channel,)), whole[..., channel])
        np.testing.assert_array_equal(
            opened.read((channel,), slice(15, 30), slice(20, 40)), whole[15:30, 20:40, channel]
        )
    bgr = pixels(40, 25, 3, dtype=np.uint8)
    tiles = [(({"C": 0}, (0, y), 0), bgr[y : y + 20]) for y in (0, 20)]
    opened = vendor.read(write_czi(tmp_path / "b.czi", tiles))
    assert opened.axes == "YXS"
    np.testing.assert_array_equal(opened.read(), bgr[..., ::-1])


@needs_czi
def test_czi_scenes_without_names_are_refused(tmp_path):
    planes = [(({"C": 0}, (0, 100 * scene), scene), pixels(20, 25, 1)) for scene in range(2)]
    with pytest.raises(UnreadableImageError, match="holds 2 scenes and names 1"):
        vendor.read(write_czi(tmp_path / "a.czi", planes))


@needs_czi
def test_truncated_czi(czi_file, tmp_path):
    path, _ = czi_file
    whole = path.read_bytes()
    for tenth in range(10):
        cut = tmp_path / f"{tenth}.czi"
        cut.write_bytes(whole[: len(whole) * tenth // 10])
        with pytest.raises(UnreadableImageError, match="damaged or unknown"):
            vendor.read(cut)


@needs_lif
def test_lif(tmp_path):
    image = pixels(2, 2, 3, 20, 25)
    opened = vendor.read(write_lif(tmp_path / "a.lif", {"one": image}))
    assert opened.axes == "TCZYX" and opened.format == "lif"
    assert opened.pixel_size == pytest.approx((0.5, 0.5, 2.0)) and opened.time_step == pytest.approx(3)
    assert opened.channels == (Channel("Green"), Channel("Red")) and opened.extra["vendor"]["scene"] == "one"
    for index in opened.indices():
        np.testing.assert_array_equal(opened.read(index, slice(3, 9), slice(20, 25)), image[index][3:9, 20:25])


@needs_lif
def test_a_scene_of_several(tmp_path):
    first, second = pixels(1, 1, 3, 20, 25), pixels(1, 3, 1, 10, 12, dtype=np.uint8)
    path = write_lif(tmp_path / "a.lif", {"one": first, "two": second})
    with pytest.raises(UnreadableImageError, match=r"holds 2 scenes. Name one by `scene`: 0 'one', 1 'two'$"):
        vendor.read(path)
    for scene in ("two", 1, "1"):
        opened = vendor.read(path, scene=scene)
        assert opened.axes == "CYX" and opened.dtype == np.uint8 and opened.pixel_size.z is None
        np.testing.assert_array_equal(opened.pixels[:, :, :], second[0, :, 0])
    assert vendor.read(path, scene="one").sizes == {"Z": 3, "Y": 20, "X": 25}
    for scene in ("three", 2, -1):
        with pytest.raises(ValueError, match=f"`scene` is one of 0 'one', 1 'two' in .*Received: {scene!r}"):
            vendor.read(path, scene=scene)


@needs_lif
def test_truncated_lif(tmp_path):
    image = pixels(1, 2, 3, 20, 25)
    path = write_lif(tmp_path / "a.lif", {"one": image})
    whole = path.read_bytes()
    for tenth in range(10):
        path.write_bytes(whole[: len(whole) * tenth // 10])
        with pytest.raises(UnreadableImageError, match="damaged or unknown"):
            opened = vendor.read(path)
            for index in opened.indices():
                np.testing.assert_array_equal(opened.read(index), image[0][index])


@needs_lif
def test_arguments(tmp_path):
    path = write_lif(tmp_path / "a.lif", {"one": pixels(1, 1, 3, 20, 25)})
    opened = vendor.read(path, axes="tyx")
    assert opened.axes == "TYX" and opened.sizes == {"T": 3, "Y": 20, "X": 25}
    with pytest.raises(UnreadableImageError, match="a letter for each dimension. Received: TZYX"):
        vendor.read(path, axes="TZYX")
    with pytest.raises(UnreadableImageError, match="claims 1500 pixels. At most 1499"):
        vendor.read(path, max_pixels=1499)
    with pytest.raises(ValueError, match=r"`level` of .* is 0.*Received: 1"):
        vendor.read(path, level=1)
    with pytest.raises(FileNotFoundError):
        vendor.read(tmp_path / "none.lif")
    with pytest.raises(ValueError, match=r"one of .czi, .nd2, .lif. Received: .*a.oib"):
        vendor.read(path.rename(tmp_path / "a.oib"))


class StandIn:
    """What the reader of bioio-nd2 has, for an image of shape (T, C, Y, X) and two positions."""

    image = pixels(3, 2, 6, 8)
    calibrated = (True, True, True)
    sizes = (0.325, 0.25, 1.0)
    order = "TCYX"
    scenes = ("P1", "P2")
    names = ("DAPI", "Channel:0:1")
    dtype = image.dtype

    def __init__(self, path):
        self.current_scene = None

    def set_scene(self, number):
        self.current_scene, self.current_scene_index = self.scenes[number], number

    @property
    def dims(self):
        return types.SimpleNamespace(order=self.order, shape=self.image.shape)

    @property
    def physical_pixel_sizes(self):
        return types.SimpleNamespace(**dict(zip("YXZ", self.sizes, strict=True)))

    @property
    def channel_names(self):
        return list(self.names)

    time_interval = datetime.timedelta(milliseconds=250)

    @property
    def standard_metadata(self):
        return types.SimpleNamespace(
            objective="60x/1.4Oil",
            imaging_datetime=datetime.datetime(2024, 5, 6, 7, 8, 9),
            total_time_duration=datetime.timedelta(seconds=0.5),
            binning=None,
            image_size_x=8,
            pixel_size_x=0.25,
            dimensions_present="TCYX",
        )

    @property
    def ome_metadata(self):
        def channel(colour, *told):
            return types.SimpleNamespace(
                color=types.SimpleNamespace(as_rgb_tuple=lambda alpha: colour), model_fields_set={"name", *told}
            )

        pixels = types.SimpleNamespace(channels=[channel((255, 0, 255), "color"), channel((255, 255, 255))])
        return types.SimpleNamespace(images=[None, types.SimpleNamespace(pixels=pixels)])

    def get_image_data(self, order, **numbers):
        places = tuple(numbers[axis] for axis in self.order if axis in numbers)
        assert order == self.order.lstrip("TCZP")
        return self.image[places]


@pytest.fixture
def nd2_file(tmp_path, monkeypatch):
    """Path of a file that the stand-in reads."""

    class File:
        def __init__(self, path):
            volume = types.SimpleNamespace(axesCalibrated=StandIn.calibrated)
            self.metadata = types.SimpleNamespace(channels=[types.SimpleNamespace(volume=volume)])

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

    monkeypatch.setitem(sys.modules, "bioio_nd2", types.SimpleNamespace(Reader=StandIn))
    monkeypatch.setitem(sys.modules, "nd2", types.SimpleNamespace(ND2File=File))
    (tmp_path / "a.nd2").write_bytes(b"nd2")
    return tmp_path / "a.nd2"


def test_the_attributes_of_a_reader(nd2_file):
    opened = vendor.read(nd2_file, scene="P2")
    assert opened.axes == "TCYX" and opened.format == "nd2" and opened.time_step == 0.25
    assert opened.pixel_size == (0.325, 0.25, 1.0)
    assert opened.channels == (Channel("DAPI", (255, 0, 255)), Channel())
    assert opened.extra == {
        "vendor": {
            "scene": "P2",
            "objective": "60x/1.4Oil",
            "imaging_datetime": "2024-05-06T07:08:09",
            "total_time_duration": 0.5,
        }
    }
    for index in opened.indices():
        np.testing.assert_array_equal(opened.read(index), StandIn.image[index])


def test_what_a_reader_fills_in_is_left_out(nd2_file, monkeypatch):
    monkeypatch.setattr(StandIn, "names", ("Channel:0:0", "1"))
    monkeypatch.setattr(StandIn, "ome_metadata", property(lambda self: 1 / 0))
    monkeypatch.setattr(StandIn, "calibrated", (True, False, False))
    monkeypatch.setattr(StandIn, "sizes", (1.0, 1.0, 0.0))
    opened = vendor.read(nd2_file, scene=0)
    assert opened.channels == () and opened.pixel_size == PixelSize(None, 1.0, None)


def test_planes_are_read_once(nd2_file, monkeypatch):
    reads = []

    def get_image_data(self, order, **numbers):
        reads.append((numbers["T"], numbers["C"]))
        return self.image[numbers["T"], numbers["C"]]

    monkeypatch.setattr(StandIn, "get_image_data", get_image_data)
    opened = vendor.read(nd2_file, scene=0)
    assert reads == []
    for index in ((0, 1), (2, 0)):
        for left in range(0, 8, 2):
            opened.read(index, slice(0, 6), slice(left, left + 2))
    assert reads == [(0, 1), (2, 0)]


def test_axes_that_an_image_has_not(nd2_file, monkeypatch):
    monkeypatch.setattr(StandIn, "order", "MCYX")
    with pytest.raises(UnreadableImageError, match=r"is a mosaic of tiles \(3 M\). Save what you need as OME-TIFF"):
        vendor.read(nd2_file, scene=0)
    monkeypatch.setattr(StandIn, "order", "HCYX")
    with pytest.raises(UnreadableImageError, match=r"axes besides T, C, Z, Y and X \(3 H\)"):
        vendor.read(nd2_file, scene=0)


def test_planes_of_another_size_are_refused(nd2_file, monkeypatch):
    monkeypatch.setattr(StandIn, "get_image_data", lambda self, order, **numbers: self.image[0, 0, :-1])
    with pytest.raises(UnreadableImageError, match=r"a plane of \(5, 8\)"):
        vendor.read(nd2_file, scene=0).read((0, 0))


@pytest.mark.parametrize("error", [MemoryError("std::bad_alloc"), IndexError("too many indices"), KeyError("a")])
def test_what_a_reader_raises_on_damaged_sizes_is_an_error_of_the_file(nd2_file, monkeypatch, error):
    def fail(self, order, **numbers):
        raise error

    monkeypatch.setattr(StandIn, "get_image_data", fail)
    opened = vendor.read(nd2_file, scene=0)
    with pytest.raises(UnreadableImageError, match=r"a\.nd2: damaged or unknown to its reader \([^\n]+\)$"):
        opened.read((0, 0))


def test_without_bioio(nd2_file, monkeypatch):
    monkeypatch.setitem(sys.modules, "bioio_nd2", None)
    with pytest.raises(ValueError, match=r"need the package bioio-nd2. Install it: pip install 'msrgan\[bio\]'"):
        vendor.read(nd2_file)
