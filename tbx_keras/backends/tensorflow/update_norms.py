"""Norms of the weights before an update and of the update itself, computed after the step.

Guarantees: runs on the device, after the function of the step has ended, and reads each variable once. The
step's own graph only hands out the weights as they were: a second read of the variables inside it lets
TensorFlow reorder the user's arithmetic (seen in a published GAN: last bits of a kernel after two steps).

Threading: call it on the thread that trains.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

from tbx_keras.backends.tensorflow import kernels
from tbx_keras.backends.tensorflow.variables import tensor_of, traced
from tbx_keras.framework_types import Variable
from tbx_keras.instrumentation.base import Tensors


class UpdateNorms:
    """Sums of squares for the rows of a step, by a function that is traced once for its variables."""

    def __init__(self) -> None:
        self._variables: tuple[Variable, ...] | None = None
        self._function: Callable[..., Tensors] = _sums_of_squares

    def __call__(self, variables: tuple[Variable, ...], before: Sequence[tf.Tensor], eager: bool) -> Tensors:
        """Compare weights with what they were.

        Args:
            variables: The variables of the rows.
            before: Their values before the update, in the same order.
            eager: Whether to run without a graph, as an eager step does, whose variables may change.

        Returns:
            `before` and `change`: float64 `(n,)`, sums of squares of the weights before the update, and of
            the update.
        """
        if eager:
            return _sums_of_squares(variables, before)
        if self._variables is not variables:
            self._variables = variables
            self._function = traced(_sums_of_squares, variables)
        return self._function(tuple(before))


def _sums_of_squares(variables: Sequence[Variable], before: Sequence[tf.Tensor]) -> Tensors:
    old: list[tf.Tensor] = []
    change: list[tf.Tensor] = []
    for variable, value in zip(variables, before):
        # One after the other, so that the difference of one variable at a time is in memory.
        with tf.control_dependencies(change[-1:]):
            after = kernels.as_float(tensor_of(variable))
            old.append(kernels.sum_squares(value))
            change.append(kernels.sum_squares(after - tf.cast(kernels.as_real(value), after.dtype)))
    return {"before": tf.stack(old), "change": tf.stack(change)}
