"""OME-XML, checked against the schema that ome-types ships, where it is installed."""

from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile

import msrgan
from msrgan.io.image import Channel, Image, PixelSize, Promised
from msrgan.io.tiff import ome, write
from msrgan.io.tiff.omexml import Ome

SCHEMA = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
PROVENANCE = {"software": "msrgan 9.9", "scale": "4", "note": "computationally generated: not a measurement"}
# Two channels, two Z; a second image, regions, a plate and hashes, which cannot be kept.
ORIGINAL = f"""<?xml version="1.0" encoding="UTF-8"?>
<!-- Warning: this comment is an OME-XML metadata block -->
<OME xmlns="{SCHEMA}" UUID="urn:uuid:c7cbbe2b-2250-44f7-887a-7ef3ee9d3535" Creator="Acme 1.0">
  <Rights><RightsHolder>Ada</RightsHolder></Rights>
  <Dataset ID="Dataset:0"><ImageRef ID="Image:7"/></Dataset>
  <Plate ID="Plate:0"><Well ID="Well:0" Column="0" Row="0">
    <WellSample ID="WellSample:0" Index="0"><ImageRef ID="Image:7"/></WellSample></Well></Plate>
  <Experimenter ID="Experimenter:0" FirstName="Ada" LastName="Löv"/>
  <Instrument ID="Instrument:0">
    <Laser ID="LightSource:0" Wavelength="488.0"/>
    <Detector ID="Detector:0" Model="Prime 95B"/>
    <Objective ID="Objective:0" LensNA="1.4" NominalMagnification="60.0"/>
    <Filter ID="Filter:0" Type="BandPass"/>
  </Instrument>
  <Image ID="Image:7" Name="HeLa &lt;3&gt;">
    <AcquisitionDate>2020-02-03T04:05:06</AcquisitionDate>
    <ExperimenterRef ID="Experimenter:0"/>
    <Description>fixed cells</Description>
    <InstrumentRef ID="Instrument:0"/>
    <ObjectiveSettings ID="Objective:0" RefractiveIndex="1.51"/>
    <StageLabel Name="well A1" X="10.0" XUnit="mm" Y="20.0" YUnit="mm"/>
    <Pixels ID="Pixels:7" DimensionOrder="XYZCT" Type="uint16" SignificantBits="12" SizeX="8" SizeY="6" SizeZ="2"
        SizeC="2" SizeT="1" PhysicalSizeX="0.65" PhysicalSizeY="0.65" PhysicalSizeZ="300" PhysicalSizeZUnit="nm">
      <Channel ID="Channel:7:0" Name="DAPI" Color="65535" EmissionWavelength="461.0" SamplesPerPixel="1">
        <LightPath/></Channel>
      <Channel ID="Channel:7:1" Name="GFP" EmissionWavelength="509.0" Fluor="EGFP" PinholeSize="40.0">
        <LightSourceSettings ID="LightSource:0" Attenuation="0.5"/>
        <DetectorSettings ID="Detector:0" Binning="2x2" Gain="3.0"/>
        <LightPath><EmissionFilterRef ID="Filter:0"/></LightPath></Channel>
      <TiffData IFD="0" PlaneCount="4"><UUID FileName="old.ome.tif">urn:uuid:c7cbbe2b-2250-44f7-887a-7ef3ee9d3535</UUID>
      </TiffData>
      <Plane TheZ="0" TheC="0" TheT="0" DeltaT="0.5" ExposureTime="100" ExposureTimeUnit="ms" PositionX="7.5">
        <HashSHA1>0123456789012345678901234567890123456789</HashSHA1></Plane>
      <Plane TheZ="0" TheC="1" TheT="0" DeltaT="0.75" PositionZ="12.25" PositionZUnit="µm"/>
    </Pixels>
    <ROIRef ID="ROI:0"/>
    <AnnotationRef ID="Annotation:1"/>
    <AnnotationRef ID="Annotation:Resolution:0"/>
  </Image>
  <Image ID="Image:8"><Pixels ID="Pixels:8" DimensionOrder="XYZCT" Type="uint8" SizeX="1" SizeY="1" SizeZ="1" SizeC="1"
    SizeT="1"><TiffData/></Pixels></Image>
  <StructuredAnnotations>
    <XMLAnnotation ID="Annotation:1" Namespace="acme"><Value>
      <Settings xmlns="" lamp="on"><LampRef ID="gone"/></Settings></Value></XMLAnnotation>
    <MapAnnotation ID="Annotation:Resolution:0" Namespace="openmicroscopy.org/PyramidResolution">
      <Value><M K="1">4 3</M></Value></MapAnnotation>
  </StructuredAnnotations>
  <ROI ID="ROI:0"><Union><Rectangle ID="Shape:0" X="1" Y="1" Width="2" Height="2"/></Union></ROI>
</OME>"""


