"""The table of deliberate faults fits the code; `make mutants` tries them."""

import importlib.util

import pytest
from conftest import ROOT

_SPEC = importlib.util.spec_from_file_location("mutants", ROOT / "tests" / "mutants" / "run.py")
mutants = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(mutants)
FAULTS = mutants.faults()


@pytest.mark.parametrize("fault", FAULTS, ids=[fault["name"] for fault in FAULTS])
def test_a_fault_fits_its_file(fault):
    text = (ROOT / fault["file"]).read_text()
    assert mutants.mutated(text, fault) != text
    assert all((ROOT / test.partition("::")[0]).exists() for test in fault["tests"].split() if not test.startswith("-"))


def test_names_are_unique():
    assert len({fault["name"] for fault in FAULTS}) == len(FAULTS)
