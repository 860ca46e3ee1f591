"""Models on a backend of Keras that has no folder here: their values are copied to the host.

Guarantees: values are copied when a function is called, since training may change them afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tbx_keras.backends.base import Backend, Distances, Pending, Profiler, Summaries, Summarizer
from tbx_keras.backends.numpy.kernels import count_float_bits
from tbx_keras.framework_types import Batch, Model, Tensor, Variable
from tbx_keras.instrumentation.base import Instrument, Report
from tbx_keras.memory import held_bytes


class HostBackend:
    """Works on copies on the host; looks into no step."""

    name = "numpy"
    instruments = False
    ordered_hooks = False

    def summarize(self, tensors: Sequence[Tensor]) -> Summaries:
        """Count the buckets and the statistics of each array."""
        pairs = [count_float_bits(str(index), np.asarray(one)) for index, one in enumerate(tensors)]
        counts, statistics = zip(*pairs) if pairs else ((), ())
        return Summaries(np.array(counts), np.array(statistics))

    def sum_squares(self, tensor: Tensor) -> Tensor:
        """Sum the squares of all elements, as float64 scalar."""
        return np.sum(np.asarray(tensor, np.float64) ** 2)

    def copy_to_host(self, variable: Variable) -> np.ndarray:
        """Copy the value of a variable into an array of its own."""
        return np.array(variable.numpy())

    def device_copy(self, variable: Variable) -> Tensor:
        """Copy the value of a variable to the host."""
        return self.copy_to_host(variable)

    def summarizer(self, variables: Sequence[Variable]) -> Summarizer:
        """Prepare a function that summarizes copies of variables."""

        def copy() -> Pending:
            arrays = [self.copy_to_host(variable) for variable in variables]
            return Pending(lambda: self.summarize(arrays), sum(map(held_bytes, arrays)))

        return copy

    def distances(self, now: Sequence[Callable[[], Tensor]]) -> Distances:
        """Prepare a function that compares values with references."""
        return lambda references: np.array([_squares(read(), one) for read, one in zip(now, references)])

    def instrument(self, model: Model, report: Report) -> Instrument | None:
        """Return None: steps are not looked into here."""
        return None

    def unreachable(self, model: Model) -> str | None:
        """Say in a sentence why the steps of a model cannot be looked into; None where they can."""
        return None

    def convert(self, data: Batch) -> Batch:
        """Return the arrays as they are."""
        return data

    def batch_gradients(
        self, model: Model, x: Batch, y: Batch, sample_weight: Batch
    ) -> Sequence[np.ndarray | None]:
        """Return nothing: models do not train here."""
        return []

    def profiler(self) -> Profiler | None:
        """Return None: there is no profiler."""
        return None


def _squares(now: Tensor, reference: Tensor) -> tuple[float, float]:
    before = np.asarray(reference, np.float64)
    return float(np.sum((np.asarray(now, np.float64) - before) ** 2)), float(np.sum(before**2))


BACKEND: Backend = HostBackend()
