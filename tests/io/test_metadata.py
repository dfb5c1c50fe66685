"""What TIFFs know of their image beside the pixels."""

import numpy as np
import pytest
import tifffile

from msrgan.io.tiff import read

PLANES = np.zeros((2, 3, 8, 9), np.uint16)


def known(path, pixels=PLANES[0, 0], **options):
    """Write a file and return its image, closed."""
    tifffile.imwrite(path, pixels, **{"photometric": "minisblack", **options})
    with read(path) as image:
        return image


def test_ome(tmp_path):
    metadata = {
        "axes": "ZCYX",
        **{"PhysicalSizeX": 65.0, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.07, "PhysicalSizeZ": 2e-3},
        **{"PhysicalSizeZUnit": "mm", "TimeIncrement": 2.0, "TimeIncrementUnit": "min"},
        "Channel": {"Name": ["DAPI", "GFP", "Cy5"], "Color": [0x0000FFFF, 0x00FF00FF, -16776961]},
    }
    image = known(tmp_path / "a.ome.tif", PLANES, ome=True, metadata=metadata, resolution=(9, 9))
    assert image.pixel_size == pytest.approx((0.07, 0.065, 2.0))
    assert image.time_step == 120
    assert [channel.name for channel in image.channels] == ["DAPI", "GFP", "Cy5"]
    assert [channel.colour for channel in image.channels] == [(0, 0, 255), (0, 255, 0), (255, 0, 0)]
    assert "PhysicalSizeZ" in image.extra["ome"]
    bare = known(tmp_path / "b.ome.tif", ome=True, resolution=(50000, 50000), resolutionunit="CENTIMETER")
    assert (bare.pixel_size, bare.time_step, bare.format) == ((None, None, None), None, "ome-tiff")
    other = known(tmp_path / "c.ome.tif", ome=True, metadata={"PhysicalSizeX": 1, "PhysicalSizeXUnit": "pixel"})
    assert other.pixel_size.x is None


def test_imagej(tmp_path):
    luts = [np.zeros((3, 256), np.uint8) for _ in range(3)]
    for k, lut in enumerate(luts):
        lut[k] = np.arange(256)
    metadata = {
        **{
            "axes": "ZCYX",
            "unit": "um",
            "spacing": 0.5,
            "finterval": 3.0,
            "mode": "composite",
            "Info": "objective=60x",
        },
        **{"Ranges": (1.0, 10.0, 2.0, 20.0, 3.0, 30.0), "LUTs": luts, "Labels": [f"plane {k}" for k in range(6)]},
    }
    image = known(tmp_path / "a.tif", PLANES, imagej=True, metadata=metadata, resolution=(4, 5))
    assert image.pixel_size == pytest.approx((0.2, 0.25, 0.5))
    assert (image.time_step, image.axes) == (3, "ZCYX")
    assert [channel.display for channel in image.channels] == [(1, 10), (2, 20), (3, 30)]
    assert [channel.colour for channel in image.channels] == [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    for channel, lut in zip(image.channels, luts, strict=True):
        np.testing.assert_array_equal(channel.lut, lut)
    left = image.extra["imagej"]
    assert (left["Info"], left["Labels"][5], left["mode"]) == ("objective=60x", "plane 5", "composite")
    assert not {"channels", "LUTs", "Ranges", "spacing", "unit"} & set(left)
    for unit, size in (("pixel", None), ("nm", 0.25e-3), ("\\u00B5m", 0.25), ("mm", 250)):
        image = known(tmp_path / "b.tif", imagej=True, metadata={"unit": unit}, resolution=(4, 4))
        assert image.pixel_size.x == (size and pytest.approx(size))


@pytest.mark.parametrize(
    ("resolution", "unit", "size"),
    [
        ((50000, 25000), "CENTIMETER", (0.4, 0.2)),
        ((12700, 12700), "INCH", (2.0, 2.0)),
        ((72, 72), "INCH", (None, None)),
        ((300, 300), "INCH", (None, None)),
        ((118.11, 118.11), "CENTIMETER", (None, None)),
        ((26, 26), "INCH", (None, None)),
        ((50000, 50000), "NONE", (None, None)),
    ],
)
def test_resolution_tags_of_plain_files(tmp_path, resolution, unit, size):
    image = known(tmp_path / "a.tif", resolution=resolution, resolutionunit=unit, metadata=None)
    assert image.pixel_size[:2] == pytest.approx(size) if size[0] else image.pixel_size == (None, None, None)
    assert image.format == "tiff"


def test_told_axes_leave_behind_what_was_said_of_others(tmp_path):
    metadata = {"axes": "ZYX", "unit": "um", "spacing": 0.5}
    path = tmp_path / "a.tif"
    assert known(path, PLANES[0], imagej=True, metadata=metadata).pixel_size.z == 0.5
    with read(path, axes="CYX") as image:
        assert (image.axes, image.pixel_size.z, image.channels) == ("CYX", None, ())


def test_descriptions_of_plain_files_are_carried_on(tmp_path):
    assert known(tmp_path / "a.tif", description="a slide", metadata=None).extra == {"description": "a slide"}
    assert known(tmp_path / "a.tif").extra == {}


def test_real_files(real_data):
    with read(real_data / "openslide_he_ki67" / "original" / "OS-1-detail.ome.tif") as image:
        assert (image.axes, image.format) == ("YXS", "ome-tiff")
        assert image.pixel_size[:2] == pytest.approx((0.227102, 0.227097), rel=1e-5)
        assert image.pixel_size.z is None
    with read(real_data / "cellprofiler_examples" / "ExampleFly" / "01_POS002_D.TIF") as image:
        assert (image.axes, image.pixel_size.x) == ("YX", None)  # 26 pixels an inch
