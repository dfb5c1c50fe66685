import gzip

import cv2
import numpy as np
import pytest
import tensorflow as tf
import tifffile
from conftest import spots

from msrgan import datasets
from msrgan.datasets.cyto2017.builder import Cyto2017, merge
from msrgan.datasets.folder import class_names
from msrgan.datasets.localisation import LOCALISATIONS
from msrgan.datasets.splits import check_filled, hold_out, three_ways


def read(data, split, **arguments):
    return list(datasets.load(data, split, **arguments).as_numpy_iterator())


def ids(examples):
    return sorted(e["id"].decode() for e in examples)


def write(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image)


def test_hold_out_keeps_groups_and_classes():
    labels = [0] * 40 + [1] * 20
    groups = [f"well{k // 4}" for k in range(60)]
    held = hold_out(labels, groups, fraction=0.25)
    assert all(len({h for h, g in zip(held, groups, strict=True) if g == group}) == 1 for group in groups)
    assert (sum(held[:40]), sum(held[40:])) == (12, 4)
    assert held != hold_out(labels, groups, fraction=0.25, seed=1)


def test_hold_out_never_takes_a_whole_class():
    assert hold_out([0, 1, 1], ["a", "b", "c"], fraction=0.9) in ([False, True, False], [False, False, True])


def thirds(examples, named=lambda example: None):
    splits = three_ways(examples, label=lambda e: e[0], group=lambda e: e[1], named=named)
    assert sorted(sum(splits.values(), [])) == sorted(examples)
    return {name: len(part) for name, part in splits.items()}


def test_three_ways_are_70_15_and_15_percent_of_the_whole_and_of_each_class():
    examples = [(k % 2, f"well{k}") for k in range(200)]
    assert thirds(examples) == {"train": 140, "validation": 30, "test": 30}
    splits = three_ways(examples, label=lambda e: e[0], group=lambda e: e[1])
    assert {name: sum(label for label, _ in part) for name, part in splits.items()} == {
        "train": 70,
        "validation": 15,
        "test": 15,
    }
    assert splits["train"] == [e for e in examples if e in splits["train"]]


def test_three_ways_keep_the_splits_there_are():
    examples = [(0, f"{k}") for k in range(200)]

    def named(*names):  # of a fifth each, the others none
        return lambda example: dict(enumerate(names)).get(int(example[1]) % 5)

    assert thirds(examples, named("test")) == {"train": 136, "validation": 24, "test": 40}
    assert thirds(examples, named("test", "train")) == {"train": 136, "validation": 24, "test": 40}
    assert thirds(examples, named("validation")) == {"train": 136, "validation": 40, "test": 24}
    assert thirds(examples, named("validation", "test")) == {"train": 120, "validation": 40, "test": 40}
    splits = three_ways(examples, label=lambda e: 0, group=lambda e: e[1], named=named("validation", "test"))
    assert splits["test"] == examples[1::5]


def test_empty_splits_are_named():
    check_filled({"train": [1], "test": [2]}, "Too few", "Add some.")
    with pytest.raises(ValueError, match=r"^Too few for a train and a test split\. Add some\.$"):
        check_filled({"train": [], "validation": [1], "test": None}, "Too few", "Add some.")


def test_folder_splits_share_nothing_and_keep_the_balance(image_folder):
    train, validation = (read(image_folder, split, labels=True) for split in ("train", "validation"))
    assert not set(ids(train)) & set(ids(validation))
    assert ids(train + validation) == ids(read(image_folder, "all"))
    assert np.bincount([e["label"] for e in validation]).tolist() == [1, 1]
    assert class_names(image_folder) == ("disc", "stripes")


def test_folder_reads_what_is_stored(image_folder):
    example = next(e for e in read(image_folder, "all") if e["id"] == b"stripes/3.png")
    stored = cv2.imread(str(image_folder / "stripes" / "3.png"))[..., ::-1]
    np.testing.assert_array_equal(example["image"], stored)


def test_split_folders_are_used(tmp_path):
    for name in ("train/00_1.png", "train/00_2.png", "train/01_3.png", "val/01_4.png", "test/12_5.png"):
        write(tmp_path / name, spots(1, size=12))
    assert ids(read(tmp_path, "train")) == ["train/00_1.png", "train/00_2.png", "train/01_3.png"]
    assert ids(read(tmp_path, "validation")) == ["val/01_4.png"]
    (example,) = read(tmp_path, "test", labels=True)
    assert example["label"] == 12
    assert class_names(tmp_path) == LOCALISATIONS


def test_class_folders_beat_numbers_in_names(tmp_path):
    for name in ("disc/01_a.png", "stripes/02_b.png"):
        write(tmp_path / name, spots(1, size=12))
    assert class_names(tmp_path) == ("disc", "stripes")


