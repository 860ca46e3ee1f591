"""The interface of a backend, and the choice of one for a model.

Guarantees: `backend_of` imports no framework that the model does not already use.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np

from tbx_keras.framework_types import Batch, Model, Tensor, Variable
from tbx_keras.instrumentation.base import Instrument, Report
from tbx_keras.keras_model import backend_name, is_tf_keras

HOST = "numpy"  # of models on a backend without a folder: their values are copied to the host


class Summaries(NamedTuple):
    """Summary of `n` tensors; row `i` belongs to tensor `i`.

    Args:
        counts: Integer array or tensor `(n, 4096)`, elements in each float-bits bucket, NaN and infinities
            too.
        statistics: float64 array or tensor `(n, 4)`: min, max, sum, sum of squares of the finite elements.
    """

    counts: Tensor
    statistics: Tensor


class Pending(NamedTuple):
    """Summaries of the values that some variables had at a moment, not yet complete.

    Args:
        fetch: Completes them; may run on another thread, while training goes on.
        nbytes: Bytes of memory that `fetch` keeps alive.
    """

    fetch: Callable[[], Summaries]
    nbytes: int


Summarizer: TypeAlias = Callable[[], Pending]
Distances: TypeAlias = Callable[[Sequence[Tensor]], Tensor]  # from references to squares of shape `(n, 2)`


class Profiler(Protocol):
    """Profiles what a process does between two calls; there is one for the process."""

    def start(self, directory: str) -> None:
        """Start; what is written goes below `directory`, where TensorBoard's profiler plugin looks."""

    def stop(self) -> None:
        """Stop and write."""


class Backend(Protocol):
    """Everything that depends on the framework a model runs on."""

    name: str
    instruments: bool  # whether it looks inside steps, of models that allow it
    ordered_hooks: bool  # Keras calls every hook on the training thread, and weights can be read at any time

    def summarize(self, tensors: Sequence[Tensor]) -> Summaries:
        """Count the buckets and the statistics of each tensor, on the device."""

    def sum_squares(self, tensor: Tensor) -> Tensor:
        """Sum the squares of all elements, as float64 scalar."""

    def copy_to_host(self, variable: Variable) -> np.ndarray:
        """Copy the value of a variable into an array of its own."""

    def device_copy(self, variable: Variable) -> Tensor:
        """Copy the value of a variable as it is now, where it is."""

    def summarizer(self, variables: Sequence[Variable]) -> Summarizer:
        """Prepare a function that summarizes variables as they are when it is called."""

    def distances(self, now: Sequence[Callable[[], Tensor]]) -> Distances:
        """Prepare a function that compares values with references.

        Args:
            now: Functions that give the values as they are.

        Returns:
            Function from a reference for each value to a tensor `(n, 2)`: the sum of squares of the
            difference, and that of the reference.
        """

    def instrument(self, model: Model, report: Report) -> Instrument | None:
        """Get the instrument of a model; None where its steps cannot be looked into."""

    def unreachable(self, model: Model) -> str | None:
        """Say in a sentence why the steps of a model cannot be looked into; None where they can."""

    def convert(self, data: Batch) -> Batch:
        """Turn a structure of arrays into one of tensors; raise TypeError or ValueError of anything else."""

    def batch_gradients(
        self, model: Model, x: Batch, y: Batch, sample_weight: Batch
    ) -> Sequence[np.ndarray | None]:
        """Compute the gradients of the compiled loss by the trainable variables, in their order."""

    def profiler(self) -> Profiler | None:
        """Get the profiler of the framework; None where there is none that TensorBoard reads."""


def backend_of(model: Model) -> Backend:
    """Get the backend that a model runs on: recorders and writers ask for it, not for a framework.

    Args:
        model: A Keras 3 or tf_keras model, or None for a loop without one.

    Returns:
        The backend; that of NumPy where the framework has no folder here.
    """
    return _load("tensorflow" if is_tf_keras(model) else backend_name())


@functools.cache
def _load(name: str) -> Backend:
    folder = f"tbx_keras.backends.{name}"
    found = name.isidentifier() and importlib.util.find_spec(folder) is not None
    module = importlib.import_module(f"{folder if found else f'tbx_keras.backends.{HOST}'}.backend")
    backend: Backend = module.BACKEND
    return backend
