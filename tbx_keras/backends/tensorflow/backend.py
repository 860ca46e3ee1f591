"""Models that run on TensorFlow, of Keras 3 and of tf_keras.

Guarantees: values are reduced on the device, and only the results leave it. Large models whose variables lie
in the host's memory are counted there, by kernels that Numba compiles, where it is installed. Tracing happens
once for a set of variables.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from tbx_keras.backends.base import Backend, Distances, Pending, Profiler, Summaries, Summarizer
from tbx_keras.backends.numpy import cpu
from tbx_keras.backends.tensorflow import kernels
from tbx_keras.backends.tensorflow.batch_gradients import batch_gradients, convert
from tbx_keras.backends.tensorflow.profiler import TensorFlowProfiler
from tbx_keras.backends.tensorflow.replicas import can_be_captured
from tbx_keras.backends.tensorflow.train_function import instrument_of
from tbx_keras.backends.tensorflow.variables import squared_distances, tensor_of, traced
from tbx_keras.framework_types import Batch, Model, Tensor, Variable
from tbx_keras.instrumentation.base import Instrument, Report
from tbx_keras.instrumentation.limits import REPLICAS
from tbx_keras.memory import held_bytes

LARGE = 1 << 24  # elements: below, compiling takes longer than it saves in hundreds of epochs


class TensorFlowBackend:
    """Works on tensors where they are."""

    name = "tensorflow"
    instruments = True
    ordered_hooks = True

    def summarize(self, tensors: Sequence[Tensor]) -> Summaries:
        """Count the buckets and the statistics of each tensor, on the device."""
        return kernels.summarize(tensors)

    def sum_squares(self, tensor: Tensor) -> Tensor:
        """Sum the squares of all elements, as float64 scalar."""
        return kernels.sum_squares(tensor)

    def copy_to_host(self, variable: Variable) -> np.ndarray:
        """Copy the value of a variable into an array of its own."""
        return np.array(variable.numpy())

    def device_copy(self, variable: Variable) -> Tensor:
        """Copy the value of a variable; the buffer is shared until the variable changes."""
        return tf.identity(tensor_of(variable))

    def summarizer(self, variables: Sequence[Variable]) -> Summarizer:
        """Prepare a function that summarizes variables, traced or compiled once."""
        kept = list(variables)
        return CompiledSummary(kept) if _is_worth_compiling(kept) else TracedSummary(kept)

    def distances(self, now: Sequence[Callable[[], Tensor]]) -> Distances:
        """Prepare a traced function that compares values with references."""
        return squared_distances(list(now))

    def instrument(self, model: Model, report: Report) -> Instrument | None:
        """Get the instrument of a model; None of an object that it cannot be kept for."""
        return instrument_of(model, report)

    def unreachable(self, model: Model) -> str | None:
        """Say in a sentence why the steps of a model cannot be looked into; None where they can."""
        return None if can_be_captured(model) else REPLICAS

    def convert(self, data: Batch) -> Batch:
        """Turn a structure of arrays into one of tensors."""
        return convert(data)

    def batch_gradients(
        self, model: Model, x: Batch, y: Batch, sample_weight: Batch
    ) -> Sequence[np.ndarray | None]:
        """Compute the gradients of the compiled loss by the trainable variables, by a tape."""
        return batch_gradients(model, x, y, sample_weight)

    def profiler(self) -> Profiler | None:
        """Get TensorFlow's profiler."""
        return TensorFlowProfiler()


class TracedSummary:
    """Summarizes variables on their device, by a function that is traced once.

    Args:
        variables: The variables.
    """

    def __init__(self, variables: list[Variable]) -> None:
        self.function = traced(_summarize, variables)

    def __call__(self) -> Pending:
        """Reduce the variables as they are now; what is left is to fetch the results."""
        summaries = self.function()
        return Pending(lambda: Summaries(*map(np.asarray, summaries)), sum(map(held_bytes, summaries)))


def _summarize(variables: list[Variable]) -> Summaries:
    return kernels.summarize([tensor_of(variable) for variable in variables])


class CompiledSummary:
    """Summarizes variables in the host's memory, by all cores.

    Args:
        variables: The variables.
    """

    def __init__(self, variables: list[Variable]) -> None:
        self._variables = variables

    def __call__(self) -> Pending:
        """Reduce the variables as they are now, without a copy of them."""
        # The arrays are the variables' own memory, and are gone before training goes on.
        arrays = [np.asarray(tensor_of(variable)) for variable in self._variables]
        summaries = Summaries(*cpu.summarize(arrays))
        return Pending(lambda: summaries, sum(map(held_bytes, summaries)))


def _is_worth_compiling(variables: list[Variable]) -> bool:
    if sum(math.prod(variable.shape) for variable in variables) < LARGE:
        return False
    return all(map(_is_on_host, variables)) and cpu.is_compiled()


def _is_on_host(variable: Variable) -> bool:
    return cpu.serves(variable.dtype) and ":CPU:" in tensor_of(variable).device


BACKEND: Backend = TensorFlowBackend()
