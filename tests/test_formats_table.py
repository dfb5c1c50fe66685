"""What docs/formats.md promises, which docs/formats.py finds out."""

import importlib.util

import pytest
from conftest import ROOT

_SPEC = importlib.util.spec_from_file_location("formats_table", ROOT / "docs" / "formats.py")
formats = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(formats)


def test_the_document_has_the_table_of_the_script():
    assert formats.table() in (ROOT / "docs" / "formats.md").read_text()


@pytest.mark.parametrize("format", formats.WRITTEN)
def test_the_script_notices_what_is_lost(format, monkeypatch):
    monkeypatch.setattr(formats, "back", lambda image, _: None if image.stack else formats.plane("uint8"))
    assert not any(kept for trait, kept in formats.kept(format).items() if trait != "pixel size")
    assert formats.dtypes(format) == ["uint8"]
