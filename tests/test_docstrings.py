"""Every public name is documented in Keras style, and every example runs."""

import ast
import inspect
import re
import textwrap
from pathlib import Path

import pytest

import tbx_keras
from tbx_keras import errors, reader, summary

ROOT = Path(__file__).parent.parent
DOCUMENTED = [
    tbx_keras.TbxLogger,
    tbx_keras.SummaryWriter,
    tbx_keras.gradients,
    tbx_keras.read,
    tbx_keras.Recorder,
    tbx_keras.EveryNEpochs,
    tbx_keras.EveryNSteps,
    tbx_keras.Scalar,
    tbx_keras.Histogram,
    tbx_keras.Image,
    tbx_keras.Text,
    reader.HistogramSeries,
    errors.ArgumentError,
    *(getattr(summary, name) for name in summary.__all__),
]
PACKAGE = Path(tbx_keras.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


WITH_A_LIST = [
    init
    for init in PACKAGE.rglob("__init__.py")
    if init.parent != PACKAGE and "\n```\n" in (ast.get_docstring(ast.parse(init.read_text())) or "")
]


@pytest.mark.parametrize("init", WITH_A_LIST, ids=lambda init: init.parent.name)
def test_the_list_of_a_package_names_its_modules_and_no_other(init):
    text = ast.get_docstring(ast.parse(init.read_text()))
    (listed,) = re.findall(r"(?ms)^```\n(.*?)^```", text)
    named = [line.split()[0].rstrip("/") for line in listed.splitlines() if not line.startswith(" ")]
    there = [one for one in init.parent.iterdir() if one.suffix == ".py" or (one / "__init__.py").exists()]
    assert sorted(named) == sorted(one.stem for one in there if one.stem != "__init__")


def blocks(text: str) -> list[str]:
    return [textwrap.dedent(block) for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL)]


@pytest.mark.parametrize("name", DOCUMENTED, ids=lambda name: name.__qualname__)
def test_public_names_have_a_full_docstring(name):
    text = inspect.getdoc(name)
    assert blocks(text), "an example in a fenced block"
    if inspect.isfunction(name):
        assert "Returns:" in text
        assert "Raises:" in text
    parameters = [p for p in inspect.signature(name).parameters if p not in ("self", "kwargs", "args")]
    assert ("Args:" if parameters else "Attributes:") in text
    assert not [parameter for parameter in parameters if f"{parameter}:" not in text]


def docstrings(file: Path) -> list[str]:
    nodes = (ast.Module, ast.ClassDef, ast.FunctionDef)
    found = [
        ast.get_docstring(node) for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, nodes)
    ]
    return [text for text in found if text]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_a_first_line_is_a_verb_or_a_noun_phrase(file):
    """Never a question or a clause that leaves out what is spoken of."""
    first = [text.splitlines()[0] for text in docstrings(file)]
    asking = ("What ", "Which ", "Whether ", "How ", "Where ", "When ", "Who ", "If ")
    assert [line for line in first if line.startswith(asking)] == []
    assert [line for line in first if not line.endswith((".", ":"))] == []


@pytest.mark.parametrize("name", DOCUMENTED, ids=lambda name: name.__qualname__)
def test_examples_run(name):
    if name is errors.ArgumentError:  # its example raises it
        with pytest.raises(errors.ArgumentError):
            run(blocks(inspect.getdoc(name)), vars(errors))
    else:
        run(blocks(inspect.getdoc(name)))


ELSEWHERE = {"engines.md"}  # in processes of their own, by `tests/integration/test_engines.py`


@pytest.mark.slow
@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.name not in ELSEWHERE], ids=lambda page: page.name
)
def test_python_blocks_of_a_page_run_in_their_order(page):
    run(blocks(page.read_text()))


def run(found: list[str], names: dict | None = None) -> None:
    namespace = {"__name__": "example", **(names or {})}
    for block in found:
        exec(compile(block, "example", "exec"), namespace)
