"""The train function of several steps in tf_keras."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

from tbx_keras.framework_types import Model


@contextmanager
def several_steps(model: Model) -> Iterator[None]:
    """Let tf_keras make the train function of several steps in the last execution of an epoch.

    There it sets its number of steps in an execution to those that are left, and makes another function if
    that is one.
    """
    number = vars(model).get("_steps_per_execution")
    if not isinstance(number, tf.Variable):
        yield
        return
    before = number.numpy()
    number.assign(2)
    try:
        yield
    finally:
        number.assign(before)
