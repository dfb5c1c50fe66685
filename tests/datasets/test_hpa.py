"""The Human Protein Atlas challenge: its files, its levels, its labels, and stage 1 on several labels an image."""

import csv
import shutil
import sys

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf
import tifffile
from conftest import spots, untrace

import train_vgg
from msrgan import datasets, io
from msrgan.datasets import atlas
from msrgan.datasets.atlas import COLOURS
from msrgan.datasets.hpa.builder import CLASSES, Hpa, parse_classes
from msrgan.datasets.hpa.levels import compose, random_level
from msrgan.datasets.splits import SPLITS

TARGETS = ["0", "0 25", "25", "7", "7", "0", "2 0", "25", "7 25", "2", "2", "0"]
IDS = [f"{k:08x}-bbc3-11e8" for k in range(len(TARGETS))]


def plane(k, colour, dtype=np.uint8):
    return spots(10 * k + COLOURS.index(colour), size=32, channels=1, dtype=dtype)[..., 0]


def write_table(folder, rows):
    (folder / "train.csv").write_text("Id,Target\n" + "".join(f"{name},{target}\n" for name, target in rows))


def write_channels(folder, name, k, dtype=np.uint8, suffix=".png"):
    for colour in COLOURS:
        write = cv2.imwrite if suffix == ".png" else tifffile.imwrite
        write(str(folder / f"{name}_{colour}{suffix}"), plane(k, colour, dtype))


def kaggle(folder, dtype=np.uint8, suffix=".png"):
    """Write twelve images as Kaggle packs them."""
    (folder / "train").mkdir(parents=True)
    for k, name in enumerate(IDS):
        write_channels(folder / "train", name, k, dtype, suffix)
    write_table(folder, zip(IDS, TARGETS, strict=True))
    (folder / "sample_submission.csv").write_text("Id,Predicted\n0,0\n")
    return folder


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    return kaggle(tmp_path_factory.mktemp("kaggle"))


@pytest.fixture(scope="module")
def prepared(raw, tmp_path_factory):
    """The folder of the prepared copy."""
    folder = tmp_path_factory.mktemp("tfds")
    read("hpa", "all", manual_dir=raw, data_dir=folder)
    return folder


def read(data, split="all", **where):
    return {e["id"].decode(): e for e in datasets.load(data, split, **where).as_numpy_iterator()}


def expected(k, dtype=np.uint8):
    return np.dstack([plane(k, colour, dtype) for colour in COLOURS])


def multi_hot(target):
    return [int(str(k) in target.split()) for k in range(28)]


# Reading the files


def test_four_channels_and_all_labels_as_stored(prepared):
    examples = read("hpa", data_dir=prepared)
    assert sorted(examples) == IDS
    for k, name in enumerate(IDS):
        np.testing.assert_array_equal(examples[name]["image"], expected(k))
        assert examples[name]["label"].tolist() == multi_hot(TARGETS[k])
        assert examples[name]["group"] == name.encode()
    assert examples[IDS[0]]["label"].dtype == np.int64
    spec = datasets.load("hpa", "all", data_dir=prepared).element_spec
    assert (spec["image"].shape.as_list(), spec["label"].shape.as_list()) == ([None, None, 4], [28])
    assert datasets.class_names("hpa", data_dir=prepared) == CLASSES
    assert (len(CLASSES), CLASSES[0], CLASSES[18], CLASSES[27]) == (
        28,
        "Nucleoplasm",
        "Microtubule organizing center",
        "Rods & rings",
    )


def test_splits_share_nothing_and_hold_out_every_class_of_two(prepared):
    parts = [read("hpa", split, data_dir=prepared) for split in ("train", "validation", "test")]
    assert sorted(sum((list(part) for part in parts), [])) == IDS
    # Rarest classes of the images: 0 and 2 and 25 and 7, of two images or more each.
    assert [len(part) for part in parts] == [4, 4, 4]


def test_large_splits_hold_70_15_and_15_percent(tmp_path):
    for k in range(100):
        for colour in COLOURS:
            cv2.imwrite(str(tmp_path / f"{k}_{colour}.png"), np.full((4, 4), k, np.uint8))
    write_table(tmp_path, ((k, "0") for k in range(100)))
    parts = [read("hpa", split, manual_dir=tmp_path, data_dir=tmp_path / "tfds") for split in SPLITS]
    assert [len(part) for part in parts] == [70, 15, 15]


