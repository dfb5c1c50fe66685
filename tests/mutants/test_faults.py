"""The table of deliberate faults fits the code and the tests; `make mutants` tries them."""

import importlib.util

import pytest
from conftest import ROOT

_SPEC = importlib.util.spec_from_file_location("mutants", ROOT / "tests" / "mutants" / "run.py")
mutants = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(mutants)
FAULTS = mutants.faults()


@pytest.mark.parametrize("fault", FAULTS, ids=[fault["name"] for fault in FAULTS])
def test_a_fault_fits_its_file_and_names_tests(fault):
    text = (ROOT / fault["file"]).read_text()
    assert mutants.mutated(text, fault) != text
    assert mutants.tests_of(fault)


def test_names_are_unique():
    assert len({fault["name"] for fault in FAULTS}) == len(FAULTS)


@pytest.mark.parametrize(
    ("status", "printed", "outcome"),
    [
        (0, "1 passed", mutants.UNNOTICED),
        (1, "E       assert 1 == 2", mutants.NOTICED),
        (1, "E       ValueError: rule", mutants.NOTICED),
        (1, "E   ModuleNotFoundError: No module named 'msrgan'", mutants.BROKEN),
        (1, "E           NameError: name 'x' is not defined", mutants.BROKEN),
        (2, "1 error during collection", mutants.BROKEN),
        (4, "ERROR: not found: test_x.py::test_y", mutants.BROKEN),
        (5, "no tests ran", mutants.BROKEN),
    ],
)
def test_only_a_test_that_fails_notices(status, printed, outcome):
    assert mutants.judged(status, printed) == outcome
