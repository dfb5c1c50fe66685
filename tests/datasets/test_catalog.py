"""The catalogue of image sets, from both of its front ends."""

import os
import subprocess
import sys

import pytest

from msrgan import datasets
from msrgan.apps import cli
from msrgan.datasets import catalog


@pytest.fixture
def prepared(few_slices_prepared):
    """A folder of prepared sets that holds brain_tumor."""
    return few_slices_prepared


def test_the_command_prepares_a_set(few_slices, tmp_path, capsys):
    arguments = ["--prepare", "--manual-dir", str(few_slices), "--data-dir", str(tmp_path)]
    assert cli.main(["datasets", "brain_tumor", *arguments]) == 0
    assert capsys.readouterr().out.startswith(f"preparing brain_tumor in {tmp_path}/brain_tumor/all/1.0.0\n")
    assert list(catalog.prepared("brain_tumor", tmp_path)) == ["brain_tumor/all/1.0.0"]


def block(text, name):
    """The lines about one set."""
    return next(part for part in text.split("\n\n") if part.startswith(f"{name}\n"))


def test_prepared_copies_are_counted(prepared):
    assert catalog.prepared("brain_tumor", prepared) == {
        "brain_tumor/all/1.0.0": {"train": 3, "validation": 1, "test": 1}
    }
    assert catalog.prepared("simulated", prepared) == {}


def test_what_a_killed_preparation_leaves_is_not_counted(prepared, tmp_path):
    source = prepared / "brain_tumor" / "all"
    target = tmp_path / "brain_tumor" / "all"
    target.mkdir(parents=True)
    (target / "incomplete.ABC123_1.0.0").symlink_to(source / "1.0.0")
    assert catalog.prepared("brain_tumor", tmp_path) == {}
    (target / "1.0.0").symlink_to(source / "1.0.0")
    assert list(catalog.prepared("brain_tumor", tmp_path)) == ["brain_tumor/all/1.0.0"]


def test_the_overview_names_every_set_and_what_is_prepared(prepared, capsys):
    assert cli.main(["datasets", "--data-dir", str(prepared)]) == 0
    text = capsys.readouterr().out
    for name in datasets.BUILDERS:
        assert "licence  " in block(text, name)
        assert "cite  " in block(text, name)
    ours = " ".join(block(text, "brain_tumor").split())
    assert "brain_tumor/all (default), brain_tumor/512" in ours
    assert "https://doi.org/10.6084/m9.figshare.1512427" in ours
    assert f"prepared {prepared}/brain_tumor/all/1.0.0: train 3, validation 1, test 1" in ours
    assert f"not yet in {prepared}" in " ".join(block(text, "simulated").split())
    assert "none: it is made, not downloaded" in block(text, "simulated")
    assert "lr and hr" in text
    # A path may be longer than a line, and stays whole.
    assert [line for line in text.splitlines() if len(line) > 100 and str(prepared) not in line] == []


def test_a_set_is_described_in_full(prepared, capsys):
    assert cli.main(["datasets", "cyto2017/16bit", "--data-dir", str(prepared)]) == 0
    text = capsys.readouterr().out
    assert text.startswith("cyto2017\n")
    for part in ("13 protein localisations", "8-bit files", "CC_ID.png", "@article{thul2017subcellular", "/licence"):
        assert part in " ".join(text.split())


def test_options_are_shown_with_their_defaults(prepared, monkeypatch):
    monkeypatch.setattr(datasets.builder_class("cyto2017"), "OPTIONS", {"tile": 192, "sigma": (0.5, 2.0)})
    assert "options     cyto2017:tile=192,sigma=0.5..2 (the defaults)" in catalog.details("cyto2017", prepared)


def test_listing_writes_nothing(tmp_path):
    catalog.overview(tmp_path / "tfds")
    for name in datasets.BUILDERS:
        catalog.details(name, tmp_path / "tfds")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no_such_set"], "A registered set is one of brain_tumor, "),
        (["no_such_set", "--prepare"], "A registered set is one of brain_tumor, "),
        (["--prepare"], "--prepare needs the NAME of a set"),
        (["oct/foo"], "A configuration of oct is one of patient, published. Received: oct/foo"),
        (["oct/foo", "--prepare"], "A configuration of oct is one of patient, published. Received: oct/foo"),
        (["brain_tumor:tile=3"], "An option of brain_tumor is none. Received: tile"),
        (["brain_tumor:tile=3", "--prepare"], "An option of brain_tumor is none. Received: tile"),
        (["brain_tumor", "--prepare"], "must name the folder of its raw files"),
    ],
)
def test_mistakes_are_one_line(arguments, message, tmp_path, capsys):
    assert cli.main(["datasets", *arguments, "--data-dir", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert message in line


def test_a_data_dir_that_cannot_be_written_is_one_line(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert cli.main(["datasets", "simulated/small", "--prepare", "--data-dir", str(tmp_path / "file")]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert str(tmp_path / "file") in line


def test_the_package_is_a_command(prepared):
    command = [sys.executable, "-m", "msrgan.datasets", "--data-dir", str(prepared)]
    env = {key: value for key, value in os.environ.items() if key != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == catalog.overview(prepared) + "\n"
    assert all(block(done.stdout, name) for name in datasets.BUILDERS)
