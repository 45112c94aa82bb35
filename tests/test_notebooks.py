"""Every notebook runs from top to bottom, as stored, without an error or a warning about its own format."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


# .ci/run runs them by themselves.
@pytest.mark.longest
@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_notebook_runs(path, tmp_path, monkeypatch):
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    # The kernel is a process of its own, in an empty folder: it finds the packages as an installed program would.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])))
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    client = nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    shown = [o.data for cell in notebook.cells for o in cell.get("outputs", []) if o.output_type == "execute_result"]
    hidden = [data["text/plain"] for data in shown if "<Figure" in data["text/plain"] and "image/png" not in data]
    assert not hidden, "a figure is not shown"


def test_notebooks_are_stored_without_machine_paths():
    for path in NOTEBOOKS:
        text = path.read_text(encoding="utf-8")
        assert "/home/" not in text
        assert str(ROOT) not in text
