"""The CYTO 2017 challenge: prepared crops, and raw channels with a table."""

import gzip

import cv2
import numpy as np
import pytest
import tifffile
from conftest import ids, load_examples, spots, write_image

from msrgan import datasets
from msrgan.datasets.cyto2017.builder import Cyto2017
from msrgan.datasets.localisation import LOCALISATIONS


def cyto(raw, data_dir, split="all", config="8bit"):
    return load_examples(f"cyto2017/{config}", split, manual_dir=raw, data_dir=data_dir)


def test_cyto2017_prepared_layout(tmp_path):
    for k in range(6):
        write_image(tmp_path / "raw" / "train" / f"0{k % 2}_{k}.png", spots(k, size=96))
    write_image(tmp_path / "raw" / "test" / "12_77.png", spots(7, size=96))
    test = cyto(tmp_path / "raw", tmp_path / "tfds", "test")
    assert [(e["id"], e["label"], e["group"]) for e in test] == [(b"12_77", 12, b"77")]
    np.testing.assert_array_equal(test[0]["image"][..., ::-1], spots(7, size=96))
    split = {s: ids(cyto(tmp_path / "raw", tmp_path / "tfds", s)) for s in ("train", "validation")}
    assert len(split["train"]) == 4
    assert {name[:2] for name in split["validation"]} == {"00", "01"}
    assert datasets.class_names("cyto2017", data_dir=tmp_path / "tfds") == LOCALISATIONS


def test_cyto2017_large_splits_hold_70_15_and_15_percent(tmp_path):
    for k in range(200):
        write_image(tmp_path / "raw" / f"0{k % 2}_{k}.png", spots(1, size=8))
    sizes = [len(cyto(tmp_path / "raw", tmp_path / "tfds", s)) for s in ("train", "validation", "test")]
    assert sizes == [140, 30, 30]


def test_cyto2017_split_folders_in_any_case(tmp_path, said):
    for k in range(6):
        write_image(tmp_path / "raw" / "Train" / f"00_{k}.png", spots(k, size=8))
    write_image(tmp_path / "raw" / "Test" / "00_7.png", spots(7, size=8))
    (tmp_path / "raw" / "Test" / "00_8.png").write_bytes(b"")
    assert ids(cyto(tmp_path / "raw", tmp_path / "tfds", "test")) == ["00_7"]
    assert "cyto2017: 7 examples prepared, 1 raw images skipped" in said.text


@pytest.fixture
def raw_channels(tmp_path):
    """Four antibodies in 16 bits, the first with two fields; another field without its blue channel."""
    folder = tmp_path / "raw"
    folder.mkdir()
    for field in ("11_A1_1", "11_A1_2", "22_B2_1", "22_B2_9", "33_C1_1", "44_C1_1"):
        for k, colour in enumerate(("red", "green", "blue", "yellow")):
            plane = spots(k, size=64, channels=1, dtype=np.uint16)[..., 0]
            if (field, colour) != ("22_B2_9", "blue"):
                tifffile.imwrite(folder / f"{field}_{colour}.tif", plane)
    packed = folder / "11_A1_2_red.tif"
    (folder / "11_A1_2_red.tif.gz").write_bytes(gzip.compress(packed.read_bytes()))
    packed.unlink()
    (folder / "labels.csv").write_text("id,label\n11,Golgi apparatus\n22_B2,10\n33,3\n44,3\n")
    return folder


def test_cyto2017_raw_layout(raw_channels, tmp_path, said):
    examples = {e["id"]: e for e in cyto(raw_channels, tmp_path / "tfds", config="16bit")}
    assert {k: (e["label"], e["group"]) for k, e in examples.items()} == {
        b"11_A1_1": (3, b"11"),
        b"11_A1_2": (3, b"11"),
        b"22_B2_1": (10, b"22"),
        b"33_C1_1": (3, b"33"),
        b"44_C1_1": (3, b"44"),
    }
    splits = [ids(cyto(raw_channels, tmp_path / "tfds", s, "16bit")) for s in ("train", "validation", "test")]
    assert sorted(sum(splits, [])) == sorted(k.decode() for k in examples)
    assert any({"11_A1_1", "11_A1_2"} <= set(split) for split in splits)
    image = examples[b"11_A1_2"]["image"]
    assert (image.shape, image.dtype) == ((96, 96, 3), np.uint16)
    for k in range(3):
        plane = spots(k, size=64, channels=1, dtype=np.uint16)[..., 0]
        resized = cv2.resize(plane, (96, 96), interpolation=cv2.INTER_CUBIC)
        # OpenCV rounds three channels by other code than one.
        np.testing.assert_allclose(image[..., k].astype(int), resized.astype(int), atol=1)
    assert "skipped 22_B2_9: no blue channel" in said.text


def test_cyto2017_skips_damaged_files(raw_channels, tmp_path, said):
    packed = raw_channels / "11_A1_2_red.tif.gz"
    packed.write_bytes(packed.read_bytes()[:200])
    assert len(cyto(raw_channels, tmp_path / "tfds", config="16bit")) == 4
    assert "11_A1_2_red.tif.gz: cannot be unpacked" in said.text


def test_cyto2017_asks_for_the_right_bit_depth(raw_channels, tmp_path):
    with pytest.raises(ValueError, match="Use `data` cyto2017/16bit"):
        cyto(raw_channels, tmp_path / "tfds")


