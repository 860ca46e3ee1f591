"""Comparison of two traces of one training step.

Tracing a step twice gives one graph twice, unless the step takes something from Python that changes: a number
drawn by NumPy, a counter in a dictionary, another layer in turn. Then only one of the traces may train.

Guarantees: runs nothing; what this package adds to a trace, and how it hands out its results, do not count.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tbx_keras.backends.tensorflow.graph_digest import digest
from tbx_keras.backends.tensorflow.stateful_ops import tf_functions
from tbx_keras.framework_types import Batch, Batches, Graph, TrainFunction

_OF_ITERATORS = (tf.data.Iterator, tf.distribute.DistributedIterator)
_OF_BATCH = "one_step_on_data"  # name of the function that Keras 3 calls with a batch of a generator


def trace_of(train_function: TrainFunction, iterator: Batches, data: Batch) -> Graph | None:
    """Get the graph of a train function for some data, traced now if it was not; None if it cannot be had.

    Args:
        train_function: The function, with the `tf.function`s that it encloses.
        iterator: Its argument.
        data: Specifications of a batch, for an iterator that is no iterator of TensorFlow's.
    """
    found = tf_functions(train_function, depth=3)  # within a wrapper too
    if isinstance(iterator, _OF_ITERATORS):
        steps = [one for one in found if _name(one) != _OF_BATCH]
        return steps[0].get_concrete_function(iterator).graph if steps else None
    steps = [one for one in found if _name(one) == _OF_BATCH]
    return steps[0].get_concrete_function(data).graph if steps else None


def _name(function: Any) -> str:
    return str(getattr(function.python_function, "__name__", ""))


def are_same(copy: Graph, original: Graph) -> bool:
    """Check that two traces have the same operations on the same variables and constants.

    Args:
        copy: A trace that may return more.
        original: The other one.
    """
    one, other = digest(copy), digest(original)
    return one.operations == other.operations and other.results <= one.results