def test_16_bit_tiff_keeps_its_depth(tmp_path):
    folder = kaggle(tmp_path / "raw", np.uint16, ".tif")
    (folder / "train" / f"{IDS[3]}_red.tif").rename(folder / f"{IDS[3]}_red.TIFF")  # another folder, another name
    examples = read("hpa/16bit:level=4", manual_dir=folder, data_dir=tmp_path / "tfds")
    assert sorted(examples) == IDS
    assert examples[IDS[3]]["image"].dtype == np.uint16
    raw = read("hpa/16bit", data_dir=tmp_path / "tfds")
    np.testing.assert_array_equal(raw[IDS[3]]["image"], expected(3, np.uint16))
    with pytest.raises(ValueError, match="_red.tif has uint16 pixels, .* Use `data` hpa/16bit"):
        read("hpa", manual_dir=folder, data_dir=tmp_path / "tfds")


def test_grey_files_stored_as_colour_and_names_instead_of_numbers(raw, tmp_path):
    folder = kaggle(tmp_path / "raw")
    path = folder / "train" / f"{IDS[5]}_green.png"
    cv2.imwrite(str(path), np.dstack([plane(5, "green")] * 3))
    rows = list(zip(IDS, TARGETS, strict=True))
    rows[5] = IDS[5], "Rods & rings|Nuclear membrane"
    write_table(folder, rows)
    example = read("hpa", manual_dir=folder, data_dir=tmp_path / "tfds")[IDS[5]]
    np.testing.assert_array_equal(example["image"], expected(5))
    assert np.flatnonzero(example["label"]).tolist() == [1, 27]


@pytest.mark.parametrize(
    ("target", "classes"),
    [("16 0", (0, 16)), ("0|5", (0, 5)), ("Nuclear membrane", (1,)), ("Cytosol; 0 ;0", (0, 25)), (" 27 ", (27,))],
)
def test_targets(target, classes):
    assert parse_classes(target) == classes


@pytest.mark.parametrize("target", ["28", "-1", "3 x", "Nuclear", "1.0", "Cytosol|"])
def test_unknown_targets(target):
    with pytest.raises(ValueError, match="none of the 28 classes"):
        parse_classes(target)


# Levels


# R, G, B, Y of five pixels; the sums of the last two saturate.
PIXELS = np.array([[1, 2, 3, 0], [10, 20, 30, 4], [0, 0, 0, 255], [200, 100, 50, 100], [255, 255, 255, 255]])
COMPOSED = {
    1: [[1, 0, 0], [10, 0, 0], [0, 0, 0], [200, 0, 0], [255, 0, 0]],
    2: [[1, 0, 3], [10, 0, 30], [0, 0, 0], [200, 0, 50], [255, 0, 255]],
    3: [[1, 2, 3], [10, 20, 30], [0, 0, 0], [200, 100, 50], [255, 255, 255]],
    4: [[1, 2, 3], [14, 24, 30], [255, 255, 0], [255, 200, 50], [255, 255, 255]],
}


@pytest.mark.parametrize("level", COMPOSED)
@pytest.mark.parametrize(("dtype", "unit"), [(np.uint8, 1), (np.uint16, 257)])
def test_levels_by_hand(level, dtype, unit):
    image = (PIXELS * unit).astype(dtype)[None]
    by_hand = np.array(COMPOSED[level])[None] * unit
    for result in (compose(image, level), compose(image, tf.constant(level, tf.int64))):
        assert result.dtype == dtype
        np.testing.assert_array_equal(result, by_hand)
    mapped = tf.data.Dataset.from_tensors(image).map(lambda i: compose(i, level))
    assert mapped.element_spec.shape == (1, 5, 3)
    np.testing.assert_array_equal(next(iter(mapped)), by_hand)


def test_levels_are_made_on_reading_of_one_prepared_copy(prepared):
    for level in (1, 2, 3, 4):
        examples = read(f"hpa:level={level}", data_dir=prepared)
        for k, name in enumerate(IDS):
            np.testing.assert_array_equal(examples[name]["image"], compose(expected(k), level))
    assert len(list(prepared.rglob("*train.tfrecord*"))) == 1


def test_random_levels_are_a_pure_function_of_seed_and_id(prepared):
    drawn = {seed: [int(random_level(name, seed)) for name in IDS] for seed in (0, 1)}
    assert drawn[0] != drawn[1]
    assert set(drawn[0] + drawn[1]) == {1, 2, 3, 4}
    for split in ("all", "train"):
        for name, example in read("hpa:level=random,seed=1", split, data_dir=prepared).items():
            k = IDS.index(name)
            np.testing.assert_array_equal(example["image"], compose(expected(k), drawn[1][k]))
    many = [int(random_level(f"{k}", 7)) for k in range(1000)]
    assert np.bincount(many)[1:].min() > 200


