"""Importing the package."""

from __future__ import annotations

import statistics
import subprocess
import sys

from benchmarks.measure import Row

ROUNDS = 7


def run() -> list[Row]:
    """The rows of this question: seconds that the import adds to an interpreter that does nothing else."""
    ours = _median("import tbx_keras")
    writer = _median("from tbx_keras import SummaryWriter")
    return [
        Row("import tbx_keras", "tbx_keras", ours, "s", None, "", "<= 0.15 s", ours <= 0.15),
        Row("from tbx_keras import SummaryWriter", "tbx_keras", writer, "s"),
    ]


def _median(statement: str) -> float:
    code = f"import time; start = time.perf_counter(); {statement}; print(time.perf_counter() - start)"
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        for _ in range(ROUNDS)
    ]
    return statistics.median(float(done.stdout) for done in runs)
