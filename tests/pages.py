"""The pages as text: what tests of the documentation look up in them."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").rglob("*.md"))]


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def fenced(text: str) -> list[str]:
    """All code blocks, of any language."""
    return [textwrap.dedent(code) for _, code in re.findall(r"(?ms)^( *)```\w*\n(.*?)^\1```", text)]


def python(text: str) -> list[str]:
    """The code blocks of Python."""
    return [textwrap.dedent(code) for _, code in re.findall(r"(?ms)^( *)```python\n(.*?)^\1```", text)]


def tables(text: str, head: str) -> list[list[list[str]]]:
    """The rows, as lists of cells, of each table whose first column is headed so."""
    found = re.findall(rf"(?m)^\| {head} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", text)
    return [[[cell.strip() for cell in row.split("|")[1:-1]] for row in rows.splitlines()] for rows in found]


def quoted(cell: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`]+)`", cell)
