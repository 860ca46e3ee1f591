"""Runs the questions and prints one table."""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from rich.console import Console
from rich.table import Table

from benchmarks.measure import Row, as_json

NAMED = (
    "tensorflow",
    "keras",
    "jax",
    "torch",
    "tensorboardX",
    "numpy",
    "numba",
)  # packages whose versions count
QUESTIONS = ("start", "scalars", "steps", "gradients", "backends", "weights", "endurance")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "questions", nargs="*", help=f"of {', '.join(QUESTIONS)}; all of them if none is named"
    )
    parser.add_argument("--json", type=Path, help="file to keep the figures in")
    arguments = parser.parse_args()
    unknown = set(arguments.questions) - set(QUESTIONS)
    if unknown:
        parser.error(f"no such question: {', '.join(sorted(unknown))}")
    rows: list[Row] = []
    for name in arguments.questions or QUESTIONS:
        rows += importlib.import_module(f"benchmarks.{name}").run()
    Console(width=160).print(table(rows))
    if arguments.json:
        arguments.json.write_text(as_json(rows, machine()))


def table(rows: list[Row]) -> Table:
    """All figures, in the order of the questions."""
    shown = Table("work", "who", "figure", "ratio", "target", "met", title=", ".join(machine().values()))
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio:.3g}x {row.against}"
        met = {True: "yes", False: "NO", None: ""}[row.met]
        shown.add_row(row.work, row.who, f"{row.value:,.4g} {row.unit}", ratio, row.target, met)
    return shown


def machine() -> dict[str, str]:
    """Describe the machine and the packages that the figures were taken on."""
    from importlib.metadata import version

    versions = {name: f"{name} {version(name)}" for name in NAMED if importlib.util.find_spec(name)}
    return {"cores": f"{os.cpu_count()} cores", "machine": platform.machine(),
            "python": f"Python {platform.python_version()}", **versions}  # fmt: skip


if __name__ == "__main__":
    main()
