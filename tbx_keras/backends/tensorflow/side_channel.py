"""Statistics of a step, handed out beside the values that it returns.

A model that makes its train function itself may read, change or replace what a step returns, and let one
trace serve several train functions. There the step returns its logs alone, as without us, and its statistics
go into variables (of an eager step: into an attribute).

Guarantees: the variables live as long as the trace that assigns to them. After `take` they hold nothing, so
that a step that never came this way gives nothing.

Threading: use it on the thread that trains.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from tbx_keras.backends.tensorflow.captures.gradients import SNAPSHOTS
from tbx_keras.backends.tensorflow.sampling import nothing
from tbx_keras.backends.tensorflow.variables import outside_of_scopes
from tbx_keras.instrumentation.base import NAME_SCOPE, Tensors

_COLLECTION = "tbx_keras"
_OF_ROWS = (
    "counts",
    "statistics",
    "clipped",
    SNAPSHOTS,
)  # empty all together, where the step was not sampled


class SideChannel:
    """Takes the statistics of a step, eager or traced, to where they can be read after it."""

    def __init__(self) -> None:
        self._variables: dict[str, list[tf.Variable]] = {}
        self._eager: Tensors = {}

    def put(self, tensors: Tensors, *needed: tf.Variable | None) -> None:
        """Hand out the statistics of a step; call it inside the step.

        Args:
            tensors: As the captures of the step gave them.
            needed: Variables that the trace reads, to be kept with it.
        """
        if tf.executing_eagerly():
            self._eager = tensors
            return
        with tf.name_scope(NAME_SCOPE):
            for name, one in tensors.items():
                self._assign(name, one if isinstance(one, tuple) else (one,))
        graph = tf.compat.v1.get_default_graph()
        graph.add_to_collection(_COLLECTION, (needed, dict(self._variables)))

    def _assign(self, name: str, tensors: Sequence[tf.Tensor]) -> None:
        known = self._variables.get(name, [])
        if [one.dtype for one in known] != [one.dtype for one in tensors]:
            known = self._variables[name] = [_variable(one.dtype) for one in tensors]
        for variable, tensor in zip(known, tensors):
            variable.assign(tensor)

    def take(self) -> Tensors:
        """Read what the last step handed out, once; nothing where it handed out nothing."""
        taken, self._eager = dict(self._eager), {}
        for name, variables in self._variables.items():
            values = tuple(variable.read_value() for variable in variables)
            for variable in variables:
                variable.assign(nothing(variable.dtype, 1))
            taken[name] = values if name == SNAPSHOTS else values[0]
        return _filled(taken)


def _filled(tensors: Tensors) -> Tensors:
    def is_filled(name: str) -> bool:
        size = tf.size(tensors["counts" if name in _OF_ROWS else name])
        return bool(size > 0)

    return {name: one for name, one in tensors.items() if is_filled(name)}


def _variable(dtype: tf.DType) -> tf.Variable:
    return outside_of_scopes(
        lambda: tf.Variable(nothing(dtype, 1), trainable=False, shape=tf.TensorShape(None))
    )