def test_cyto2017_names_bad_channels_and_rows_and_goes_on(raw_channels, tmp_path, said):
    def plane(field, colour, size, dtype):
        image = spots(1, size=size, channels=1, dtype=dtype)[..., 0]
        tifffile.imwrite(raw_channels / f"{field}_{colour}.tif", image)

    rows = ["id,label", "11,Golgi apparatus", "22_B2,10", "33,3", "44,3"]  # and no field is good but those of 11 and 22
    rows += ["55,Lysosome", "66", "77,13", "88,3", "99,5", ",5", "11_A1_2,4", "33,3,5"]
    (raw_channels / "labels.csv").write_text("\n".join(rows))
    for field in ("33_C1_2", "33_C1_3", "55_D1_1", "66_D1_1", "77_D1_1", "88_D1_1"):
        for colour in ("red", "green", "blue"):
            plane(field, colour, 64, np.uint16)
    plane("33_C1_1", "green", 48, np.uint16)
    for colour in ("red", "green", "blue"):
        plane("88_D1_1", colour, 64, np.uint8)
    examples = cyto(raw_channels, tmp_path / "tfds", config="16bit")
    assert ids(examples) == ["11_A1_1", "11_A1_2", "22_B2_1", "33_C1_2", "33_C1_3", "44_C1_1"]
    assert {e["label"] for e in examples if e["group"] == b"11"} == {3}
    said = said.text
    for message in (
        "skipped 55 (labels.csv, line 6): 'Lysosome' is none of the 13 classes",
        "skipped 66 (labels.csv, line 7): it has no class",
        "skipped 77 (labels.csv, line 8): '13' is none of the 13 classes",
        "skipped a row (labels.csv, line 11): it has no id",
        "skipped 11_A1_2 (labels.csv, line 12): its id 11 has another class before",
        "skipped 33 (labels.csv, line 13): more cells than columns, 5",
        "skipped 22_B2_9: no blue channel",
        "skipped 55_D1_1: its id 55 has no class in the table",
        f"skipped 33_C1_1: {raw_channels}/33_C1_1_green.tif is 48x48 uint16, 33_C1_1_red.tif is 64x64 uint16",
        f"skipped 88_D1_1: {raw_channels}/88_D1_1_red.tif has uint8 pixels, others have uint16",
        "skipped 99 (labels.csv): it has no files",
        # Fields of 22, 33, 55, 66, 77 and 88, and the id without one.
        "cyto2017: 6 examples prepared, 7 raw images skipped",
    ):
        assert message in said, message


def test_cyto2017_names_prepared_images_of_no_class(tmp_path, said):
    for k in range(6):
        write_image(tmp_path / "raw" / "train" / f"00_{k}.png", spots(k, size=8))
    for name in ("train/13_9.png", "train/overview.png", "test/00_5.png"):
        write_image(tmp_path / "raw" / name, spots(7, size=8))
    (tmp_path / "raw" / "train" / "._00_5.png").write_bytes(b"what macOS leaves behind")
    assert len(cyto(tmp_path / "raw", tmp_path / "tfds")) == 6
    said = said.text
    for name in ("13_9.png", "overview.png"):
        assert f"{name}: a prepared image is named CC_ID.png, CC its class from 00 to 12" in said
    assert f"train/00_5.png: has the name of {tmp_path}/raw/test/00_5.png" in said
    assert "cyto2017: 6 examples prepared, 3 raw images skipped" in said


def test_cyto2017_of_which_nothing_is_left_is_an_error(raw_channels, tmp_path):
    (raw_channels / "labels.csv").write_text("id,label\n11,Lysosome\n22\n")
    with pytest.raises(ValueError, match="no field with all of .*Skipped: 11 .labels.csv, line 2.: 'Lysosome' is none"):
        cyto(raw_channels, tmp_path / "tfds", config="16bit")
    (raw_channels / "labels.csv").write_text("id,class\n11,3\n")
    with pytest.raises(ValueError, match="labels.csv must have the columns id and label. Received: id, class."):
        cyto(raw_channels, tmp_path / "tfds", config="16bit")
    (raw_channels / "labels.csv").unlink()
    write_image(raw_channels / "13_9.png", spots(1, size=8))
    with pytest.raises(FileNotFoundError, match=r"CC_ID.png .* one CSV of id,label. .*0 CSV.*, but 13_9.png."):
        cyto(raw_channels, tmp_path / "tfds", config="16bit")
    with pytest.raises(FileNotFoundError, match="`manual_dir` must name the folder of its raw files"):
        cyto(tmp_path / "nowhere", tmp_path / "tfds")


def test_cyto2017_needs_enough_for_three_splits(tmp_path):
    write_image(tmp_path / "raw" / "00_1.png", spots(1, size=96))
    with pytest.raises(ValueError, match="too few readable images for a validation and a test split"):
        cyto(tmp_path / "raw", tmp_path / "tfds")


def test_thesis_images_of_the_original_project(real_data, tmp_path):
    examples = cyto(real_data / "cyto2017_msrgan_96px", tmp_path, "test")
    assert sorted(e["label"] for e in examples) == [4, 7, 10, 11, 12]


def test_a_field_and_its_packed_form_are_one(raw_channels, tmp_path):
    path = raw_channels / "33_C1_1_green.tif"
    path.with_name("33_C1_1_green.tif.gz").write_bytes(gzip.compress(path.read_bytes()))
    assert len(cyto(raw_channels, tmp_path / "tfds", config="16bit")) == 5


def test_the_builder_tells_where_the_data_comes_from(tmp_path):
    info = Cyto2017(data_dir=tmp_path).info
    assert info.description.startswith("Immunofluorescence fields of the Human Protein Atlas")
    assert "antibod" not in info.description  # nobody knows what the ids of the prepared crops number
    assert "thul2017subcellular" in info.citation
    assert "proteinatlas.org/about/licence" in info.redistribution_info.license
    assert "CC_ID.png" in Cyto2017.MANUAL_DOWNLOAD_INSTRUCTIONS