def test_a_stray_file_beside_split_folders_is_an_error_of_training_only(tmp_path):
    for name in ("Train/a.png", "Train/b.png", "Test/c.png"):
        write(tmp_path / name, spots(1, size=12))
    assert ids(read(tmp_path, "test")) == ["Test/c.png"]
    write(tmp_path / "overview.png", spots(1, size=12))
    with pytest.raises(ValueError, match="every image lies in one. Received: .*overview.png"):
        datasets.load(tmp_path, "train")
    assert len(read(tmp_path, "all")) == 4


def test_one_folder_an_image_is_no_class_without_labels(tmp_path):
    for k in range(10):
        write(tmp_path / f"id{k}" / "images" / f"id{k}.png", spots(k, size=12))
        write(tmp_path / f"id{k}" / "masks" / "0.png", spots(k, size=12, channels=1))
    assert (len(read(tmp_path, "train")), len(read(tmp_path, "validation"))) == (8, 2)


def test_a_suffix_that_hides_the_bit_depth_is_an_error(tmp_path):
    write(tmp_path / "a.png", spots(1, size=12))
    tifffile.imwrite(tmp_path / "b.tif", np.full((12, 12), 4095, np.uint16))
    (tmp_path / "b.tif").rename(tmp_path / "b.bmp")
    with pytest.raises(tf.errors.OpError, match="which its suffix does not tell"):
        read(tmp_path, "all")


def test_label_maps_are_neither_images_nor_classes(tmp_path):
    for name in ("a.png", "b.png"):
        write(tmp_path / "plate" / "images" / name, spots(1, size=12))
        write(tmp_path / "plate" / "labels" / name, spots(2, size=12, channels=1))
    assert ids(read(tmp_path, "all")) == ["plate/images/a.png", "plate/images/b.png"]
    with pytest.raises(ValueError, match="only plate"):
        class_names(tmp_path)


def test_bit_depths_are_kept_and_mixed_by_value(tmp_path):
    eight = spots(1, size=12, channels=1)
    cv2.imwrite(str(tmp_path / "a.png"), eight)
    assert read(tmp_path, "all")[0]["image"].dtype == np.uint8
    tifffile.imwrite(tmp_path / "b.tif", np.full((12, 12), 4095, np.uint16))
    images = {e["id"]: e["image"] for e in read(tmp_path, "all")}
    assert images[b"a.png"].dtype == np.uint16
    np.testing.assert_array_equal(images[b"a.png"][..., 0], eight[..., 0])
    assert images[b"b.tif"].max() == 4095


def test_unreadable_files_are_named_and_skipped(image_folder, tmp_path, capfd):
    write(tmp_path / "good.png", spots(1, size=12))
    (tmp_path / "bad.png").write_bytes((image_folder / "disc" / "0.png").read_bytes()[:300])
    (tmp_path / "empty.tif").write_bytes(b"")
    tifffile.imwrite(tmp_path / "nan.tif", np.full((12, 12), np.nan, np.float32))
    for _ in range(2):
        assert ids(read(tmp_path, "all")) == ["good.png"]
    warnings = capfd.readouterr().err
    assert [warnings.count(f"/{name}: ") for name in ("bad.png", "empty.tif", "nan.tif")] == [1, 1, 1]
    assert "3 so far" in warnings


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["1.png", "a/2.png"], "Every image needs a class"),
        (["a/1.png", "a/2.png"], "two classes or more"),
    ],
)
def test_missing_classes_are_errors(tmp_path, files, message):
    for name in files:
        write(tmp_path / name, spots(1, size=12))
    with pytest.raises(ValueError, match=message):
        datasets.load(tmp_path, "train", labels=True)


def test_unknown_splits_are_errors(image_folder):
    with pytest.raises(ValueError, match="one of train, validation, test, all. Received: val"):
        datasets.load(image_folder, "val")


def test_a_set_without_labels_is_refused_before_it_is_prepared(tmp_path):
    with pytest.raises(ValueError, match="tissue has no labels"):
        datasets.class_names("tissue", data_dir=tmp_path)


def test_unknown_data_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="one of brain_tumor, .*, tissue. Received: nowhere"):
        datasets.load("nowhere", "train")
    with pytest.raises(ValueError, match="no images"):
        datasets.load(tmp_path, "train")


@pytest.mark.parametrize(
    ("data", "known"),
    [
        ("brain_tumor/256", "all, 512"),
        ("cyto2017/32bit", "8bit, 16bit"),
        ("hpa/32bit:level=1", "8bit, 16bit"),
        ("oct/foo", "patient, published"),
        ("simulated/none", "standard, small"),
        ("tissue/191", "disjoint, 192, 840"),
    ],
)
def test_an_unknown_configuration_is_an_error_that_lists_them(data, known, tmp_path):
    name = data.partition("/")[0]
    with pytest.raises(ValueError) as error:
        datasets.load(data, "train", data_dir=tmp_path)
    assert str(error.value) == f"A configuration of {name} is one of {known}. Received: {data}."