def test_a_single_label_is_a_number(prepared):
    examples = read("hpa:labels=single,level=3", data_dir=prepared)
    assert {name: e["label"] for name, e in examples.items()} == {
        name: int(target) for name, target in zip(IDS, TARGETS, strict=True) if " " not in target
    }
    spec = datasets.load("hpa:labels=single", "train", data_dir=prepared).element_spec
    assert spec["label"].shape.rank == 0


def test_supervised_batches_of_tfds(prepared):
    builder = Hpa(data_dir=prepared, level="3")
    image, label = next(iter(builder.as_dataset(split="train", as_supervised=True, batch_size=2)))
    assert (image.shape, label.shape) == ((2, 32, 32, 3), (2, 28))
    assert builder.as_dataset(split="test", batch_size=-1)["image"].shape == (4, 32, 32, 3)
    parts = builder.as_dataset(batch_size=3)
    assert {name: len(list(part)) for name, part in parts.items()} == dict.fromkeys(SPLITS, 2)
    assert [len(list(part)) for part in builder.as_dataset(split=["test", "train"])] == [4, 4]


@pytest.mark.parametrize("option", ["level=5", "labels=some", "beam=maybe"])
def test_options_have_known_values(option, prepared):
    with pytest.raises(ValueError, match=f"option {option.split('=')[0]} .*Received: {option.split('=')[1]}"):
        read(f"hpa:{option}", data_dir=prepared)


# Bad input


@pytest.mark.parametrize("seed", [2**31, -(2**31), 10**30])
def test_whole_numbers_have_a_limit(seed, prepared):
    with pytest.raises(ValueError, match=f"hpa:seed lies between -2147483647 and 2147483647. Received: {seed}"):
        read(f"hpa:level=random,seed={seed}", data_dir=prepared)
    assert len(read("hpa:level=random,seed=2147483647", "test", data_dir=prepared)) == 4


def test_bad_images_are_named_and_the_others_go_on(tmp_path, said):
    folder = kaggle(tmp_path / "raw")
    train = folder / "train"
    (train / f"{IDS[0]}_blue.png").unlink()
    cv2.imwrite(str(train / f"{IDS[1]}_yellow.png"), np.zeros((16, 32), np.uint8))
    cv2.imwrite(str(train / f"{IDS[2]}_green.png"), np.zeros((32, 32), np.uint16))
    path = train / f"{IDS[3]}_red.png"
    path.write_bytes(path.read_bytes()[:100])
    cv2.imwrite(str(train / f"{IDS[4]}_red.png"), spots(1, size=32))
    shutil.copy(train / f"{IDS[9]}_red.png", folder)
    for name in ("extra_red.png", "extra_blue.png"):
        cv2.imwrite(str(train / name), plane(0, "red"))
    rows = [[name, target] for name, target in zip(IDS, TARGETS, strict=True)]
    rows[5][1], rows[6][1], rows[7][1] = "28", "Lysosome", ""
    good = [f"good{k}" for k in range(6)]
    for name in good:
        write_channels(train, name, 0)
    write_table(folder, [*rows, ("absent", "3"), (IDS[8], "2"), *((name, "0") for name in good)])
    examples = read("hpa", manual_dir=folder, data_dir=tmp_path / "tfds")
    assert sorted(examples) == [IDS[8], *IDS[10:], *good]
    err = said.text
    for message in (
        f"skipped {IDS[0]}: no blue channel",
        f"skipped {IDS[9]}: more than one red channel: {folder}/{IDS[9]}_red.png and {train}/{IDS[9]}_red.png",
        f"{IDS[1]}_yellow.png is 16x32 uint8, {IDS[1]}_red.png is 32x32 uint8. Channels must match",
        f"{IDS[2]}_green.png is 32x32 uint16, {IDS[2]}_red.png is 32x32 uint8",
        f"{IDS[3]}_red.png: cannot be read as an image",
        f"{IDS[4]}_red.png has 3 different planes. A channel is one grey image",
        f"{IDS[5]} (train.csv, line 7): '28' is none of the 28 classes",
        f"{IDS[6]} (train.csv, line 8): 'Lysosome' is none of the 28 classes",
        f"{IDS[7]} (train.csv, line 9): it has no class",
        f"{IDS[8]} (train.csv, line 15): its id {IDS[8]} has another class before",
        "skipped absent (train.csv): it has no files",
        "skipped extra: its id extra has no class in the table",
        "hpa: 9 examples prepared, 11 raw images skipped",  # a row that repeats an id is no image
    ):
        assert message in err, message


