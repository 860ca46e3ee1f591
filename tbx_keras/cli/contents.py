"""What a log directory holds, by TensorBoard's own reader."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from rich.table import Table

_ALL = {"scalars": 0, "histograms": 0, "images": 0, "tensors": 0}  # 0: every point, so that counts are true
SHOWN = 2  # series of a kind, such as `gradients/...`, that are named; the others are counted


def contents_table(log_dir: str) -> Table:
    """Table of the series below a directory: run, kind, points, first and last value.

    Args:
        log_dir: The log directory.

    Returns:
        The table; empty for a directory without event files.
    """
    table = Table(title=f"Recorded in {log_dir}", title_justify="left")
    for column in ("run", "series", "points", "first", "last"):
        table.add_column(column, overflow="fold")
    for run, events in _runs(log_dir):
        for kind, tags in _by_kind(events).items():
            shown = tags if "/" not in tags[0] else tags[:SHOWN]
            for tag in shown:
                table.add_row(run, tag, *_row(events, tag))
            if len(tags) > len(shown):
                table.add_row("", f"... and {len(tags) - len(shown)} more {kind}", "", "", "")
    return table


def _runs(log_dir: str) -> Iterator[tuple[str, Any]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for directory, _, files in sorted(os.walk(log_dir)):
        if any("tfevents" in name for name in files):
            yield os.path.relpath(directory, log_dir), EventAccumulator(directory, _ALL).Reload()


def _by_kind(events: Any) -> dict[str, list[str]]:
    kinds: dict[str, list[str]] = defaultdict(list)
    tags = events.Tags()
    for name in ("scalars", "histograms", "images", "tensors"):
        for tag in tags[name]:
            kinds[f"{name} {tag.split('/')[0] if '/' in tag else ''}".strip()].append(tag)
    return kinds


def _row(events: Any, tag: str) -> tuple[str, str, str]:
    tags = events.Tags()
    if tag in tags["scalars"]:
        points = events.Scalars(tag)
        return str(len(points)), f"{points[0].value:.4g}", f"{points[-1].value:.4g}"
    if tag in tags["histograms"]:
        found = [one.histogram_value for one in events.Histograms(tag)]
        first, last = (f"{one.min:.3g} to {one.max:.3g}" for one in (found[0], found[-1]))
        return str(len(found)), first, last
    found = events.Images(tag) if tag in tags["images"] else events.Tensors(tag)
    return str(len(found)), "", ""
