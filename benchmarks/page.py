"""Writes the table of `docs/performance.md` from the figures that `--json` kept: nothing is edited by hand.

python -m benchmarks.page figures.json docs/performance.md
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"


def table(kept: dict) -> str:
    """The rows as a Markdown table below a line that names the machine."""
    lines = [", ".join(kept["machine"].values()), "", "| work | who | figure | ratio | target | met |"]
    lines.append("|---|---|---|---|---|---|")
    for row in kept["rows"]:
        ratio = "" if row["ratio"] is None else f"{row['ratio']:.3g}x {row['against']}"
        met = {True: "yes", False: "**no**", None: ""}[row["met"]]
        figure = f"{row['value']:,.4g} {row['unit']}"
        lines.append(f"| {row['work']} | {row['who']} | {figure} | {ratio} | {row['target']} | {met} |")
    return "\n".join(lines)


def main(figures: str, page: str) -> None:
    """Put the table between the marks of the page."""
    text = Path(page).read_text()
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    middle = table(json.loads(Path(figures).read_text()))
    Path(page).write_text(f"{before}{BEGIN}\n{middle}\n{END}{after}")


if __name__ == "__main__":
    main(*sys.argv[1:3])