def test_a_folder_that_is_empty_holds_no_raw_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="--manual-dir must name the folder of its raw files. Received: .*raw"):
        (tmp_path / "raw").mkdir()
        datasets.load("oct", "train", manual_dir=tmp_path / "raw", data_dir=tmp_path / "tfds")


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ("simulated", "simulated"),
        ("simulated/small", "simulated/small"),
        ("hpa:beam=on", "hpa"),
        ("hpa:labels=all,level=none,seed=0", "hpa"),
        ("hpa/16bit:seed=7,beam=on,level=random", "hpa/16bit:level=random,seed=7"),
        ("hpa:level=3", "hpa:level=3"),
        ("tissue:bits=16,background=.50,tile=192", "tissue:background=0.5,bits=16"),
        ("tissue/840:stride=840,beam=off", "tissue/840:stride=840"),
        ("some/folder:tile=3", "some/folder:tile=3"),
    ],
)
def test_a_canonical_name_tells_what_is_read(data, name):
    assert datasets.canonical(data) == name
    assert datasets.canonical(name) == name


def test_a_canonical_name_has_options_that_there_are(tmp_path):
    assert datasets.canonical(tmp_path) == str(tmp_path)
    with pytest.raises(ValueError, match="An option of tissue is one of tile, .*Received: side"):
        datasets.canonical("tissue:side=3")


def cyto(raw, data_dir, split="all", config="8bit"):
    return read(f"cyto2017/{config}", split, manual_dir=raw, data_dir=data_dir)


def test_cyto2017_prepared_layout(tmp_path):
    for k in range(6):
        write(tmp_path / "raw" / "train" / f"0{k % 2}_{k}.png", spots(k, size=96))
    write(tmp_path / "raw" / "test" / "12_77.png", spots(7, size=96))
    test = cyto(tmp_path / "raw", tmp_path / "tfds", "test")
    assert [(e["id"], e["label"], e["group"]) for e in test] == [(b"12_77", 12, b"77")]
    np.testing.assert_array_equal(test[0]["image"][..., ::-1], spots(7, size=96))
    split = {s: ids(cyto(tmp_path / "raw", tmp_path / "tfds", s)) for s in ("train", "validation")}
    assert len(split["train"]) == 4
    assert {name[:2] for name in split["validation"]} == {"00", "01"}
    assert datasets.class_names("cyto2017", data_dir=tmp_path / "tfds") == LOCALISATIONS


def test_cyto2017_large_splits_hold_70_15_and_15_percent(tmp_path):
    for k in range(200):
        write(tmp_path / "raw" / f"0{k % 2}_{k}.png", spots(1, size=8))
    sizes = [len(cyto(tmp_path / "raw", tmp_path / "tfds", s)) for s in ("train", "validation", "test")]
    assert sizes == [140, 30, 30]


def test_cyto2017_split_folders_in_any_case(tmp_path, capfd):
    for k in range(6):
        write(tmp_path / "raw" / "Train" / f"00_{k}.png", spots(k, size=8))
    write(tmp_path / "raw" / "Test" / "00_7.png", spots(7, size=8))
    (tmp_path / "raw" / "Test" / "00_8.png").write_bytes(b"")
    assert ids(cyto(tmp_path / "raw", tmp_path / "tfds", "test")) == ["00_7"]
    assert "cyto2017: 7 examples prepared, 1 raw images skipped" in capfd.readouterr().err


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


def test_cyto2017_raw_layout(raw_channels, tmp_path, capfd):
    found = {e["id"]: e for e in cyto(raw_channels, tmp_path / "tfds", config="16bit")}
    assert {k: (e["label"], e["group"]) for k, e in found.items()} == {
        b"11_A1_1": (3, b"11"),
        b"11_A1_2": (3, b"11"),
        b"22_B2_1": (10, b"22"),
        b"33_C1_1": (3, b"33"),
        b"44_C1_1": (3, b"44"),
    }
    splits = [ids(cyto(raw_channels, tmp_path / "tfds", s, "16bit")) for s in ("train", "validation", "test")]
    assert sorted(sum(splits, [])) == sorted(k.decode() for k in found)
    assert any({"11_A1_1", "11_A1_2"} <= set(split) for split in splits)
    image = found[b"11_A1_2"]["image"]
    assert (image.shape, image.dtype) == ((96, 96, 3), np.uint16)
    for k in range(3):
        plane = spots(k, size=64, channels=1, dtype=np.uint16)[..., 0]
        resized = cv2.resize(plane, (96, 96), interpolation=cv2.INTER_CUBIC)
        # OpenCV rounds three channels by other code than one.
        np.testing.assert_allclose(image[..., k].astype(int), resized.astype(int), atol=1)
    assert "skipped 22_B2_9: no blue channel" in capfd.readouterr().err


