"""Keras 3 models that run on JAX.

Guarantees: values are reduced on the device, and only the results leave it; a reduction is asked for before
training goes on, which may overwrite the buffers. Sharded variables are reduced where their shards lie.
Compiling happens once for a set of shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import keras
import numpy as np

from tbx_keras.backends.base import Backend, Distances, Pending, Profiler, Summaries, Summarizer
from tbx_keras.backends.jax import kernels
from tbx_keras.backends.jax.batch_gradients import batch_gradients, convert
from tbx_keras.backends.jax.profiler import JaxProfiler
from tbx_keras.backends.jax.train_function import instrument_of
from tbx_keras.backends.scaled_sums import ScaledSums
from tbx_keras.framework_types import Batch, Model, Tensor, Variable
from tbx_keras.instrumentation.base import Instrument, Report
from tbx_keras.instrumentation.limits import NNX
from tbx_keras.memory import held_bytes

_summarize = jax.jit(kernels.summarize)
_sums_of_squares = jax.jit(kernels.sums_of_squares)


class JaxBackend:
    """Works on arrays where they are."""

    name = "jax"
    instruments = True
    ordered_hooks = False

    def summarize(self, tensors: Sequence[Tensor]) -> Summaries:
        """Count the buckets and the statistics of each array, on the device."""
        described = _summarize([value_of(tensor) for tensor in tensors])
        return Summaries(described.counts, described.scaled())

    def sum_squares(self, tensor: Tensor) -> Tensor:
        """Sum the squares of all elements, as float64 scalar."""
        return np.asarray(_sums_of_squares([value_of(tensor)]).scaled())[0]

    def copy_to_host(self, variable: Variable) -> np.ndarray:
        """Copy the value of a variable into an array of its own."""
        return np.array(value_of(variable))

    def device_copy(self, variable: Variable) -> Tensor:
        """Copy the value of a variable, whose buffer the next step may overwrite."""
        return jnp.copy(value_of(variable))

    def summarizer(self, variables: Sequence[Variable]) -> Summarizer:
        """Prepare a function that summarizes variables, compiled once."""
        kept = list(variables)

        def reduce() -> Pending:
            summaries = self.summarize(kept)
            size = held_bytes(summaries.counts) + held_bytes(summaries.statistics)
            return Pending(lambda: Summaries(*map(np.asarray, summaries)), size)

        return reduce

    def distances(self, now: Sequence[Callable[[], Tensor]]) -> Distances:
        """Prepare a compiled function that compares values with references."""

        def measure(references: Sequence[Tensor]) -> ScaledSums:
            return ScaledSums(*_squares([value_of(read()) for read in now], list(map(value_of, references))))

        return measure

    def instrument(self, model: Model, report: Report) -> Instrument | None:
        """Get the instrument of a model; None of an object that it cannot be kept for."""
        return instrument_of(model, report)

    def unreachable(self, model: Model) -> str | None:
        """Say in a sentence why the steps of a model cannot be looked into; None where they can."""
        enabled = getattr(keras.config, "is_nnx_enabled", None)
        return NNX if enabled is not None and enabled() else None

    def convert(self, data: Batch) -> Batch:
        """Turn a structure of arrays into one of JAX arrays."""
        return convert(data)

    def batch_gradients(
        self, model: Model, x: Batch, y: Batch, sample_weight: Batch
    ) -> Sequence[np.ndarray | None]:
        """Compute the gradients of the compiled loss by the trainable variables, by `jax.grad`."""
        return batch_gradients(model, x, y, sample_weight)

    def profiler(self) -> Profiler | None:
        """Get JAX's profiler."""
        return JaxProfiler()


def value_of(tensor: Tensor) -> jax.Array:
    """Get the value of a Keras variable as it is stored; any other array as it is."""
    value = getattr(tensor, "value", tensor)
    return value if isinstance(value, jax.Array) else jnp.asarray(value)


@jax.jit
def _squares(values: list[jax.Array], references: list[jax.Array]) -> tuple[jax.Array, jax.Array]:
    before = [kernels.as_float(one) for one in references]
    change = [kernels.as_float(one) - old for one, old in zip(values, before)]
    columns = kernels.sums_of_squares(change), kernels.sums_of_squares(before)
    return jnp.stack([one.sums for one in columns], 1), jnp.stack([one.scales for one in columns], 1)


BACKEND: Backend = JaxBackend()
