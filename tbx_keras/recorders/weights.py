"""Histograms of weights and biases.

Guarantees: on TensorFlow all variables are reduced in one traced function, and only counts leave the
device; large models whose variables lie in the host's memory are counted there, by kernels that Numba
compiles, where it is installed. On other backends the values are copied to the host at once, because
training may change them before they are counted. Tracing happens once for a set of variables.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tbx_keras.backends import host
from tbx_keras.backends.buckets import histograms_from_counts
from tbx_keras.backends.keras_model import (
    VariablePaths,
    host_copy,
    is_bias,
    runs_on_tensorflow,
    variable_key,
    weights,
)
from tbx_keras.values import Deferred, held_bytes

LARGE = 1 << 24  # elements: below, compiling takes longer than it saves in hundreds of epochs


def weight_tag(path: str) -> str:
    """`weights/<path>` or, for an offset, `biases/<path>`."""
    return f"{'biases' if is_bias(path) else 'weights'}/{path}"


class WeightHistograms:
    """Collects the histograms of all weights of a model.

    Args:
        model: A Keras 3 or tf_keras model; layers may be added between two calls.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._keys: list[int] = []
        self._tags: list[str] = []
        self._summarize: Callable[[], Any] | None = None

    def __call__(self) -> Deferred:
        """Reduce the weights as they are now; the histograms are made later, on the host."""
        variables = self._variables()
        if not variables:
            return Deferred(list, 0)
        if not runs_on_tensorflow(self._model):
            return self._on_host(variables)
        self._prepare(variables)
        assert self._summarize is not None
        summaries, tags = self._summarize(), self._tags
        size = sum(map(held_bytes, summaries))
        return Deferred(lambda: histograms_from_counts(tags, *map(np.asarray, summaries)), size)

    def will_trace(self) -> bool:
        """Whether the next call traces, which takes longer than the call itself."""
        return [variable_key(variable) for variable in self._variables()] != self._keys

    def _variables(self) -> list[Any]:
        return [variable for variable in weights(self._model) if _is_numeric(variable)]

    def _prepare(self, variables: list[Any]) -> None:
        keys = [variable_key(variable) for variable in variables]
        if keys != self._keys:
            self._keys, self._tags = keys, self._name(variables)
            summary = _compiled_summary if _is_worth_compiling(variables) else _traced_summary
            self._summarize = summary(variables)

    def _name(self, variables: list[Any]) -> list[str]:
        paths = VariablePaths(self._model)
        return [weight_tag(paths(variable)) for variable in variables]

    def _on_host(self, variables: list[Any]) -> Deferred:
        from tbx_keras.backends.numpy import float_bits_histogram

        pairs = [(tag, host_copy(variable)) for tag, variable in zip(self._name(variables), variables)]
        size = sum(held_bytes(array) for _, array in pairs)
        return Deferred(lambda: [float_bits_histogram(tag, array) for tag, array in pairs], size)


def _traced_summary(variables: list[Any]) -> Callable[[], Any]:
    from tbx_keras.backends.tensorflow_variables import traced

    return traced(_summarize, variables)


def _summarize(variables: list[Any]) -> Any:
    from tbx_keras.backends.tensorflow import summarize
    from tbx_keras.backends.tensorflow_variables import tensor_of

    return summarize([tensor_of(variable) for variable in variables])


def _is_worth_compiling(variables: list[Any]) -> bool:
    if sum(math.prod(variable.shape) for variable in variables) < LARGE:
        return False
    return all(map(_is_on_host, variables)) and host.is_compiled()


def _is_on_host(variable: Any) -> bool:
    from tbx_keras.backends.tensorflow_variables import tensor_of

    return host.serves(variable.dtype) and ":CPU:" in tensor_of(variable).device


def _compiled_summary(variables: list[Any]) -> Callable[[], Any]:
    from tbx_keras.backends.tensorflow_variables import tensor_of

    # No copies: the arrays are the variables' own memory, and are gone before training goes on.
    return lambda: host.summarize([np.asarray(tensor_of(variable)) for variable in variables])


def _is_numeric(variable: Any) -> bool:
    name = getattr(variable.dtype, "name", str(variable.dtype))
    return not any(word in name for word in ("string", "complex", "resource", "variant"))