def table_of(text):
    return lambda folder: (folder / "train.csv").write_bytes(text)


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (table_of(b"id,label\n1,2\n"), ValueError, "must have the columns Id and Target. Received: id, label"),
        (table_of(b""), ValueError, "must have the columns Id and Target"),
        (table_of(b"Id,Target\n\xff\xfe,3\n"), ValueError, "train.csv cannot be read as a table"),
        (table_of(b"Id,Target\nother,3\n"), ValueError, "no field with all of red, green, blue, yellow"),
        (lambda folder: (folder / "train.csv").unlink(), FileNotFoundError, "must hold one train.csv of Id,Target"),
    ],
)
def test_a_wrong_tree_is_an_error_of_one_line(spoil, error, message, tmp_path):
    folder = kaggle(tmp_path / "raw")
    spoil(folder)
    with pytest.raises(error, match=message) as raised:
        read("hpa", manual_dir=folder, data_dir=tmp_path / "tfds")
    assert "\n" not in str(raised.value)


def test_a_split_without_a_readable_image_is_an_error_before_the_work(tmp_path):
    folder = kaggle(tmp_path / "raw")
    write_table(folder, [(IDS[0], "0"), (IDS[1], "0"), (IDS[2], "99")])
    path = folder / "train" / f"{IDS[1]}_red.png"
    for name in IDS[:2]:
        (folder / "train" / f"{name}_red.png").write_bytes(b"")
    with pytest.raises(ValueError, match="too few readable images for a train and a validation") as error:
        read("hpa", manual_dir=folder, data_dir=tmp_path / "tfds")
    for reason in (f"{path}: cannot be read as an image (empty file)", f"{IDS[2]} (train.csv, line 4): '99' is none"):
        assert reason in str(error.value)


def test_rows_that_do_not_fit_the_columns_are_named(tmp_path, said):
    folder = kaggle(tmp_path / "raw")
    rows = [f"{target},{name}" for name, target in zip(IDS, TARGETS, strict=True)]
    rows[0], rows[1], rows[2], rows[3] = "0", f"0,{IDS[1]},25, 7", f"25,{IDS[2]},,", f",{IDS[3]}"
    (folder / "train.csv").write_text("\n".join(["Target,Id", *rows, ""]))
    assert sorted(read("hpa", manual_dir=folder, data_dir=tmp_path / "tfds")) == [IDS[2], *IDS[4:]]
    (folder / "train.csv").write_text(f"Id,Target\n{IDS[0]},0,25\n{IDS[1]}\n")
    with pytest.raises(ValueError, match="no field with all of") as error:
        read("hpa", manual_dir=folder, data_dir=tmp_path / "again")
    err = said.text
    for message in (
        "skipped a row (train.csv, line 2): it has no id",
        f"skipped {IDS[1]} (train.csv, line 3): more cells than columns, 25,  7. Several classes",
        f"skipped {IDS[3]} (train.csv, line 5): it has no class",
        "hpa: 9 examples prepared, 3 raw images skipped",  # the first, whose row has no id, too
        f"skipped {IDS[0]} (train.csv, line 2): more cells than columns, 25. Several classes",
        f"skipped {IDS[1]} (train.csv, line 3): it has no class",
    ):
        assert message in err, message
    assert f"Received: 12 fields, 2 ids in the table. Skipped: {IDS[0]} (train.csv, line 2): more" in str(error.value)


def test_an_interrupted_preparation_is_run_again(raw, prepared, tmp_path, monkeypatch):
    plain, calls = atlas.merge, []

    def interrupted(paths):
        calls.append(paths)
        if len(calls) == 8:
            raise KeyboardInterrupt
        return plain(paths)

    monkeypatch.setattr(atlas, "merge", interrupted)
    with pytest.raises(KeyboardInterrupt):
        read("hpa", manual_dir=raw, data_dir=tmp_path)
    assert not list(tmp_path.rglob("*.tfrecord*"))
    examples = read("hpa", manual_dir=raw, data_dir=tmp_path)
    whole = read("hpa", data_dir=prepared)
    assert list(examples) == list(whole)
    np.testing.assert_array_equal(examples[IDS[0]]["image"], whole[IDS[0]]["image"])


# Apache Beam


