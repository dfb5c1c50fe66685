"""Names of sets, their configurations and options, and what is said before anything is prepared."""

import pytest

from msrgan import datasets


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
    with pytest.raises(FileNotFoundError, match="`manual_dir` must name the folder of its raw files. Received: .*raw"):
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