def picture(axes="CZYX", shape=(2, 2, 24, 32), dtype="uint16", **fields):
    return Image(Promised(shape, np.dtype(dtype)), axes, **fields)


def build(image):
    """Return the OME-XML as elements with plain names, valid by the schema."""
    text = ome.build(image)
    assert text.isascii()
    try:
        import ome_types
    except ImportError:
        pass
    else:
        ome_types.validate_xml(text)
    root = ElementTree.fromstring(text)
    for element in root.iter():
        element.tag = element.tag.removeprefix(f"{{{SCHEMA}}}")
    return root


def maps(root, namespace):
    (found,) = root.findall(f"StructuredAnnotations/MapAnnotation[@Namespace='{namespace}']")
    assert found.get("ID") in [ref.get("ID") for ref in root.findall("Image/AnnotationRef")]
    return {entry.get("K"): entry.text for entry in found.iter("M")}


@pytest.mark.parametrize(
    "axes, shape, order, sizes",
    [
        ("YX", (2, 3), "XYZCT", (1, 1, 1)),
        ("TCZYX", (7, 5, 6, 2, 3), "XYZCT", (5, 6, 7)),
        ("ZTYX", (6, 7, 2, 3), "XYTZC", (1, 6, 7)),
        ("CTZYX", (5, 7, 6, 2, 3), "XYZTC", (5, 6, 7)),
        ("CYX", (4, 2, 3), "XYCZT", (4, 1, 1)),
        ("YXS", (2, 3, 3), "XYCZT", (3, 1, 1)),
        ("ZYXS", (4, 2, 3, 3), "XYCZT", (3, 4, 1)),
        ("TYXS", (4, 2, 3, 3), "XYCTZ", (3, 1, 4)),
        ("TCYXS", (4, 2, 2, 3, 3), "XYCTZ", (6, 1, 4)),
    ],
)
def test_dimensions(axes, shape, order, sizes):
    pixels = build(picture(axes, shape)).find("Image/Pixels")
    assert pixels.get("DimensionOrder") == order
    assert tuple(int(pixels.get(f"Size{axis}")) for axis in "XYCZT") == (3, 2, *sizes)
    samples = 3 if axes.endswith("S") else 1
    assert [channel.get("SamplesPerPixel") for channel in pixels.findall("Channel")] == [str(samples)] * (
        sizes[0] // samples
    )
    assert pixels.find("TiffData").get("PlaneCount") == str(int(np.prod(sizes)) // samples)


@pytest.mark.parametrize(
    "dtype, name",
    [("int8", "int8"), ("uint16", "uint16"), (">u2", "uint16"), ("float32", "float"), ("float64", "double")],
)
def test_types(dtype, name):
    assert build(picture(dtype=dtype)).find("Image/Pixels").get("Type") == name


@pytest.mark.parametrize(
    "colour, number",
    [
        # Of the documentation of OME: red, green, blue, white, black, all opaque.
        ((255, 0, 0), -16776961),
        ((0, 255, 0), 16711935),
        ((0, 0, 255), 65535),
        ((255, 255, 255), -1),
        ((0, 0, 0), 255),
        ((1, 2, 3), 0x010203FF),
        ((127, 255, 255), 2**31 - 1),
        ((128, 0, 0), -(2**31) + 255),
    ],
)
def test_colours(colour, number):
    image = picture("CYX", (1, 2, 2), channels=(Channel(colour=colour),))
    assert build(image).find("Image/Pixels/Channel").get("Color") == str(number)
    ome_types = pytest.importorskip("ome_types")
    read = ome_types.from_xml(ome.build(image).decode()).images[0].pixels.channels[0].color
    assert read.as_rgb_tuple()[:3] == colour


def test_colour_of_a_table_is_where_it_rises_to():
    ramp = np.outer([1, 0.5, 0], np.arange(256)).round().astype(np.uint8)
    fire = ramp.copy()
    fire[0, :128] = 255
    image = picture("CYX", (3, 2, 2), channels=(Channel(lut=ramp), Channel(lut=fire), Channel(None, (9, 9, 9), ramp)))
    colours = [channel.get("Color") for channel in build(image).iter("Channel")]
    assert colours == [str(ome.signed_colour((255, 128, 0))), None, str(ome.signed_colour((9, 9, 9)))]


def test_sizes_and_times_are_exact():
    image = picture(pixel_size=PixelSize(0.1 / 3, 0.08125, 1e-5), time_step=1 / 7)
    pixels = build(image).find("Image/Pixels")
    assert [float(pixels.get(f"PhysicalSize{axis}")) for axis in "YXZ"] == [0.1 / 3, 0.08125, 1e-5]
    assert [pixels.get(f"PhysicalSize{axis}Unit") for axis in "YXZ"] == ["µm"] * 3
    assert (float(pixels.get("TimeIncrement")), pixels.get("TimeIncrementUnit")) == (1 / 7, "s")


def test_display_ranges_are_kept_as_an_annotation_and_said_once(tmp_path):
    """OME has no place for them. Of two enlargements, the second finds those of the first."""
    dapi, pixels = Channel("DAPI", (0, 0, 255), None, (1.5, 4095.0)), np.zeros((3, 4, 5), np.uint16)
    known = ((dapi, Channel("GFP"), Channel(display=(-2.0, 1e-3))), (dapi, Channel(), Channel()), (Channel("GFP"),) * 3)
    for channels in known:
        msrgan.write(tmp_path / "a.ome.tif", Image(pixels, "CYX", channels=channels))
        with msrgan.read(tmp_path / "a.ome.tif") as image:
            assert image.channels == channels
        root = build(Image(pixels, "CYX", channels=channels[::-1], extra=image.extra))
        annotated = [part.get("ID") for part in root.iter("MapAnnotation") if part.get("Namespace") == "msrgan/display"]
        expected = [(str(k), c.display) for k, c in enumerate(channels[::-1]) if c.display]
        assert [part.get("ID") for part in root.iter("AnnotationRef")] == annotated
        assert len(annotated) == bool(expected)
        assert [(entry.get("K"), tuple(map(float, entry.text.split()))) for entry in root.iter("M")] == expected


def test_damaged_display_ranges_are_none():
    xml = ome.build(Image(np.zeros((1, 2, 2), np.uint8), "CYX", channels=(Channel("a", display=(1.0, 2.0)),))).decode()
    assert Ome(xml).channels[0].display == (1.0, 2.0)
    for damaged in ("1.0", "1.0 two", "1.0 nan", "", "1 2 3"):
        assert Ome(xml.replace("1.0 2.0", damaged)).channels == (Channel("a"),)


def test_provenance():
    root = build(picture(extra={"provenance": PROVENANCE, "description": "from a scanner"}))
    assert maps(root, "msrgan/provenance") == PROVENANCE
    assert root.find("Image/Description").text == (
        "from a scanner\n\nsoftware: msrgan 9.9\nscale: 4\nnote: computationally generated: not a measurement"
    )
    assert root.get("Creator").startswith("msrgan ")


def test_vendor_metadata_is_a_map():
    vendor = {"Scene": {"Lamp": {"Power": 3.5}, "Name": "A<1>"}, "Shutter": True}
    root = build(picture(extra={"vendor": vendor}))
    assert maps(root, "msrgan/vendor") == {"Scene.Lamp.Power": "3.5", "Scene.Name": "A<1>", "Shutter": "True"}


def test_info_of_imagej_is_a_map():
    root = build(picture(extra={"imagej": {"Info": "Ti2\n1 µm", "images": 3}}))
    assert maps(root, "msrgan/imagej") == {"Info": "Ti2\n1 µm"}


def test_texts_that_xml_cannot_hold():
    channels = (Channel("D\0A\x1bPI <&\"'> µ 𝛼"), Channel("\ud800x\uffff"))
    root = build(picture("CYX", (2, 2, 2), channels=channels, extra={"provenance": {"a\x07": "b\x00\n\tc"}}))
    assert [channel.get("Name") for channel in root.iter("Channel")] == ["DAPI <&\"'> µ 𝛼", "x"]
    assert maps(root, "msrgan/provenance") == {"a": "b\n\tc"}


def original(**fields):
    extra = {"ome": ORIGINAL, "provenance": PROVENANCE}
    channels = (Channel("DAPI", (0, 0, 255)), Channel("GFP"))
    size = PixelSize(0.1625, 0.1625, 0.3)
    return picture(**{"extra": extra, "channels": channels, "pixel_size": size} | fields)


def test_acquisition_is_kept():
    root = build(original())
    image = root.find("Image")
    assert root.find("Rights/RightsHolder").text == "Ada"
    assert root.find("Experimenter").get("LastName") == "Löv"
    assert root.find("Instrument/Objective").attrib == {
        **{"ID": "Objective:0", "LensNA": "1.4", "NominalMagnification": "60.0"}
    }
    assert image.get("Name") == "HeLa <3>"
    assert image.find("AcquisitionDate").text == "2020-02-03T04:05:06"
    assert image.find("Description").text.startswith("fixed cells\n\nsoftware: msrgan 9.9\n")
    assert [image.find(tag).get("ID") for tag in ("ExperimenterRef", "InstrumentRef", "ObjectiveSettings")] == [
        *("Experimenter:0", "Instrument:0", "Objective:0")
    ]
    assert image.find("StageLabel").get("X") == "10.0"
    dapi, gfp = root.iter("Channel")
    assert dapi.attrib == {
        **{"ID": "Channel:0:0", "Name": "DAPI", "Color": "65535", "EmissionWavelength": "461.0"},
        "SamplesPerPixel": "1",
    }
    assert gfp.attrib == {
        **{"ID": "Channel:0:1", "Name": "GFP", "EmissionWavelength": "509.0", "Fluor": "EGFP", "PinholeSize": "40.0"},
        "SamplesPerPixel": "1",
    }
    assert gfp.find("DetectorSettings").get("Gain") == "3.0"
    assert gfp.find("LightPath/EmissionFilterRef").get("ID") == "Filter:0"
    first, second = root.iter("Plane")
    assert first.attrib == {
        **{"TheZ": "0", "TheC": "0", "TheT": "0", "DeltaT": "0.5", "ExposureTime": "100", "ExposureTimeUnit": "ms"},
        "PositionX": "7.5",
    }
    assert second.get("PositionZ") == "12.25"
    settings = root.find("StructuredAnnotations/XMLAnnotation/Value/Settings")
    assert settings.get("lamp") == "on"
    assert settings.find("LampRef") is not None


def test_what_is_about_x_and_y_is_not_kept():
    root = build(original())
    pixels = root.find("Image/Pixels")
    assert {key: pixels.get(key) for key in ("SizeX", "SizeY", "PhysicalSizeX", "PhysicalSizeZ")} == {
        **{"SizeX": "32", "SizeY": "24", "PhysicalSizeX": "0.1625", "PhysicalSizeZ": "0.3"}
    }
    assert pixels.get("PhysicalSizeZUnit") == "µm"
    assert pixels.get("SignificantBits") is None
    assert len(root.findall("Image")) == 1
    tags = {element.tag for element in root.iter()}
    assert not tags & {"ROI", "ROIRef", "Plate", "Dataset", "HashSHA1", "UUID"}
    assert "PyramidResolution" not in ome.build(original()).decode()
    assert [ref.get("ID") for ref in root.findall("Image/AnnotationRef")] == ["Annotation:1", "Annotation:0"]
    assert root.get("UUID") is None


def test_channels_that_were_picked_keep_what_is_theirs():
    image = original(axes="ZCYX", shape=(2, 1, 24, 32), channels=(Channel("GFP"),))
    root = build(image)
    (gfp,) = root.iter("Channel")
    assert (gfp.get("Fluor"), gfp.get("ID")) == ("EGFP", "Channel:0:0")
    (plane,) = root.iter("Plane")
    assert (plane.get("TheC"), plane.get("DeltaT")) == ("0", "0.75")


def test_channels_that_cannot_be_told_apart_get_nothing():
    for names in (("DAPI", "GFP", "Cy5"), (None, None, None)):
        root = build(original(axes="CZYX", shape=(3, 2, 24, 32), channels=tuple(map(Channel, names))))
        fluors = [channel.get("Fluor") for channel in root.iter("Channel")]
        assert fluors == ([None, "EGFP", None] if names[0] else [None] * 3)


def test_planes_of_other_stacks_are_not_kept():
    root = build(original(axes="CZYX", shape=(2, 3, 24, 32)))
    assert not list(root.iter("Plane"))


def test_history_of_two_enlargements():
    once = ome.build(original()).decode()
    again = {"software": "msrgan 10", "scale": "2", "note": "again"}
    root = build(original(extra={"ome": once, "provenance": again}))
    annotations = root.findall("StructuredAnnotations/MapAnnotation[@Namespace='msrgan/provenance']")
    assert [[entry.text for entry in found.iter("M")] for found in annotations] == [
        list(PROVENANCE.values()),
        list(again.values()),
    ]
    assert len({found.get("ID") for found in root.find("StructuredAnnotations")}) == 3


@pytest.mark.parametrize(
    "text", ["<OME", "hello", f"<OME xmlns='{SCHEMA}'/>", f"<OME xmlns='{SCHEMA}'>{'<a>' * 2000}{'</a>' * 2000}</OME>"]
)
def test_damaged_ome_xml_is_kept_as_it_is(text):
    root = build(original(extra={"ome": text}))
    value = root.find("StructuredAnnotations/XMLAnnotation[@Namespace='msrgan/original-ome-xml']/Value")
    assert value[0].tag in ("Text", "OME")
    assert value[0].text in (text, None)
    assert [channel.get("Name") for channel in root.iter("Channel")] == ["DAPI", "GFP"]


def test_older_schemas_are_kept_as_they_are():
    old = "http://www.openmicroscopy.org/Schemas/OME/2013-06"
    text = f'<OME xmlns="{old}"><Image ID="Image:0" Name="old"><Pixels ID="Pixels:0" SizeX="7"/></Image></OME>'
    root = build(original(extra={"ome": text}))
    kept = root.find("StructuredAnnotations/XMLAnnotation[@Namespace='msrgan/original-ome-xml']/Value")
    assert kept.find(f"{{{old}}}OME/{{{old}}}Image").get("Name") == "old"
    assert root.find("Image").get("Name") is None


def test_tifffile_reads_what_was_kept(tmp_path):
    pixels = np.arange(2 * 2 * 24 * 32, dtype=np.uint16).reshape(2, 2, 24, 32)
    image = original(axes="CZYX")
    bands = Image(pixels, "CZYX").bands()
    write(tmp_path / "a.ome.tif", image, bands, format="ome-tiff")
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as file:
        assert file.is_ome
        assert file.series[0].axes == "CZYX"
        assert file.series[0].name == "HeLa <3>"
        np.testing.assert_array_equal(file.asarray(), pixels)


def test_real_slides(real_data, tmp_path):
    paths = sorted((real_data / "openslide_he_ki67" / "original").glob("*.ome.tif"))
    assert paths
    for path in paths:
        with tifffile.TiffFile(path) as file:
            extra = {"ome": file.ome_metadata, "provenance": PROVENANCE}
            pixels = file.asarray(key=0)[:70, :90]
        image = Image(pixels, "YXS", PixelSize(0.25, 0.25), extra=extra)
        root = build(image)
        assert root.find("Image/Pixels/Channel").get("SamplesPerPixel") == "3"
        write(tmp_path / path.name, image, image.bands(), format="ome-tiff")
        with tifffile.TiffFile(tmp_path / path.name) as file:
            assert file.series[0].axes == "YXS"
            np.testing.assert_array_equal(file.asarray(), pixels)
