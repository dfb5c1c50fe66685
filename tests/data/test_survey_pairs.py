"""Acquired pairs before training: sizes, channels, places."""

import json
import re

import cv2
import numpy as np
import pytest
from conftest import binned, blocky, make_pairs, write_pairs

import train_srgan
from msrgan import datasets, io
from msrgan.apps import cli
from msrgan.data.survey import check_pairs, survey


@pytest.fixture
def folder(tmp_path):
    write_pairs(tmp_path, make_pairs())
    return tmp_path


def test_sizes_and_channels_are_checked(folder, said):
    surveyed = survey(datasets.load(folder, "all"))
    check_pairs([surveyed], 2)
    assert said.messages == []
    with pytest.raises(ValueError, match="exactly 1/4 of the sides.* Received: 8 of 8 pairs .*. Use their `scale`"):
        check_pairs([surveyed, surveyed], 4)
    assert sorted(said.messages) == [
        f"the LR image is not 1/4 of the HR image: field{k}.png (16x16x1 of 32x32x1)" for k in range(8)
    ]
    said.clear()
    io.write_pixels(folder / "lr" / "field1.png", blocky(0)[:15, :16])
    io.write_pixels(folder / "lr" / "field2.png", np.dstack([blocky(k)[:16, :16] for k in range(3)]))
    with pytest.raises(ValueError, match="Received: 2 of 8 pairs") as error:
        check_pairs([survey(datasets.load(folder, "all"))], 2)
    assert "\n" not in str(error.value)
    assert {message.rpartition(": ")[2] for message in said.messages} == {
        "field1.png (15x16x1 of 32x32x1)",
        "field2.png (16x16x3 of 32x32x1)",
    }


def test_pairs_of_the_test_split_are_checked_before_training(tmp_path, capsys):
    for split, scale in (("train", 2), ("val", 2), ("test", 4)):
        write_pairs(tmp_path / "set" / split, make_pairs(2, scale=scale))
    arguments = ["--data", str(tmp_path / "set"), "--scale", "2", "--vgg", "none", "--patch-size", "16"]
    assert train_srgan.main([*arguments, "--out", str(tmp_path / "run")]) == 2
    assert "Received: 2 of 6 pairs that have not: test/field" in capsys.readouterr().err


def test_plain_sets_have_no_pairs_to_check(image_folder):
    check_pairs([survey(datasets.load(image_folder, "all"))], 4)


def test_the_fingerprint_counts_the_lr_images_too(folder):
    first = survey(datasets.load(folder, "all"))
    assert first.nbytes == 8 * 2 * (32 * 32 + 16 * 16)
    io.write_pixels(folder / "lr" / "field1.png", blocky(77)[:16, :16])
    second = survey(datasets.load(folder, "all"))
    assert first.hashes == second.hashes
    assert first.fingerprint != second.fingerprint


def test_displaced_pairs_are_named(tmp_path, capsys, said):
    large = cv2.GaussianBlur(blocky(3, size=160), (0, 0), 1.5)[..., None]
    pairs = {
        name: (binned(large[top : top + 128, :128], 4).astype("uint16"), large[4:132, :128])
        for name, top in (("good", 4), ("near", 5), ("bad", 7))
    }
    write_pairs(tmp_path, pairs)
    check_pairs([survey(datasets.load(tmp_path, "all"))], 4)
    (line,) = said.messages
    match = re.fullmatch(r"bad.png: the LR image is displaced by \((.*), \+0.00\) LR pixels .*", line)
    assert float(match.group(1)) == pytest.approx(-0.75, abs=0.1)

    out = tmp_path.parent / f"{tmp_path.name}-out"
    assert cli.main(["evaluate", "--model", "bicubic", "--data", str(tmp_path), "--out", str(out)]) == 0
    (warning,) = capsys.readouterr().err.splitlines()
    assert warning == f"msrgan: warning: {line}"
    summary = json.loads((out / "summary.json").read_text())
    assert summary["images"] == 3
    assert list(summary["displaced"]) == ["bad.png"]
    assert summary["displaced"]["bad.png"] == pytest.approx([-0.75, 0], abs=0.1)
    # Where the acquired image is not used, its place does not matter.
    assert (
        cli.main(["evaluate", "--model", "bicubic", "--data", str(tmp_path), "--out", str(out), "--degradation=area"])
        == 0
    )
    assert capsys.readouterr().err == ""
