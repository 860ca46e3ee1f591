"""Pieces of graph that are added to a step, and do work only where the step is sampled."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import tensorflow as tf

from tbx_keras.framework_types import Graph

Result = TypeVar("Result")


def traced_graph() -> Graph | None:
    """Get the graph that is being traced; None where operations run eagerly."""
    return None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()


def when(sampled: tf.Tensor | None, full: Callable[[], Result], empty: Callable[[], Result]) -> Result:
    """Run `full()` where sampled, else `empty()`; without a condition no branch is made."""
    return full() if sampled is None else tf.cond(sampled, full, empty)


def nothing(dtype: tf.DType, rank: int) -> tf.Tensor:
    """Make a tensor without elements."""
    return tf.zeros([0] * rank, dtype)
