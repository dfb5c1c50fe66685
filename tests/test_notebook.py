"""The notebook of examples/, run from its first cell to its last."""

import os

import pytest
from conftest import ROOT


@pytest.mark.long
def test_first_upscale_runs(tmp_path, monkeypatch):
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    # The kernel is another process: its warnings are not this test's.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    notebook = nbformat.read(ROOT / "examples" / "first_upscale.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") for cell in notebook.cells)  # none are kept in the repository
    options = {"timeout": 300, "resources": {"metadata": {"path": str(tmp_path)}}}
    nbclient.NotebookClient(notebook, kernel_name="python3", **options).execute()
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    results = [output for cell in code for output in cell.outputs if output.output_type == "execute_result"]
    texts = [result["data"]["text/plain"] for result in results]
    assert texts[0] == "<Image: CYX 2x64x80, uint16, 0.26 µm, DAPI, GFP>"
    assert texts[1] == "<Image: CYX 2x256x320, uint16, 0.065 µm, DAPI, GFP>"
    assert texts[-1].startswith("(True,")
    assert "not a measurement" in texts[-1]
    assert any("image/png" in output.get("data", {}) for cell in code for output in cell.outputs)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cells.ome.tif", "cells_x4.ome.tif"]
