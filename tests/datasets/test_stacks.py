"""Stacks in plain folders: each plane in Z and T is an image, and a file is a group."""

import csv
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
import tifffile
from conftest import binned, blocky, ids, load_examples, run_script, write_image

import msrgan
import train_srgan
from msrgan import datasets, io
from msrgan.apps import cli
from msrgan.data.survey import survey
from msrgan.datasets import files
from msrgan.datasets.folder import class_names
from msrgan.io import formats

zarr = pytest.importorskip("zarr")
RNG = np.random.default_rng(5)


def noise(*shape):
    """Smooth noise of 12 bits: blocks of 8x8 pixels, and a little of each pixel's own."""
    *stack, height, width = shape
    coarse = RNG.integers(200, 3000, (*stack, height // 8, width // 8)).repeat(8, -2).repeat(8, -1)
    return (coarse + RNG.integers(0, 300, shape)).astype(np.uint16)


def write_stack(path, pixels, axes="ZYX"):
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, pixels, photometric="minisblack", imagej=True, metadata={"axes": axes})
    return path


def write_pages(path, pages):
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, pages, photometric="minisblack", metadata=None)


def by_id(folder, split="all", **arguments):
    return {e["id"].decode(): e for e in load_examples(folder, split, **arguments)}


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """A folder of a hyperstack, an OME-TIFF of three channels and an OME-Zarr, and its planes by their ids."""
    folder = tmp_path_factory.mktemp("mixed")
    depths, times, sections = noise(3, 48, 56), noise(2, 3, 48, 48), noise(1, 2, 64, 48)
    write_stack(folder / "depths.tif", depths)
    (folder / "deep").mkdir()
    options = {"photometric": "minisblack", "compression": "zlib", "metadata": {"axes": "TCYX"}}
    tifffile.imwrite(folder / "deep" / "times.ome.tif", times, ome=True, **options)
    msrgan.write(folder / "sections.ome.zarr", msrgan.Image(sections, "TZYX"))
    # As readers of others see them.
    planes = {f"depths.tif[Z{k}]": tifffile.imread(folder / "depths.tif")[k][..., None] for k in range(3)}
    stored = tifffile.imread(folder / "deep" / "times.ome.tif")
    planes |= {f"deep/times.ome.tif[T{k}]": np.moveaxis(stored[k], 0, -1) for k in range(2)}
    finest = zarr.open_array(folder / "sections.ome.zarr" / "0", mode="r")[:].reshape(2, 64, 48)
    planes |= {f"sections.ome.zarr[Z{k}]": finest[k][..., None] for k in range(2)}
    return SimpleNamespace(folder=folder, planes=planes)


def test_planes_are_images_and_files_are_groups(mixed):
    examples = load_examples(mixed.folder, "all")
    assert ids(examples) == sorted(mixed.planes)
    for example in examples:
        name = example["id"].decode()
        assert example["image"].dtype == np.uint16
        np.testing.assert_array_equal(example["image"], mixed.planes[name])
        assert example["group"].decode() == name.partition("[")[0]


def test_planes_are_counted_and_hashed(mixed):
    surveyed = survey(datasets.load(mixed.folder, "all"))
    assert (len(surveyed.ids), surveyed.channels, min(surveyed.smallest[:2])) == (7, 3, 48)
    assert set(surveyed.hashes) == {io.content_hash(np.ascontiguousarray(plane)) for plane in mixed.planes.values()}
    assert len(set(surveyed.hashes)) == 7


def test_no_split_cuts_a_stack(tmp_path):
    for k in range(8):
        write_stack(tmp_path / f"{k}.tif", noise(3, 16, 16))
    groups = {}
    for split in ("train", "validation"):
        examples = load_examples(tmp_path, split)
        groups[split] = {example["group"].decode() for example in examples}
        assert len(examples) == 3 * len(groups[split])
    assert (len(groups["train"]), len(groups["validation"])) == (7, 1)
    assert not groups["train"] & groups["validation"]


def test_a_single_stack_cannot_be_split(tmp_path):
    write_stack(tmp_path / "a.tif", noise(5, 16, 16))
    with pytest.raises(ValueError, match="to hold some out for validation; the planes of a stack count as one"):
        datasets.load(tmp_path, "validation")


def test_planes_have_the_class_of_their_stack(tmp_path):
    for name in ("disc", "stripes"):
        for k in range(2):
            write_stack(tmp_path / name / f"{k}.tif", noise(2, 16, 16))
    assert class_names(tmp_path) == ("disc", "stripes")
    labels = {name: e["label"] for name, e in by_id(tmp_path, labels=True).items()}
    assert labels == {f"{c}/{k}.tif[Z{z}]": c == "stripes" for c in ("disc", "stripes") for k in (0, 1) for z in (0, 1)}


