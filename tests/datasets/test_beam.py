"""Making examples one after the other, or through Apache Beam."""

import sys

import pytest
import tensorflow_datasets as tfds

from msrgan.datasets import beam
from msrgan.datasets.records import Record

RECORDS = [Record(name, name) for name in "abc"]


def read(record):
    """Two examples a record; the second of b cannot be read."""
    yield f"{record.id}1", {}
    if record.id == "b":
        raise ValueError("b.png: damaged")
    yield f"{record.id}2", {}


def test_examples_without_beam_are_made_one_after_the_other():
    skipped = []
    made = beam.examples(RECORDS, read, skip=skipped.append)
    assert next(made) == ("a1", {})
    assert skipped == []
    assert [key for key, _ in made] == ["a2", "b1", "c1", "c2"]
    assert skipped == ["b: b.png: damaged"]


def test_beam_counts_what_it_skips():
    apache_beam = pytest.importorskip("apache_beam")
    from apache_beam.testing.util import assert_that, equal_to

    config = beam.in_process(None)
    pipeline = apache_beam.Pipeline(config.beam_runner, config.beam_options)
    made = pipeline | beam.examples(RECORDS, read, skip=str, beam=True)
    assert_that(made, equal_to([(key, {}) for key in ("a1", "a2", "b1", "c1", "c2")]))
    assert beam.skipped(pipeline.run()) == 1


def test_beam_runs_in_this_process_unless_a_runner_is_named(monkeypatch):
    pytest.importorskip("apache_beam")
    monkeypatch.setattr(sys, "argv", ["train_vgg.py", "--direct_num_workers=9", "--data", "hpa:beam=on"])
    config = beam.in_process(tfds.download.DownloadConfig(manual_dir="raw"))
    assert (type(config.beam_runner).__name__, config.manual_dir) == ("FnApiRunner", "raw")
    assert config.beam_options.get_all_options()["direct_num_workers"] == 1
    assert beam.in_process(tfds.download.DownloadConfig(beam_runner="DataflowRunner")).beam_runner == "DataflowRunner"


def test_a_missing_beam_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(ValueError, match=r"needs Apache Beam. Install it: pip install 'msrgan\[beam\]'"):
        beam.examples(RECORDS, read, skip=str, beam=True)


@pytest.mark.parametrize("option", ["yes", "", "ON"])
def test_the_option_is_on_or_off(option):
    assert (beam.is_on("on"), beam.is_on("off")) == (True, False)
    with pytest.raises(ValueError, match=f"beam is on or off. Received: {option}."):
        beam.is_on(option)
