"""Comparison of two traces of one training step.

Tracing a step twice gives one graph twice, unless the step takes something from Python that changes: a number
drawn by NumPy, a counter in a dictionary. Then only one of the traces may train.

Guarantees: runs nothing; what this package adds to a trace, and how it hands out its results, do not count.
"""

from __future__ import annotations

import pickle
import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from tbx_keras.taps.inner_state import tf_functions
from tbx_keras.taps.statistics import NAME_SCOPE

Graph = Any  # tf.Graph
# How a function gets its arguments, reads variables and hands out its results, of all of which a copy with
# statistics has more.
_PLUMBING = re.compile(
    r"Placeholder|ReadVariable|Identity|NoOp|.*Call|Optional|.*If|.*While|Case|_Arg|_Retval"
)
_OWN = re.compile(r"(?:^|/)" + NAME_SCOPE + r"(?:/|_\d|$)")
_NUMBERS = re.compile(rb"\d+")


def random_state() -> bytes:
    """Read the state of the global random sequences of Python and NumPy."""
    return pickle.dumps((random.getstate(), np.random.get_state()))


def trace_of(train_function: Any, iterator: Any) -> Graph | None:
    """Get the graph of a train function for some data, traced now if it was not; None if it cannot be had."""
    found = tf_functions(train_function)
    if not found or not isinstance(iterator, tf.data.Iterator):
        return None
    return found[0].get_concrete_function(iterator).graph


def are_same(one: Graph, other: Graph) -> bool:
    """Check that two traces have the same operations with the same constants."""
    return _operations(one) == _operations(other)


def _operations(graph: Graph) -> Counter[Any]:
    definition = graph.as_graph_def()
    functions = {one.signature.name: one.node_def for one in definition.library.function}
    nodes = _reached(definition.node, functions)
    return Counter(_described(node) for node in nodes if not _PLUMBING.match(node.op))


def _reached(nodes: Iterable[Any], functions: dict[str, Any]) -> Iterator[Any]:
    """Yield the nodes of a graph and of the functions that it calls, those of each function once."""
    waiting, seen = [nodes], set()
    while waiting:
        for node in waiting.pop():
            if _OWN.search(node.name):
                continue
            yield node
            called = [name for name in _called(node) if name in functions and name not in seen]
            seen.update(called)
            waiting.extend(functions[name] for name in called)


def _called(node: Any) -> Iterator[str]:
    for attribute in node.attr.values():
        yield from (one.name for one in (attribute.func, *attribute.list.func) if one.name)


def _described(node: Any) -> Any:
    attributes = ((name, _value(one)) for name, one in node.attr.items() if not name.startswith("_"))
    return node.op, tuple(sorted(attributes))


def _value(attribute: Any) -> bytes:
    if attribute.func.name or attribute.list.func:
        return b""
    if attribute.s:  # names of functions and of calls into Python are numbered on
        return _NUMBERS.sub(b"", attribute.s)
    return bytes(attribute.SerializeToString(deterministic=True))
