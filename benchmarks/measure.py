"""Interleaved rounds, medians, and memory of a process of its own."""

from __future__ import annotations

import importlib
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Args:
        work: What was done.
        who: Whose way of doing it.
        value: The figure.
        unit: Its unit.
        ratio: The figure over that of the reference (for peers: over ours).
        against: What the ratio is taken against.
        target: Target, as a phrase; empty for a peer.
        met: Whether the target is met; None without one.
    """

    work: str
    who: str
    value: float
    unit: str
    ratio: float | None = None
    against: str = ""
    target: str = ""
    met: bool | None = None


def interleaved(ways: dict[str, Callable[[], object]], rounds: int, warm: int = 1) -> dict[str, list[float]]:
    """Seconds of each way in each round; the ways take turns within a round."""
    for _ in range(warm):
        for way in ways.values():
            way()
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            taken[name].append(time.perf_counter() - start)
    return taken


def medians(taken: dict[str, list[float]]) -> dict[str, float]:
    """The median of each."""
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def paired_ratio(taken: dict[str, list[float]], way: str, base: str) -> float:
    """The median of the ratios within each round: what slows a whole round down does not count."""
    return statistics.median([one / other for one, other in zip(taken[way], taken[base])])


def seconds(work: Callable[[], object]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def resident() -> int:
    """Bytes of memory that this process holds now."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


def added_peak(work: Callable[[], object]) -> int:
    """Bytes that the process held at the most during `work`, above what it held before."""
    before, highest, done = resident(), [0], threading.Event()

    def watch() -> None:
        while not done.is_set():
            highest[0] = max(highest[0], resident())
            time.sleep(0.0005)

    watcher = threading.Thread(target=watch)
    watcher.start()
    work()
    done.set()
    watcher.join()
    return max(0, highest[0] - before)


def in_process(module: str, function: str, *arguments: str) -> float:
    """The number that a function of a benchmark returns, run in a process of its own."""
    return float(printed_by_process(module, function, *arguments))


def printed_by_process(
    module: str,
    function: str,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    timeout: float = 600,
) -> str:
    """The last line that a function of a benchmark returns, run in a process of its own.

    Args:
        module: Name of a module of this package.
        function: Name of a function in it.
        *arguments: Its arguments.
        environment: Variables on top of those of this process.
        timeout: Seconds.
    """
    call = f"import sys; from benchmarks import {module}; print({module}.{function}(*sys.argv[1:]))"
    variables = {**os.environ, **(environment or {})}
    done = subprocess.run(
        [sys.executable, "-c", call, *arguments],
        capture_output=True, text=True, timeout=timeout, check=False, env=variables, cwd=ROOT,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{module}.{function} failed: {done.stderr[-2000:]}")
    return done.stdout.strip().splitlines()[-1]


def rows_of_process(module: str, function: str, *arguments: str, environment: Mapping[str, str]) -> list[Row]:
    """Run a function of a benchmark that returns rows in a process of its own.

    Args:
        module: Name of a module of this package.
        function: Name of a function in it.
        *arguments: Its arguments, strings.
        environment: Variables on top of those of this process.
    """
    printed = printed_by_process(
        "measure", "printable", module, function, *arguments, environment=environment
    )
    return [Row(**one) for one in json.loads(printed)]


def printable(module: str, function: str, *arguments: str) -> str:
    """Call a function of a benchmark that returns rows; in one line."""
    rows = getattr(importlib.import_module(f"benchmarks.{module}"), function)(*arguments)
    return json.dumps([asdict(row) for row in rows])


def as_json(rows: list[Row], machine: dict[str, str]) -> str:
    """Rows and machine, for `--json`."""
    return json.dumps({"machine": machine, "rows": [asdict(row) for row in rows]}, indent=1)
