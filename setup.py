"""All metadata is in setup.cfg, but for the long description: README.md without its relative links."""

import re
from pathlib import Path

from setuptools import setup


def without_relative_links(text: str) -> str:
    """Replace links to files of the repository by the names of the files: an index page has no such files."""
    text = re.sub(r"!\[[^\]]*\]\((?!https?:)[^)]*\)\n?", "", text)  # pictures
    return re.sub(r"\[([^\]]*)\]\((?!https?:|mailto:)([^)]*)\)", _by_name, text)


def _by_name(link: re.Match[str]) -> str:
    words, target = link.group(1), link.group(2).split("#")[0]
    return words if not target or target in words else f"{words} ({target})"


setup(
    long_description=without_relative_links(
        (Path(__file__).parent / "README.md").read_text(encoding="utf-8")
    ),
    long_description_content_type="text/markdown",
)
