"""docs/from-python.ipynb runs from its first cell to its last in a fresh kernel."""

from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "from-python.ipynb"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of Jupyter's own
def test_the_notebook_runs(tmp_path):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    notebook = nbformat.read(PAGE, as_version=4)
    nbclient.NotebookClient(notebook, timeout=200, resources={"metadata": {"path": str(tmp_path)}}).execute()
    said = [output.get("text") or output.get("data", {}).get("text/plain", "")
            for cell in notebook.cells for output in cell.get("outputs", [])]  # fmt: skip
    assert any("test/accuracy" in text for text in said)
    assert any('Did you mean "textcnn"?' in text for text in said)
    assert said.count("False") == 1, "the last run is not the first one"
    assert len(list(tmp_path.glob("outputs/*/*/metrics.json"))) == 3