def test_cyto2017_skips_damaged_files(raw_channels, tmp_path, capfd):
    packed = raw_channels / "11_A1_2_red.tif.gz"
    packed.write_bytes(packed.read_bytes()[:200])
    assert len(cyto(raw_channels, tmp_path / "tfds", config="16bit")) == 4
    assert "11_A1_2_red.tif.gz: cannot be unpacked" in capfd.readouterr().err


def test_cyto2017_asks_for_the_right_bit_depth(raw_channels, tmp_path):
    with pytest.raises(ValueError, match="Use --data cyto2017/16bit"):
        cyto(raw_channels, tmp_path / "tfds")


def test_cyto2017_names_bad_channels_and_rows_and_goes_on(raw_channels, tmp_path, capfd):
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
    found = cyto(raw_channels, tmp_path / "tfds", config="16bit")
    assert ids(found) == ["11_A1_1", "11_A1_2", "22_B2_1", "33_C1_2", "33_C1_3", "44_C1_1"]
    assert {e["label"] for e in found if e["group"] == b"11"} == {3}
    said = capfd.readouterr().err
    for message in (
        "skipped 55 (labels.csv, line 6): 'Lysosome' is none of the 13 classes",
        "skipped 66 (labels.csv, line 7): it has no class",
        "skipped 77 (labels.csv, line 8): '13' is none of the 13 classes",
        "skipped a row (labels.csv, line 11): it has no id",
        "skipped 11_A1_2 (labels.csv, line 12): its id 11 has another class before",
        "skipped 33 (labels.csv, line 13): more cells than columns, 5",
        "skipped 22_B2_9: no blue channel",
        "skipped 55_D1_1: its id 55 has no class in the table",
        f"skipped 33_C1_1: {raw_channels}/33_C1_1_green.tif is (48, 48) uint16, {raw_channels}/33_C1_1_red.tif is not",
        f"skipped 88_D1_1: {raw_channels}/88_D1_1_red.tif has uint8 pixels, others have uint16",
        "skipped 99 (labels.csv): it has no files",
        # Fields of 22, 33, 55, 66, 77 and 88, and the id without one.
        "cyto2017: 6 examples prepared, 7 raw images skipped",
    ):
        assert message in said, message


def test_cyto2017_names_prepared_images_of_no_class(tmp_path, capfd):
    for k in range(6):
        write(tmp_path / "raw" / "train" / f"00_{k}.png", spots(k, size=8))
    for name in ("train/13_9.png", "train/overview.png", "test/00_5.png"):
        write(tmp_path / "raw" / name, spots(7, size=8))
    (tmp_path / "raw" / "train" / "._00_5.png").write_bytes(b"what macOS leaves behind")
    assert len(cyto(tmp_path / "raw", tmp_path / "tfds")) == 6
    said = capfd.readouterr().err
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
    write(raw_channels / "13_9.png", spots(1, size=8))
    with pytest.raises(FileNotFoundError, match=r"CC_ID.png .* one CSV of id,label. .*0 CSV.*, but 13_9.png."):
        cyto(raw_channels, tmp_path / "tfds", config="16bit")
    with pytest.raises(FileNotFoundError, match="--manual-dir must name the folder of its raw files"):
        cyto(tmp_path / "nowhere", tmp_path / "tfds")


def test_cyto2017_needs_enough_for_three_splits(tmp_path):
    write(tmp_path / "raw" / "00_1.png", spots(1, size=96))
    with pytest.raises(ValueError, match="too few readable images for a validation and a test split"):
        cyto(tmp_path / "raw", tmp_path / "tfds")


def test_channels_of_different_size_are_named(tmp_path):
    paths = [tmp_path / f"1_A_1_{c}.tif" for c in ("red", "green", "blue")]
    for path, size in zip(paths, (20, 20, 24), strict=True):
        tifffile.imwrite(path, np.zeros((size, size), np.uint8))
    with pytest.raises(ValueError, match="1_A_1_blue.tif is .24, 24."):
        merge(paths)


def test_thesis_images_of_the_original_project(real_data, tmp_path):
    found = cyto(real_data / "cyto2017_msrgan_96px", tmp_path, "test")
    assert sorted(e["label"] for e in found) == [4, 7, 10, 11, 12]


def test_builders_tell_where_the_data_comes_from(tmp_path):
    info = Cyto2017(data_dir=tmp_path).info
    assert "thul2017subcellular" in info.citation
    assert "proteinatlas.org/about/licence" in info.redistribution_info.license
    assert "CC_ID.png" in Cyto2017.MANUAL_DOWNLOAD_INSTRUCTIONS
