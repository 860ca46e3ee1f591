"""Table of the contents of a log directory."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
from rich.table import Table

from tbx_keras.reader import events

KINDS = ("scalars", "histograms", "images", "text", "graph_keras_model")
SHOWN = 2  # series of a kind, such as `gradients/...`, that are named; the others are counted


def inspect_table(log_dir: str) -> Table:
    """Table of the series below a directory: run, series, points, first and last value.

    Args:
        log_dir: The log directory.

    Returns:
        The table.

    Raises:
        ArgumentError: There is no event file below the directory.
    """
    table = Table(title=f"Recorded in {log_dir}", title_justify="left")
    for column in ("run", "series", "points", "first", "last"):
        table.add_column(column, overflow="fold")
    with events.local(log_dir) as directory:
        for run, path in events.run_directories(directory).items():
            _add_run(table, run, events.load(path))
    return table


def _add_run(table: Table, run: str, loaded: Any) -> None:
    for (kind, folder), tags in _grouped(loaded).items():
        shown = tags[:SHOWN] if folder else tags
        for tag in shown:
            table.add_row(run, tag, *_row(loaded, kind, tag))
        if len(tags) > len(shown):
            table.add_row("", f"... and {len(tags) - len(shown)} more {kind} {folder}", "", "", "")


def _grouped(loaded: Any) -> dict[tuple[str, str], list[str]]:
    """Group tags by kind and by what stands before the first `/`, as TensorBoard folds them."""
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for kind in KINDS:
        for tag in events.tags(loaded, kind):
            groups[kind, tag.split("/")[0] if "/" in tag else ""].append(tag)
    return groups


def _row(loaded: Any, kind: str, tag: str) -> tuple[str, str, str]:
    arrays = [array for _, _, array in events.points(loaded, tag)]
    first, last = (_cell(kind, array) for array in (arrays[0], arrays[-1]))
    return str(len(arrays)), first, last


def _cell(kind: str, array: np.ndarray) -> str:
    if kind == "scalars":
        return f"{float(array):.4g}"
    if kind == "histograms":
        return f"{array[0, 0]:.3g} to {array[-1, 1]:.3g}" if len(array) else "nothing"
    return ""