def test_told_axes_make_stacks_of_pages_and_arrays(tmp_path, said):
    pages = noise(3, 16, 24)
    write_pages(tmp_path / "pages.tif", pages)
    np.save(tmp_path / "array.npy", pages)
    assert io.list_images(tmp_path) == [tmp_path / "array.npy", tmp_path / "pages.tif"]
    with pytest.raises(ValueError, match="holds no images that can be opened"):
        datasets.load(tmp_path, "all")
    assert "pages are a stack or channels. Received: 3 pages without axes in" in said.text
    examples = by_id(tmp_path, axes="zyx")
    assert set(examples) == {f"{name}[Z{k}]" for name in ("pages.tif", "array.npy") for k in range(3)}
    for name, example in examples.items():
        np.testing.assert_array_equal(example["image"][..., 0], pages[int(name[-2])])
    with pytest.raises(ValueError, match="`axes` are Y, X and further letters"):
        datasets.load(tmp_path, "all", axes="ZQ")


def test_damaged_stacks_and_planes_are_named_and_the_others_stay(tmp_path, said):
    values = np.zeros((3, 12, 12), np.float32)
    values[1, 4, 5] = np.nan
    write_stack(tmp_path / "a.tif", values)
    cut = write_stack(tmp_path / "cut.tif", noise(3, 16, 16)).read_bytes()
    (tmp_path / "cut.tif").write_bytes(cut[:-700])
    write_image(tmp_path / "good.png", np.eye(12, dtype=np.uint8) * 9)
    (tmp_path / "empty.zarr").mkdir()
    for _ in range(2):
        assert ids(load_examples(tmp_path, "all")) == ["a.tif[Z0]", "a.tif[Z2]", "good.png"]
    assert said.text.count(f"skipped {tmp_path}/a.tif[Z1]: pixels must be finite. Received: 1 NaN") == 1
    for name in ("cut.tif", "empty.zarr"):
        assert sum(name in message for message in said.messages) == 1


def test_files_without_their_reader_are_named_and_the_others_stay(tmp_path, said, monkeypatch):
    monkeypatch.setitem(sys.modules, "bioio_czi", None)
    write_image(tmp_path / "good.png", np.eye(12, dtype=np.uint8))
    (tmp_path / "cells.czi").write_bytes(b"ZISRAWFILE" + bytes(100))
    assert ids(load_examples(tmp_path, "all")) == ["good.png"]
    assert f"skipped {tmp_path}/cells.czi: Such files need the package bioio-czi" in said.text


def test_a_stack_is_opened_once_while_it_is_read(tmp_path, monkeypatch):
    opened, read = [], formats.read
    monkeypatch.setattr(formats, "read", lambda path, **named: opened.append(path.name) or read(path, **named))
    stacks = [noise(3, 16, 16) for _ in range(files.OPEN + 1)]
    paths = [write_stack(tmp_path / f"{k}.tif", stack) for k, stack in enumerate(stacks)]
    reader = files.Files()
    for frame in range(3):
        for path, stack in list(zip(paths, stacks, strict=True))[:-1]:
            np.testing.assert_array_equal(reader.read(path, f"Z{frame}")[..., 0], stack[frame])
    assert opened == ["0.tif", "1.tif", "2.tif", "3.tif"]
    for path in (paths[-1], paths[1], paths[0]):  # the fifth takes the place of the first
        reader.read(path, "Z0")
    assert opened[files.OPEN :] == ["4.tif", "0.tif"]


def test_headers_are_read_once(tmp_path, monkeypatch):
    opened, read = [], formats.read
    monkeypatch.setattr(formats, "read", lambda path, **named: opened.append(path.name) or read(path, **named))
    for k in range(4):
        write_stack(tmp_path / f"{k}.tif", noise(2, 16, 16))
    for split in ("train", "validation", "all"):  # each lists the folder
        datasets.load(tmp_path, split)
        assert sorted(opened) == ["0.tif", "1.tif", "2.tif", "3.tif"]


def test_a_file_that_is_replaced_is_read_again(tmp_path):
    for count in (2, 3):
        write_stack(tmp_path / "a.tif", noise(count, 16, 16))
        assert ids(load_examples(tmp_path, "all")) == [f"a.tif[Z{k}]" for k in range(count)]


# Label maps


def write_images_and_maps(folder, stack, maps, **named):
    write_stack(folder / "images" / "a.tif", stack)
    write_stack(folder / "labels" / "a_mask.tif", maps, **named)


def test_label_maps_of_stacks_go_plane_by_plane(tmp_path):
    stack, maps = noise(3, 16, 24), RNG.integers(0, 9, (3, 16, 24)).astype(np.uint16)
    write_images_and_maps(tmp_path, stack, maps)
    write_pages(tmp_path / "images" / "told.tif", noise(3, 16, 24))
    write_pages(tmp_path / "labels" / "told.tif", maps[::-1])
    msrgan.write(tmp_path / "images" / "b.ome.zarr", msrgan.Image(stack, "ZYX"))
    msrgan.write(tmp_path / "masks" / "b.ome.zarr", msrgan.Image(maps, "ZYX"))
    examples = by_id(tmp_path, axes="ZYX")
    assert len(examples) == 9
    for k in range(3):
        np.testing.assert_array_equal(examples[f"images/a.tif[Z{k}]"]["mask"], maps[k])
        np.testing.assert_array_equal(examples[f"images/b.ome.zarr[Z{k}]"]["mask"], maps[k])
        np.testing.assert_array_equal(examples[f"images/told.tif[Z{k}]"]["mask"], maps[2 - k])


