"""docs/models.md is what its script writes."""

import importlib.util

from conftest import ROOT

from msrgan import zoo


def test_the_page_is_that_of_the_cards():
    spec = importlib.util.spec_from_file_location("models_page", ROOT / "docs" / "models.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert (ROOT / "docs" / "models.md").read_text(encoding="utf-8") == script.page()


def test_every_model_has_a_picture():
    for name in zoo.NAMES:
        assert (ROOT / "docs" / "models" / f"{name}.png").stat().st_size > 10_000
