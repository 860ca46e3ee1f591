"""Steps on JAX and on PyTorch: not sampled, and sampled, each backend in a process of its own."""

from __future__ import annotations

import importlib.util
import json
import tempfile
from dataclasses import asdict, replace

from benchmarks.measure import Row, printed_by_process

NAMES = {"jax": "JAX", "torch": "PyTorch"}


def run() -> list[Row]:
    """The rows of the backends that are installed."""
    return [row for name in NAMES if importlib.util.find_spec(name) for row in rows_of(name)]


def rows_of(backend: str) -> list[Row]:
    """The rows of one backend."""
    printed = printed_by_process("backends", "measure", environment={"KERAS_BACKEND": backend})
    rows = [Row(**one) for one in json.loads(printed)]
    return [replace(row, work=f"{NAMES[backend]}: {row.work}") for row in rows]


def measure() -> str:
    """Measure the backend of this process; rows as JSON."""
    from benchmarks import gradients, steps

    with tempfile.TemporaryDirectory() as directory:
        rows = [*steps.unsampled(f"{directory}/1", 3, 2500), *gradients.run()]
    return json.dumps([asdict(row) for row in rows])
