"""Recovery from a failure of the instrumented train function.

Guarantees: after `CreatedVariables.initialize`, the variables that a failed trace created hold the values
that its first run would have given them, so that the next trace of the same step finds them ready.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from tbx_keras.instrumentation.base import NAME_SCOPE

_OWN_NODE = re.compile(rf"\{{\{{(?:\w+ )?node (?:\S+ )?{NAME_SCOPE}[/_}}]")


class CreatedVariables:
    """Variables that are created while a step is traced, each with its initial value.

    Keras creates slots of optimizers, and layers their weights, in the first trace of a step. `tf.function`
    lifts them out and initializes them when the trace is complete: of a trace that fails, never.
    """

    def __init__(self) -> None:
        self._created: list[tuple[Any, Any]] = []

    @contextmanager
    def collected(self) -> Iterator[None]:
        """Collect the variables created in the block."""
        with tf.variable_creator_scope(self._create):
            yield

    def _create(self, next_creator: Callable[..., Any], **kwargs: Any) -> Any:
        variable = next_creator(**kwargs)
        self._created.append((variable, kwargs.get("initial_value")))
        return variable

    def initialize(self) -> None:
        """Give those that are not initialized their initial values."""
        for variable, value in self._created:
            if not bool(variable.is_initialized()):
                variable.assign(value() if callable(value) else value)


def is_of_own_node(error: tf.errors.OpError) -> bool:
    """Check whether an operation of ours failed in the step, or TensorFlow ran out of memory.

    A `MemoryError` of the user's Python code arrives as a `ResourceExhaustedError` too, and is none of ours.
    """
    exhausted = isinstance(error, tf.errors.ResourceExhaustedError) and "OOM when allocating" in str(error)
    return exhausted or bool(_OWN_NODE.search(str(error)))


def is_end_of_data(error: Exception) -> bool:
    """Check whether an exception is the end of the data."""
    return isinstance(error, (StopIteration, tf.errors.OutOfRangeError))
