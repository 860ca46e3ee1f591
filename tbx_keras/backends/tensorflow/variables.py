"""Values of TensorFlow variables, and how far they have moved.

Guarantees: nothing is written to a variable, and nothing is read back to the host.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import tensorflow as tf

from tbx_keras.backends.tensorflow.kernels import as_real
from tbx_keras.framework_types import Tensor, Variable


def tensor_of(variable: Variable) -> tf.Tensor:
    """Get the value of a Keras, tf_keras or TensorFlow variable, in the dtype that it is stored in."""
    inner = getattr(variable, "_variable", None)  # tf_keras' AutoCastVariable would cast to half
    value = getattr(variable, "_value", inner if isinstance(inner, tf.Variable) else variable)
    return value.value() if isinstance(value, tf.Variable) else tf.convert_to_tensor(value)


def outside_of_scopes(make: Callable[[], Any]) -> Any:
    """Make something where no scope of a strategy, a device, Keras or a trace changes it: on a new thread."""
    with ThreadPoolExecutor(1) as outside:
        return outside.submit(make).result()


def traced(function: Callable[..., Any], *first: Any) -> Callable[..., Any]:
    """Make a `tf.function` of a function with its first arguments bound.

    TensorFlow counts traces by code object, and would warn of one function for each of many models as of
    retracing. A partial function has none.

    Args:
        function: The function.
        first: Its first arguments, such as the variables of a model.
    """
    return tf.function(functools.partial(function, *first), autograph=False)


def squared_distances(now: list[Callable[[], Tensor]]) -> Callable[[Sequence[Tensor]], tf.Tensor]:
    """Make a traced function that compares values with references.

    Args:
        now: Functions that give the values as they are.

    Returns:
        Function from a reference (a tensor, or a variable that stays as it is) for each value to a float32
        tensor `(n, 2)`: the sum of squares of the difference, and that of the reference.
    """
    measure = traced(_measure, now)
    return lambda references: measure([tensor_of(reference) for reference in references])


def _measure(now: list[Callable[[], Tensor]], references: list[tf.Tensor]) -> tf.Tensor:
    rows: list[tf.Tensor] = []
    for read, reference in zip(now, references):
        with tf.control_dependencies(rows[-1:]):  # one after the other: memory for one difference
            rows.append(_squares(tensor_of(read()), reference))
    return tf.stack(rows)


def _squares(value: tf.Tensor, reference: tf.Tensor) -> tf.Tensor:
    value, reference = (tf.cast(as_real(one), tf.float32) for one in (value, reference))
    return tf.stack([tf.reduce_sum(tf.square(value - reference)), tf.reduce_sum(tf.square(reference))])
