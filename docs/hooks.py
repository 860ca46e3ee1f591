"""Hooks for building the pages.

A comment `<!-- colab: PATH -->` becomes a link that opens the notebook in Colab, once
`repo_url` in `mkdocs.yml` names the project's repository on GitHub. Until then there is
no address to link to, and nothing is shown.
"""

from __future__ import annotations

import re
from typing import Any

GITHUB = "https://github.com/"
COLAB = "https://colab.research.google.com/github/{repository}/blob/main/{path}"


def on_page_markdown(markdown: str, *, config: Any, **_: Any) -> str:
    """Put the links in their places; MkDocs calls this for each page."""
    url = (config["repo_url"] or "").rstrip("/").removesuffix(".git")
    repository = url.removeprefix(GITHUB) if url.startswith(GITHUB) else ""

    def link(found: re.Match[str]) -> str:
        if not repository:
            return ""
        return f"[Open in Colab]({COLAB.format(repository=repository, path=found[1])})"

    return re.sub(r"<!-- colab: (\S+) -->", link, markdown)