@pytest.mark.parametrize(
    ("count", "axes", "planes"), [(1, "ZYX", "one"), (2, "ZYX", "2, Z0 to Z1"), (3, "TYX", "3, T0 to T2")]
)
def test_label_maps_of_other_planes_are_refused_in_one_line(tmp_path, said, count, axes, planes):
    write_images_and_maps(tmp_path, noise(3, 16, 24), np.ones((count, 16, 24), np.uint16), axes=axes)
    examples = by_id(tmp_path)
    assert len(examples) == 3
    assert not any("mask" in example for example in examples.values())
    (line,) = said.messages
    assert line == (
        f"an image goes without its label map. {tmp_path}/labels/a_mask.tif: a label map has the planes of its stack, "
        f"3, Z0 to Z2. Received: {planes}"
    )


# Acquired pairs


def test_pairs_of_stacks_go_plane_by_plane(tmp_path):
    hr = np.stack([blocky(k)[..., 0] for k in range(3)])
    lr = np.stack([binned(plane)[..., 0] for plane in hr]).astype(np.uint16)
    write_stack(tmp_path / "hr" / "a.ome.tif", hr)
    write_stack(tmp_path / "lr" / "a.tif", lr)
    examples = by_id(tmp_path)
    assert set(examples) == {f"a.ome.tif[Z{k}]" for k in range(3)}
    for k in range(3):
        example = examples[f"a.ome.tif[Z{k}]"]
        np.testing.assert_array_equal(example["image"][..., 0], hr[k])
        np.testing.assert_array_equal(example["lr"][..., 0], lr[k])
        assert example["group"] == b"a.ome.tif"


def test_pairs_of_other_planes_are_an_error(tmp_path):
    write_stack(tmp_path / "hr" / "a.tif", noise(3, 32, 32))
    write_stack(tmp_path / "lr" / "a.tif", noise(2, 16, 16))
    with pytest.raises(ValueError) as error:
        datasets.load(tmp_path, "all")
    assert str(error.value) == (
        f"The images of a pair have the same planes. Received: 3, Z0 to Z2 in {tmp_path}/hr/a.tif, 2, Z0 to Z1 in "
        f"{tmp_path}/lr/a.tif."
    )


# Whole programs


def test_a_training_counts_planes_and_an_evaluation_scores_them(mixed, tmp_path, untraced):
    arguments = ["--data", mixed.folder, "--vgg", "none", "--filters", 4, "--blocks", 1, "--patch-size", 32]
    arguments += ["--batch-size", 2, "--pretrain-steps", 1, "--steps", 0]
    run_script(train_srgan.main, arguments, tmp_path / "run")
    trained = {example["id"].decode() for example in load_examples(mixed.folder, "train")}
    held_out = mixed.planes.keys() - trained
    assert len({name.partition("[")[0] for name in held_out}) == 1
    model = msrgan.load(tmp_path / "run")
    hashes = {io.content_hash(np.ascontiguousarray(mixed.planes[name]))[:16] for name in trained}
    assert {digits[:16] for digits in model.metadata["training_hashes"]} == hashes
    where = ["--data", str(mixed.folder), "--out", str(tmp_path / "scores")]
    assert cli.main(["evaluate", "--model", str(tmp_path / "run"), *where, "--degradation", "area"]) == 0
    with open(tmp_path / "scores" / "scores.csv", newline="") as file:
        scored = {row["id"]: row for row in csv.DictReader(file)}
    assert {name: row["seen_in_training"] for name, row in scored.items()} == {
        name: str(name in trained) for name in mixed.planes
    }
    assert {row["group"] for row in scored.values()} == {"depths.tif", "deep/times.ome.tif", "sections.ome.zarr"}
    for name in ("depths.tif[Z1]", "sections.ome.zarr[Z0]", "deep/times.ome.tif[T1]"):
        expected = bicubic_psnr(mixed.planes[name].astype(float))
        assert float(scored[name]["psnr_bicubic"]) == pytest.approx(expected, abs=2e-3)


def bicubic_psnr(plane):
    """PSNR of the means of 4x4 pixels, rounded, enlarged by TensorFlow's bicubic resize and rounded."""
    low, high = np.percentile(plane, (0.1, 99.9), axis=(0, 1))
    lr = binned(plane, 4).round()
    sr = tf.image.resize(lr, plane.shape[:2], "bicubic").numpy().round()
    return -10 * np.log10(np.mean(((sr - plane) / (high - low)) ** 2))
