"""The pages build strictly, each is in the menu, and in a browser their code needs no scroll bar."""

import importlib.util
import inspect
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

import tbx_keras
from tbx_keras import errors, reader, summary
from tests.pages import README, quoted, tables

ROOT = Path(__file__).parent.parent
# Expressions of JavaScript: code that is wider than its box; entries of the table of contents out of view.
WIDE = """[...document.querySelectorAll("pre > code")]
    .filter(code => code.scrollWidth > code.clientWidth).map(code => code.innerText)"""
BELOW = """[...document.querySelectorAll(".md-nav--secondary .md-nav__link")]
    .filter(link => link.getBoundingClientRect().bottom > innerHeight).map(link => link.innerText)"""


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("built") / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(directory)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return directory


@pytest.mark.slow
def test_the_site_builds_strictly(site):
    reference = (site / "api" / "index.html").read_text()
    for name in ("TbxLogger", "SummaryWriter", "gradients", "ArgumentError", "histogram"):
        assert re.search(rf'id="tbx_keras[\w.]*\.{name}"', reference), f"{name} has no entry"


def under(path: str, names: Iterable[str]) -> set[str]:
    return {f"{path}.{name}" for name in names if not name.startswith("_")}


def members(kind: type) -> list[str]:
    """Names of the methods and properties that a class has itself."""
    return [name for name, value in vars(kind).items() if callable(value) or hasattr(value, "__get__")]


def public_paths() -> set[str]:
    """What the reference has to list: import paths, with the members that a user calls."""
    paths = under("tbx_keras", set(tbx_keras.__all__) - {"errors"}) | {"tbx_keras.run_report.Report"}
    paths |= under("tbx_keras.TbxLogger", ["report", "flush"])
    recorder = ["record", "set_model", "begin_fit", "end_fit", "will_trace"]
    paths |= under("tbx_keras.Recorder", recorder) | {"tbx_keras.Histogram.of"}
    paths |= under("tbx_keras.SummaryWriter", ["as_default", "flush", "close"])
    paths |= under("tbx_keras.summary", summary.__all__)
    paths |= under("tbx_keras.errors", [name for name, one in vars(errors).items() if inspect.isclass(one)])
    for name in ("EventLog", "HistogramSeries"):
        paths |= {f"tbx_keras.reader.{name}"}
        paths |= under(f"tbx_keras.reader.{name}", members(getattr(reader, name)))
    return paths


@pytest.mark.slow
def test_the_reference_lists_public_names_by_their_import_paths_and_nothing_else(site):
    text = "".join((site / page / "index.html").read_text() for page in ("api", "api_recorders"))
    headings = re.findall(r'<h\d id="(tbx_keras[\w.]*)"', text)
    assert sorted(headings) == sorted(public_paths())


@pytest.mark.slow
def test_tables_of_the_readme_are_on_the_site(site):
    for page, head in (("recorded", "tag"), ("migrating", "argument")):
        text = (site / page / "index.html").read_text().replace("&lt;", "<").replace("&gt;", ">")
        (rows,) = tables(README.read_text(), head)
        missing = [one for row in rows for one in quoted(row[0]) if f"<code>{one}</code>" not in text]
        assert missing == [], page


def browser_module():
    spec = importlib.util.spec_from_file_location("browser", ROOT / "docs" / "pictures" / "browser.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium")
def test_at_1280_pixels_no_code_scrolls_and_the_contents_fit(site):
    pages = sorted(site.rglob("index.html"))
    with browser_module().browser() as browser:
        for page in pages:
            browser.open(page.as_uri(), width=1280, height=900)
            assert browser.evaluate(WIDE) == [], page
            assert browser.evaluate(BELOW) == [], page
    assert len(pages) > 10


def test_every_page_is_in_the_menu():
    pages = {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")}
    menu = set(re.findall(r"[\w/]+\.md", (ROOT / "mkdocs.yml").read_text()))
    assert pages == menu


@pytest.mark.parametrize("page", ["performance.md", "reliability.md"])
def test_every_test_that_a_page_names_is_there(page):
    named, file = [], ""
    for path, name in re.findall(r"`(tests/[\w/]+\.py)?(?:::(\w+))?`", (ROOT / "docs" / page).read_text()):
        file = path or file
        if name or path:
            named.append((file, name))
    assert len(named) >= 9
    for path, name in named:
        assert (ROOT / path).is_file(), path
        assert not name or f"def {name}(" in (ROOT / path).read_text(), f"{path}::{name}"
