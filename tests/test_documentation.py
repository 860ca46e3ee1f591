"""The pages build strictly, and each is in the menu."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
def test_the_site_builds_strictly(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    reference = (tmp_path / "site" / "api" / "index.html").read_text()
    for name in ("TbxLogger", "SummaryWriter", "gradients", "ArgumentError", "histogram"):
        assert re.search(rf'id="tbx_keras[\w.]*\.{name}"', reference), f"{name} has no entry"


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
