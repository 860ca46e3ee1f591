"""Notebooks run from top to bottom, with small settings, and are stored without outputs."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.reviews import prepare_tfds

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))


def small_settings() -> dict[str, str]:
    from tbx_keras.demos.offline import packaged_model

    return {
        "epochs": "1",
        "open_tensorboard": "False",
        "model_name": repr(packaged_model()),
        "examples": "32",
        "max_length": "16",
    }


def with_small_settings(notebook):
    """As the parameters cell, with the settings replaced that it has."""
    (cell,) = [cell for cell in notebook.cells if cell.source.startswith("# Parameters")]
    names = [line.split(" = ")[0] for line in cell.source.splitlines()[1:]]
    cell.source += "".join(f"\n{name} = {value}" for name, value in small_settings().items() if name in names)
    return notebook


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs_from_top_to_bottom(path, tmp_path, monkeypatch):
    if "imdb" in path.stem:
        prepare_tfds(tmp_path / "tfds", train=40, test=12)
        monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    notebook = with_small_settings(nbformat.read(path, as_version=4))
    client = NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    assert list(tmp_path.rglob("*tfevents*"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_is_stored_without_outputs(path):
    cells = nbformat.read(path, as_version=4).cells
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_first_installs_and_opens_tensorboard_within(path):
    code = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert "%pip install" in code[0]
    assert any("%load_ext tensorboard" in source for source in code)


def test_there_are_notebooks():
    assert {path.stem for path in NOTEBOOKS} >= {"quickstart", "finetune_imdb"}
