"""Steps on JAX and on PyTorch: not sampled, and sampled, each backend in a process of its own."""

from __future__ import annotations

import importlib.util
import tempfile
from dataclasses import replace

from benchmarks.measure import Row, rows_of_process

NAMES = {"jax": "JAX", "torch": "PyTorch"}


def run() -> list[Row]:
    """The rows of the backends that are installed."""
    return [row for name in NAMES if importlib.util.find_spec(name) for row in rows_of(name)]


def rows_of(backend: str) -> list[Row]:
    """The rows of one backend."""
    rows = rows_of_process("backends", "steps_here", environment={"KERAS_BACKEND": backend})
    return [replace(row, work=f"{NAMES[backend]}: {row.work}") for row in rows]


def steps_here() -> list[Row]:
    """Steps that are not sampled and one that is, on the backend of this process."""
    from benchmarks import gradients, steps

    with tempfile.TemporaryDirectory() as directory:
        return [*steps.unsampled(directory, 3, 2500), *gradients.run()]