def test_beam_prepares_the_same_set_and_counts_what_it_skips(raw, prepared, tmp_path, said):
    pytest.importorskip("apache_beam")
    shutil.copytree(raw, tmp_path / "raw")
    (tmp_path / "raw" / "train" / f"{IDS[0]}_red.png").write_bytes(b"")
    for split in SPLITS:
        of_beam = read("hpa:beam=on", split, manual_dir=tmp_path / "raw", data_dir=tmp_path / "tfds")
        whole = {name: example for name, example in read("hpa", split, data_dir=prepared).items() if name != IDS[0]}
        assert list(of_beam) == list(whole)
        for name in whole:
            np.testing.assert_array_equal(of_beam[name]["image"], whole[name]["image"])
            np.testing.assert_array_equal(of_beam[name]["label"], whole[name]["label"])
    assert "12 raw images go through Apache Beam, which shows no progress" in said.messages
    assert said.text.count(f"skipped {IDS[0]}: ") == 1
    assert "hpa: 11 examples prepared, 1 raw images skipped" in said.messages


def test_a_missing_beam_is_named_before_the_work(raw, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(ValueError, match=r"pip install 'msrgan\[beam\]'"):
        read("hpa:beam=on", manual_dir=raw, data_dir=tmp_path)


# Stage 1


def train(data, raw, prepared, out):
    arguments = ["--data", data, "--manual-dir", raw, "--data-dir", prepared, "--out", out, "--width", 1 / 32]
    arguments += ["--image-size", 32, "--epochs", 1, "--batch-size", 4]
    with pytest.MonkeyPatch.context() as patch:
        untrace(patch)
        assert train_vgg.main([str(a) for a in arguments]) == 0
    with open(out / "per_class.csv", newline="") as file, open(out / "history.csv", newline="") as log:
        return list(csv.DictReader(file)), list(csv.DictReader(log))


@pytest.fixture(scope="module")
def run(raw, prepared, tmp_path_factory):
    """The folder of a run on all labels, its scores by class and its history."""
    folder = tmp_path_factory.mktemp("run") / "vgg"
    return folder, *train("hpa", raw, prepared, folder)


def test_stage_1_on_several_labels_an_image(run, prepared):
    folder, scores, history = run
    assert [row["class"] for row in scores] == list(CLASSES)
    validation = read("hpa", "validation", data_dir=prepared)
    truth = np.stack([e["label"] for e in validation.values()])
    assert [int(row["images"]) for row in scores] == truth.sum(axis=0).tolist()
    (row,) = history
    assert {"loss", "accuracy", "val_loss", "val_accuracy", "val_macro_f1"} <= set(row)
    assert 0.2 < float(row["val_loss"]) < 2  # about log 2 a class, not 28 times that

    network = keras.saving.load_model(folder / "vgg.keras")
    assert (network.input_shape, network.output_shape) == ((None, 32, 32, 4), (None, 28))
    assert cv2.imread(str(folder / "scores.png")).shape[2] == 3


def test_a_run_that_prepares_its_set_starts_with_the_same_weights(run, raw, tmp_path, capfd):
    _, _, before = run
    _, preparing = train("hpa", raw, tmp_path / "tfds", tmp_path / "vgg")
    assert before == preparing
    printed = capfd.readouterr().out
    assert "4 channels, 28 classes" in printed
    assert "share of right decisions" in printed
    assert "scores.png" in printed


def test_stage_1_on_the_images_of_one_label(raw, prepared, tmp_path):
    scores, _ = train("hpa:labels=single,level=3", raw, prepared, tmp_path / "vgg")
    held = read("hpa:labels=single", "validation", data_dir=prepared)
    count = np.bincount([e["label"] for e in held.values()], minlength=28)
    assert [int(row["images"]) for row in scores] == count.tolist()
    assert keras.saving.load_model(tmp_path / "vgg" / "vgg.keras").input_shape == (None, 32, 32, 3)
    assert (tmp_path / "vgg" / "confusion.png").exists()


def test_a_real_field_in_four_levels(real_data):
    folder = real_data / "hpa_if_fields" / "fields_8bit"
    channels = [io.read_pixels(folder / f"57_F11_1_{colour}.png") for colour in COLOURS]
    image = atlas.merge(tuple(folder / f"57_F11_1_{colour}.png" for colour in COLOURS))
    red, green, blue, yellow = (c[..., 0].astype(int) for c in channels)
    assert image.shape == (1728, 1728, 4)
    by_hand = np.dstack([red + yellow, green + yellow, blue])
    np.testing.assert_array_equal(compose(image, 4), np.minimum(by_hand, 255))
    np.testing.assert_array_equal(compose(image, 2), np.dstack([red, 0 * green, blue]))
