"""Notebooks run from top to bottom, with small settings, and are stored without outputs."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))
SMALL = {"epochs": "1", "open_tensorboard": "False"}


def with_small_settings(notebook):
    """As the parameters cell, with the settings replaced that it has."""
    (cell,) = [cell for cell in notebook.cells if cell.source.startswith("# Parameters")]
    names = [line.split(" = ")[0] for line in cell.source.splitlines()[1:]]
    cell.source += "".join(f"\n{name} = {value}" for name, value in SMALL.items() if name in names)
    return notebook


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs_from_top_to_bottom(path, tmp_path):
    notebook = with_small_settings(nbformat.read(path, as_version=4))
    client = NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    assert list(tmp_path.rglob("*tfevents*"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_is_stored_without_outputs(path):
    cells = nbformat.read(path, as_version=4).cells
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)


def test_there_are_notebooks():
    assert NOTEBOOKS
