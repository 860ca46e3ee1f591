"""Keras 3 models that run on PyTorch.

Guarantees: values are reduced on the device that holds them, and only the results leave it. Nothing is
recorded for differentiation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from tbx_keras.backends.base import Backend, Distances, Pending, Profiler, Summaries, Summarizer
from tbx_keras.backends.scaled_sums import to_array
from tbx_keras.backends.torch import kernels
from tbx_keras.backends.torch.batch_gradients import batch_gradients, convert
from tbx_keras.backends.torch.profiler import TorchProfiler
from tbx_keras.backends.torch.train_function import instrument_of
from tbx_keras.framework_types import Batch, Model, Tensor, Variable
from tbx_keras.instrumentation.base import Instrument, Report
from tbx_keras.instrumentation.limits import COMPILED
from tbx_keras.keras_model import uses_xla
from tbx_keras.memory import held_bytes


class TorchBackend:
    """Works on tensors where they are."""

    name = "torch"
    instruments = True
    ordered_hooks = False

    def summarize(self, tensors: Sequence[Tensor]) -> Summaries:
        """Count the buckets and the statistics of each tensor, on the device."""
        return kernels.summarize([value_of(tensor) for tensor in tensors])

    def sum_squares(self, tensor: Tensor) -> Tensor:
        """Sum the squares of all elements, as float64 scalar."""
        return np.asarray(kernels.sums_of_squares([value_of(tensor)]))[0]

    def copy_to_host(self, variable: Variable) -> np.ndarray:
        """Copy the value of a variable into an array of its own."""
        value = value_of(variable)
        return np.array(to_array(value.float() if value.dtype == torch.bfloat16 else value))

    def device_copy(self, variable: Variable) -> Tensor:
        """Copy the value of a variable, which training changes in place."""
        return value_of(variable).clone()

    def summarizer(self, variables: Sequence[Variable]) -> Summarizer:
        """Prepare a function that summarizes variables."""
        kept = list(variables)

        def reduce() -> Pending:
            summaries = self.summarize(kept)
            size = sum(map(held_bytes, summaries))
            return Pending(lambda: Summaries(*map(np.asarray, summaries)), size)

        return reduce

    def distances(self, now: Sequence[Callable[[], Tensor]]) -> Distances:
        """Prepare a function that compares values with references."""

        def measure(references: Sequence[Tensor]) -> np.ndarray:
            pairs = [(value_of(read()), value_of(reference)) for read, reference in zip(now, references)]
            before = [kernels.as_float(reference) for _, reference in pairs]
            change = [kernels.as_float(one) - old for (one, _), old in zip(pairs, before)]
            columns = kernels.sums_of_squares(change), kernels.sums_of_squares(before)
            return np.stack([np.asarray(one) for one in columns], axis=1)

        return measure

    def instrument(self, model: Model, report: Report) -> Instrument | None:
        """Get the instrument of a model; None of an object that it cannot be kept for."""
        return instrument_of(model, report)

    def unreachable(self, model: Model) -> str | None:
        """Say in a sentence why the steps of a model cannot be looked into; None where they can."""
        # Keras's `jit_compile` stands for torch.compile here.
        return COMPILED if uses_xla(model) else None

    def convert(self, data: Batch) -> Batch:
        """Turn a structure of arrays into one of tensors."""
        return convert(data)

    def batch_gradients(
        self, model: Model, x: Batch, y: Batch, sample_weight: Batch
    ) -> Sequence[np.ndarray | None]:
        """Compute the gradients of the compiled loss by the trainable variables, without a step."""
        return batch_gradients(model, x, y, sample_weight)

    def profiler(self) -> Profiler | None:
        """Get PyTorch's profiler."""
        return TorchProfiler()


def value_of(tensor: Tensor) -> Tensor:
    """Get the value of a Keras variable as it is stored; any other tensor as it is."""
    value = getattr(tensor, "value", tensor)
    return (value if isinstance(value, torch.Tensor) else torch.as_tensor(value)).detach()


BACKEND: Backend = TorchBackend()
