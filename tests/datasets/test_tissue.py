from collections import Counter

import cv2
import numpy as np
import pytest
import tensorflow_datasets as tfds
import tifffile

from msrgan import datasets, io
from msrgan.datasets.tissue import slides
from msrgan.datasets.tissue.builder import Tissue
from msrgan.datasets.tissue.slides import background_fraction, tiles

GLASS = (244, 241, 243)


def texture(seed, height=210, width=250, channels=3, dtype=np.uint8):
    """Coloured cells of four pixels, no two alike, darker than glass."""
    rng = np.random.default_rng(seed)
    cells = rng.uniform(0.1, 0.7, (-(-height // 4), -(-width // 4), channels)).repeat(4, 0).repeat(4, 1)
    return (cells[:height, :width] * np.iinfo(dtype).max).astype(dtype)


def write(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".bmp":
        cv2.imwrite(str(path), image[..., ::-1])
    else:
        io.write_pixels(path, image)
    return path


def pyramid(path, image, **options):
    """A tiled TIFF with two levels, the second half as large, as slide scanners write them."""
    with tifffile.TiffWriter(path) as file:
        options = {"tile": (64, 64), "compression": "deflate", "metadata": None} | options
        file.write(image, **options)
        file.write(np.ascontiguousarray(image[::2, ::2]), subfiletype=1, **options)
    return path


def aperio(path, image):
    """An Aperio .svs file: the scan, a thumbnail in strips, the scan at a quarter."""
    text = "Aperio Image Library v11.2.1\r\n{1}x{0} [0,0 {1}x{0}] (64x64) JPEG/RGB Q=70|AppMag = 20|MPP = 0.499"
    with tifffile.TiffWriter(path) as file:
        for step, layout in ((1, {"tile": (64, 64)}), (8, {"rowsperstrip": 16}), (4, {"tile": (64, 64)})):
            page = np.ascontiguousarray(image[::step, ::step])
            description = text.format(*image.shape)
            file.write(page, photometric="rgb", description=description, software=None, metadata=None, **layout)
    return path


@pytest.fixture
def screenshots(tmp_path):
    """Six screenshots of three formats, 210x250 pixels."""
    folder = tmp_path / "raw"
    for k, suffix in enumerate((".png", ".png", ".png", ".tif", ".bmp", ".png")):
        write(folder / f"organ{k}{suffix}", texture(k))
    return folder


def read(folder, tmp_path, split="all", options="tile=64,stride=48"):
    name = f"tissue:{options}" if options else "tissue"
    loaded = datasets.load(name, split, manual_dir=folder, data_dir=tmp_path / "tfds")
    return {e["id"].decode(): e for e in loaded.as_numpy_iterator()}


def test_tiles_lie_where_the_stride_says(tmp_path):
    image = texture(0, 430, 500)
    places = list(tiles(write(tmp_path / "a.png", image), tile=96, stride=36))
    # (430 - 96) // 36 + 1 = 10 rows, (500 - 96) // 36 + 1 = 12 columns
    assert [(y, x) for y, x, _ in places] == [(36 * row, 36 * column) for row in range(10) for column in range(12)]
    for y, x, tile in places:
        np.testing.assert_array_equal(tile, image[y : y + 96, x : x + 96])


@pytest.mark.parametrize(
    ("tile", "fraction"),
    [
        (np.full((4, 4, 3), GLASS, np.uint8), 1),
        (np.full((4, 4, 3), (203, 230, 230), np.uint8), 0),  # a channel below 204 = 0.8 x 255
        (np.full((4, 4, 3), (210, 230, 235), np.uint8), 1),  # 25 apart
        (np.full((4, 4, 3), (210, 230, 236), np.uint8), 0),  # 26 apart, more than 25.5: a pale stain
        (np.zeros((4, 4, 3), np.uint8), 1),  # not scanned
        (np.zeros((4, 4, 1), np.uint8), 0),  # the dark of fluorescence
        (np.full((4, 4, 1), 204, np.uint8), 1),
        (np.full((4, 4, 3), 60000, np.uint16), 1),
        (np.full((4, 4, 3), 3700, np.uint16), 1),  # glass of a 12-bit camera
        (np.full((4, 4, 3), 2000, np.uint16), 0),
        (np.uint8([[[240], [240], [240], [100]]]), 0.75),
    ],
)
def test_background_is_bright_and_colourless(tile, fraction):
    assert background_fraction(tile) == fraction


def test_tiles_with_too_much_background_are_left_out(tmp_path):
    image = texture(0, 64, 256)
    image[:, 128:] = GLASS
    path = write(tmp_path / "a.png", image)
    # Glass in the tiles at 0, 32, ..., 192: 0, 0, 0, 0.5, 1, 1, 1
    kept = {b: [x for _, x, _ in tiles(path, tile=64, stride=32, background=b)] for b in (0, 0.49, 0.5, 0.99, 1)}
    assert kept == {
        0: [0, 32, 64],
        0.49: [0, 32, 64],
        0.5: [0, 32, 64, 96],
        0.99: [0, 32, 64, 96],
        1: [0, 32, 64, 96, 128, 160, 192],
    }


def test_a_prepared_set_holds_the_tiles_and_never_cuts_a_source(screenshots, tmp_path, said):
    parts = {split: read(screenshots, tmp_path, split) for split in ("train", "validation", "test")}
    groups = {split: {e["group"].decode() for e in part.values()} for split, part in parts.items()}
    assert {split: len(names) for split, names in groups.items()} == {"train": 4, "validation": 1, "test": 1}
    assert set.union(*groups.values()) == {path.name for path in screenshots.iterdir()}
    everything = parts["train"] | parts["validation"] | parts["test"]
    # (210 - 64) // 48 + 1 = 4 rows, (250 - 64) // 48 + 1 = 4 columns
    assert Counter(e["group"].decode() for e in everything.values()) == dict.fromkeys(set.union(*groups.values()), 16)
    example = everything["organ3.tif_y0048_x0144"]
    np.testing.assert_array_equal(example["image"], texture(3)[48:112, 144:208])
    assert example["group"] == b"organ3.tif"
    assert "96 examples prepared, 0 raw images skipped" in said.text


def test_presets_are_those_of_the_lineage():
    def cut(**options):
        config = Tissue(**options).builder_config
        return config.name, config.tile, config.stride

    assert cut() == ("disjoint", 192, 192)
    assert cut(config="192") == cut(stride=36) == ("192", 192, 36)
    assert cut(config="840") == cut(tile=840, stride=36) == ("840", 840, 36)
    assert cut(config="840", stride=840) == cut(tile=840)
    assert cut(tile=96) == ("tile96_stride96_background0.8_level0_8bit", 96, 96)
    assert cut(config="192", background=0.5, bits=16)[0] == "tile192_stride36_background0.5_level0_16bit"


def test_a_configuration_survives_being_made_again(tmp_path):
    config = Tissue(tile=96, bits=16, data_dir=tmp_path).builder_config
    assert Tissue(config=config, data_dir=tmp_path).builder_config is config


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tile": 0}, "tile >= 1.*Received: tile=0"),
        ({"stride": -1}, "stride >= 0.*stride=-1"),
        ({"background": 1.5}, "background from 0 to 1.*background=1.5"),
        ({"bits": 12}, "bits 8 or 16.*bits=12"),
        ({"level": -1}, "level >= 0.*level=-1"),
        ({"beam": "yes"}, "beam is on or off"),
        ({"config": "191"}, "one of disjoint, 192, 840.*tissue/191"),
        ({"config": "840", "tile": 96}, "its own tile.*tissue/840:tile=96"),
    ],
)
def test_options_out_of_range_are_errors(options, message):
    with pytest.raises(ValueError, match=message) as error:
        Tissue(**options)
    assert "\n" not in str(error.value)


def test_folders_are_slides_and_split_folders_are_splits(tmp_path):
    for name in ("train/slide1/a", "train/slide1/deep/b", "train/c", "Val/slide1/a", "test/d"):
        write(tmp_path / "raw" / f"{name}.png", texture(len(name), 64, 64))
    groups = {
        split: sorted(e["group"].decode() for e in read(tmp_path / "raw", tmp_path, split).values())
        for split in ("train", "validation", "test")
    }
    assert groups == {
        "train": ["train/c.png", "train/slide1", "train/slide1"],
        "validation": ["Val/slide1"],
        "test": ["test/d.png"],
    }


def test_a_slide_of_several_files_is_never_split(tmp_path):
    for k in range(7):
        for file in ("a", "deep/b", "c"):
            write(tmp_path / "raw" / f"slide{k}" / f"{file}.png", texture(k, 64, 64))
    groups = []
    for split in ("train", "validation", "test"):
        tiles_of = read(tmp_path / "raw", tmp_path, split)
        counts = Counter(e["group"].decode() for e in tiles_of.values())
        assert set(counts.values()) == {3}
        groups.append(sorted(counts))
    assert sorted(sum(groups, [])) == [f"slide{k}" for k in range(7)]
    assert [len(names) for names in groups] == [5, 1, 1]


def test_a_split_folder_of_no_use_is_named(tmp_path, said):
    for k in range(3):
        write(tmp_path / "raw" / "train" / f"{k}.png", texture(k, 64, 64))
    write(tmp_path / "raw" / "val" / "a.png", texture(3, 64, 64))
    write(tmp_path / "raw" / "test" / "small.png", texture(4, 63, 64))
    counts = [len(read(tmp_path / "raw", tmp_path, s)) for s in ("train", "validation", "test")]
    assert counts == [2, 1, 1]
    assert [line for line in said.messages if "test folder" in line] == [
        f"no image in the test folder of {tmp_path / 'raw'} can be used: test is held out of train"
    ]


def test_a_folder_of_images_beside_labels_is_no_slide(tmp_path):
    for k in range(3):
        write(tmp_path / "raw" / "images" / f"{k}.png", texture(k, 64, 64))
        write(tmp_path / "raw" / "labels" / f"{k}.png", texture(k, 64, 64, channels=1))
    assert [len(read(tmp_path / "raw", tmp_path, s)) for s in ("train", "validation", "test")] == [1, 1, 1]


def test_a_stray_file_beside_split_folders_is_an_error(tmp_path):
    for name in ("train/a", "val/b", "c"):
        write(tmp_path / "raw" / f"{name}.png", texture(1, 64, 64))
    with pytest.raises(ValueError, match="every image lies in one. Received: .*c.png"):
        read(tmp_path / "raw", tmp_path)


def test_bit_depth_is_kept_where_it_is_asked_for(screenshots, tmp_path):
    deep = texture(9, dtype=np.uint16)
    write(screenshots / "deep.tif", deep)
    with pytest.raises(ValueError, match="deep.tif has 16-bit pixels.*Use tissue:bits=16"):
        read(screenshots, tmp_path)
    examples = read(screenshots, tmp_path, options="tile=64,bits=16")
    assert {e["image"].dtype for e in examples.values()} == {np.dtype(np.uint16)}
    np.testing.assert_array_equal(examples["deep.tif_y0064_x0000"]["image"], deep[64:128, :64])
    np.testing.assert_array_equal(examples["organ0.png_y0064_x0000"]["image"], texture(0)[64:128, :64])


def test_grey_sources_keep_one_channel(screenshots, tmp_path):
    write(screenshots / "grey.png", texture(9, channels=1))
    shapes = {name.split(".")[0]: e["image"].shape for name, e in read(screenshots, tmp_path).items()}
    assert shapes["grey"] == (64, 64, 1)
    assert shapes["organ0"] == (64, 64, 3)


def test_bad_sources_are_named_and_the_others_go_on(screenshots, tmp_path, said):
    whole = (screenshots / "organ0.png").read_bytes()
    (screenshots / "cut.png").write_bytes(whole[: len(whole) // 2])
    write(screenshots / "small.png", texture(0, 63, 250))
    write(screenshots / "glass.png", np.full((99, 99, 3), GLASS, np.uint8))
    tifffile.imwrite(screenshots / "float.tif", texture(0).astype(np.float32), photometric="rgb")
    assert len(read(screenshots, tmp_path)) == 96
    warnings = said.text
    for expected in (
        "cut.png: cannot be read",
        "small.png: 63x250 pixels are smaller than a tile of 64x64",
        "glass.png: all of its tiles are background",
        "float.tif: tissue has 8 or 16 bits. Received: float32",
        "96 examples prepared, 4 raw images skipped",
    ):
        assert expected in warnings


def test_a_source_that_turns_out_damaged_keeps_the_tiles_before_through_beam_too(screenshots, tmp_path, said):
    pytest.importorskip("tiffslide")
    pytest.importorskip("apache_beam")
    path = pyramid(screenshots / "scan.tif", texture(7), photometric="rgb")
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        start, size = page.dataoffsets[12], page.databytecounts[12]  # the first block of the fourth row
    data = bytearray(path.read_bytes())
    data[start : start + size] = bytes(size)
    path.write_bytes(data)
    tiles_of = {}
    for beam in ("off", "on"):
        examples = read(screenshots, tmp_path / beam, options=f"tile=64,stride=48,beam={beam}")
        tiles_of[beam] = {name: (e["group"], e["image"].tobytes()) for name, e in examples.items()}
        assert "scan.tif: damaged or truncated after row 144; the tiles above are kept" in said.text
        assert "tissue: 108 examples prepared, 1 raw images skipped" in said.messages
        said.clear()
    # Of the rows from 0, 48, 96 and 144, the last ends beyond row 192.
    assert len(tiles_of["off"]) == 6 * 16 + 3 * 4
    assert tiles_of["on"] == tiles_of["off"]


def test_too_few_sources_are_an_error(tmp_path):
    for name in ("a", "b"):
        write(tmp_path / "raw" / f"{name}.png", texture(1))
    write(tmp_path / "raw" / "c.png", texture(1, 63, 250))
    message = (
        "too few sources.* for a validation split. .*needs three.*Received: 2.* Skipped: .*c.png: 63x250 pixels are"
    )
    with pytest.raises(ValueError, match=message):
        read(tmp_path / "raw", tmp_path)


def test_no_images_are_an_error(tmp_path):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "slide.mrxs").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"images or slides \(.*\.svs.*Received: .*raw"):
        read(tmp_path / "raw", tmp_path)
    with pytest.raises(FileNotFoundError, match="`manual_dir` must name the folder"):
        read(tmp_path / "nowhere", tmp_path)


def test_an_interrupted_preparation_is_run_again(screenshots, tmp_path, monkeypatch):
    written = []

    def interrupted(tile):
        written.append(tile)
        if len(written) == 40:
            raise KeyboardInterrupt
        return background_fraction(tile)

    with monkeypatch.context() as patch:
        patch.setattr(slides, "background_fraction", interrupted)
        with pytest.raises(KeyboardInterrupt):
            read(screenshots, tmp_path)
    assert len(read(screenshots, tmp_path)) == 96


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_pyramid_is_read_in_regions(tmp_path, monkeypatch, dtype):
    pytest.importorskip("tiffslide")
    image = texture(0, 301, 203, dtype=dtype)
    path = pyramid(tmp_path / "slide.tif", image, photometric="rgb")
    monkeypatch.setattr(io, "read_pixels", None)  # which would load the slide whole
    whole = list(tiles(path, tile=50, stride=37))
    assert len(whole) == 7 * 5  # (301 - 50) // 37 + 1, (203 - 50) // 37 + 1
    half = list(tiles(path, tile=50, stride=37, level=1))
    assert [(y, x) for y, x, _ in half] == [(y, x) for y in (0, 37, 74) for x in (0, 37)]  # of 151x102
    for level, cut in ((image, whole), (image[::2, ::2], half)):
        for y, x, tile in cut:
            np.testing.assert_array_equal(tile, level[y : y + 50, x : x + 50])
    with pytest.raises(ValueError, match="has the levels 0 to 1. Received: level=2"):
        next(tiles(path, tile=50, stride=37, level=2))


def test_the_levels_of_an_aperio_slide(tmp_path):
    pytest.importorskip("tiffslide")
    path, image = tmp_path / "scan.svs", texture(0, 512, 384)
    for level, step, count in ((0, 1, 8 * 6), (1, 4, 2 * 1)):
        places = list(tiles(aperio(path, image), tile=64, stride=64, level=level))
        assert len(places) == count
        for y, x, tile in places:
            np.testing.assert_array_equal(tile, image[::step, ::step][y : y + 64, x : x + 64])


@pytest.mark.parametrize("channels", [1, 4])
def test_channels_of_a_fluorescence_slide_are_all_kept(tmp_path, channels):
    pytest.importorskip("tiffslide")
    image = texture(0, 130, 140, channels=channels, dtype=np.uint16)
    tifffile.imwrite(
        tmp_path / "a.tif", np.moveaxis(image, -1, 0), tile=(64, 64), photometric="minisblack", metadata={"axes": "CYX"}
    )
    (only,) = tiles(tmp_path / "a.tif", tile=128, stride=64)
    np.testing.assert_array_equal(only[2], image[:128, :128])


def test_alpha_of_a_colour_slide_is_dropped(tmp_path):
    pytest.importorskip("tiffslide")
    image = texture(0, 70, 70, channels=4)
    pyramid(tmp_path / "a.tif", image, photometric="rgb", extrasamples=["unassalpha"])
    ((_, _, tile),) = tiles(tmp_path / "a.tif", tile=64, stride=64)
    np.testing.assert_array_equal(tile, image[:64, :64, :3])


def test_slides_and_images_make_one_set(screenshots, tmp_path, said):
    pytest.importorskip("tiffslide")
    aperio(screenshots / "scan.svs", texture(7, 301, 203))
    data = (screenshots / "scan.svs").read_bytes()
    (screenshots / "cut.svs").write_bytes(data[: int(0.9 * len(data))])
    examples = read(screenshots, tmp_path)
    np.testing.assert_array_equal(examples["scan.svs_y0192_x0096"]["image"], texture(7, 301, 203)[192:256, 96:160])
    assert "cut.svs: damaged, truncated, or no slide" in said.text
    with pytest.raises(ValueError, match="for a train and a validation and a test split. .*Received: 0"):
        read(screenshots, tmp_path, options="tile=64,level=1")
    assert "organ0.png: has only level 0. Received: level=1" in said.text


def test_a_missing_reader_of_slides_is_named(screenshots, tmp_path, monkeypatch, said):
    monkeypatch.setattr(slides, "_has_tiffslide", lambda: False)
    pyramid(screenshots / "scan.svs", texture(7), photometric="rgb")
    pyramid(screenshots / "scan.tif", texture(7), photometric="rgb")  # an image like any other, then
    examples = read(screenshots, tmp_path)
    np.testing.assert_array_equal(examples["scan.tif_y0048_x0096"]["image"], texture(7)[48:112, 96:160])
    assert "scan.svs: Whole-slide files are read by tiffslide. Install it: pip install" in said.text
    (tmp_path / "slides").mkdir()
    (screenshots / "scan.svs").rename(tmp_path / "slides" / "scan.svs")
    with pytest.raises(ValueError, match=r"pip install 'msrgan\[slides\]'. Received: .*slides only"):
        read(tmp_path / "slides", tmp_path / "another")


def test_jpeg_compressed_slides_are_read_alike_by_both_ways(real_data, monkeypatch):
    pytest.importorskip("tiffslide")
    path = real_data / "openslide_he_ki67" / "original" / "OS-1-detail.ome.tif"
    by_region = list(tiles(path, tile=192, stride=192))
    assert len(by_region) == 25  # of 1101x1101
    monkeypatch.setattr(slides, "_has_tiffslide", lambda: False)
    for (*place, tile), (*other, expected) in zip(by_region, tiles(path, tile=192, stride=192), strict=True):
        assert place == other
        np.testing.assert_array_equal(tile, expected)


def test_real_tissue(real_data, tmp_path):
    folder = real_data / "openslide_he_ki67" / "tiles_512"
    examples = read(folder, tmp_path, options="")
    assert len({e["group"] for e in examples.values()}) == 20
    every = [tile for path in folder.glob("*.png") for _, _, tile in tiles(path, tile=192, stride=192)]
    glass = [tile for tile in every if background_fraction(tile) > 0.8]
    assert (len(every), len(glass), len(examples)) == (80, 6, 74)
    # Of little contrast, all of them: glass and no pale tissue.
    assert max(tile.std() for tile in glass) < min(e["image"].std() for e in examples.values())
    assert {e["image"].shape for e in examples.values()} == {(192, 192, 3)}
    name = "he_OS-1-detail_y0512_x0512.png"
    stored = cv2.imread(str(folder / name))[192:384, :192, ::-1]
    np.testing.assert_array_equal(examples[f"{name}_y0192_x0000"]["image"], stored)


def test_the_builder_tells_what_it_holds(tmp_path):
    builder = Tissue(tile=96, data_dir=tmp_path)
    assert "bio-atlas.psu.edu" in builder.info.citation
    assert "three sources" in Tissue.MANUAL_DOWNLOAD_INSTRUCTIONS
    assert builder.builder_config.description == "Tiles of 96x96 pixels, every 96 pixels."
    assert builder.info.description.startswith("Square tiles cut out of large images of tissue")
    assert isinstance(builder.info.features["image"], tfds.features.Image)


def test_a_tile_may_end_with_the_image(tmp_path):
    image = texture(0, 96, 64)
    places = [(y, x) for y, x, _ in tiles(write(tmp_path / "a.png", image), tile=32, stride=32)]
    assert places == [(y, x) for y in (0, 32, 64) for x in (0, 32)]
