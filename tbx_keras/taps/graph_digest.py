"""Digest of a traced graph: what its operations compute, whatever their names and their order.

Each operation is described by its attributes and, recursively, by what its inputs are; functions that it
calls are followed into. What a graph takes from outside is described by its identity (a variable) or value (a
tensor).

Guarantees: runs nothing. Operations of this package, constants, and operations that only carry values from
one place to another, are followed but not counted.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tbx_keras.taps.statistics import NAME_SCOPE

Graph = Any  # tf.Graph
Digest = bytes
# How a function gets its arguments, reads variables and hands out its results, of all of which a copy with
# statistics has more.
_PLUMBING = re.compile(
    r"Const|Placeholder|ReadVariable|Identity|NoOp|.*Call|Optional|.*If|.*While|Case|_Arg|_Retval"
)
_SAME_AS_INPUT = ("Identity", "_Retval")
_PACK = "OptionalFromValue"  # all that a step of Keras 3 returns, in one
_OWN = re.compile(r"(?:^|/)" + NAME_SCOPE + r"(?:/|_\d|$)")
_NUMBERS = re.compile(rb"\d+")
_LARGE = 1 << 20  # elements: the value of a larger tensor from outside is not read


class GraphDigest(NamedTuple):
    """What a graph computes.

    Args:
        operations: Operations by what they compute.
        results: Tensors that it returns by what they are.
    """

    operations: Counter[Digest]
    results: Counter[Digest]


def digest(graph: Graph) -> GraphDigest:
    """Describe a graph by what it computes."""
    definition = graph.as_graph_def()
    functions = {one.signature.name: one for one in definition.library.function}
    captured = {inner.op.name: _outside(outer) for outer, inner in graph.captures}
    found = GraphDigest(Counter(), Counter())
    body = _Body(definition.node, functions, found, {}, captured)
    for node in definition.node:
        body.of_node(node.name)
    results = [one for one in graph.outputs if one.dtype != tf.variant]  # not what is packed, see above
    found.results.update(body.of_tensor(one.name) for one in results)
    return found


def _outside(tensor: Any) -> Digest:
    opaque = tensor.dtype in (tf.resource, tf.variant)
    if opaque or not isinstance(tensor, tf.__internal__.EagerTensor) or tf.size(tensor) > _LARGE:
        return _hash(b"identity", str(id(tensor)).encode())
    kind, array = f"{tensor.dtype} {tensor.shape}".encode(), np.asarray(tensor.numpy())
    data = repr(array.tolist()).encode() if array.dtype.kind in "OS" else array.tobytes()
    return _hash(b"value", kind, data)


def called_functions(node: Any) -> Iterator[str]:
    """Name the functions that a node calls, by the order of its attributes' names."""
    for name in sorted(node.attr):
        attribute = node.attr[name]
        yield from (one.name for one in (attribute.func, *attribute.list.func) if one.name)


class _Body:
    """The nodes of one graph or function, with the digests of its arguments.

    Args:
        nodes: The nodes.
        functions: All functions by name.
        found: Filled with the digests of the nodes.
        bodies: Digests of results by function and arguments, filled.
        known: Digests by the name of a node or an argument.
    """

    def __init__(
        self,
        nodes: Any,
        functions: dict[str, Any],
        found: GraphDigest,
        bodies: dict[Any, list[Digest]],
        known: dict[str, Digest],
    ) -> None:
        self._nodes = {node.name: node for node in nodes}
        self._functions, self._found, self._bodies = functions, found, bodies
        self._known: dict[str, Any] = dict(known)

    def of_node(self, name: str) -> Any:
        """Get the digest of a node, or of each output of one that calls a function."""
        waiting = [name]
        while waiting:  # no recursion: graphs are deep
            top = waiting[-1]
            missing = [one for one in self._sources(top) if one not in self._known]
            if missing and top not in self._known:
                waiting += missing
                continue
            waiting.pop()
            if top not in self._known:
                self._known[top] = self._describe(self._nodes[top])
        return self._known[name]

    def _sources(self, name: str) -> list[str]:
        node = self._nodes.get(name)
        inputs = [] if node is None else node.input
        return [one.split(":")[0] for one in inputs if not one.startswith("^")]

    def of_tensor(self, name: str) -> Digest:
        """Get the digest of a tensor, such as `node:0`, in a function `node:output:0`."""
        node, *place = name.split(":")
        found = self.of_node(node)
        if isinstance(found, list):
            index = int(place[-1]) if place else 0
            return found[index] if index < len(found) else b""
        return _hash(found, *(one.encode() for one in place if one != "0")) if place else found

    def _describe(self, node: Any) -> Any:
        inputs = [self.of_tensor(one) for one in node.input if not one.startswith("^")]
        if node.op in _SAME_AS_INPUT:
            return inputs[0]
        called = [name for name in called_functions(node) if name in self._functions]
        if called:
            return self._results(node, called, inputs)
        attributes = {name: one for name, one in node.attr.items() if not name.startswith("_")}
        parts = [part for name in sorted(attributes) for part in (name.encode(), _value(attributes[name]))]
        own = _hash(node.op.encode(), *parts, *inputs)
        if not _PLUMBING.match(node.op) and not _OWN.search(node.name):
            self._found.operations[own] += 1
        if node.op == _PACK:
            self._found.results.update(inputs)
        return own

    def _results(self, node: Any, called: list[str], inputs: list[Digest]) -> list[Digest]:
        """Digests of the outputs of a node that calls functions."""
        if _OWN.search(node.name):
            return []
        branches = node.op in ("If", "StatelessIf", "Case", "StatelessCase")
        loop = node.op in ("While", "StatelessWhile")
        arguments = inputs[1:] if branches else [_hash(b"loop", one) for one in inputs] if loop else inputs
        results = [self._call(name, arguments) for name in called]
        if len(results) == 1:
            return results[0]
        choice = inputs[0] if branches else b""
        return [_hash(node.op.encode(), choice, *column) for column in _columns(results)]

    def _call(self, name: str, arguments: list[Digest]) -> list[Digest]:
        key = name, tuple(arguments)
        if key not in self._bodies:
            function = self._functions[name]
            names = [one.name for one in function.signature.input_arg]
            body = _Body(
                function.node_def, self._functions, self._found, self._bodies, dict(zip(names, arguments))
            )
            for node in function.node_def:
                body.of_node(node.name)
            returned = [function.ret[one.name] for one in function.signature.output_arg]
            self._bodies[key] = [body.of_tensor(one) for one in returned]
        return self._bodies[key]


def _columns(results: list[list[Digest]]) -> Iterator[tuple[Digest, ...]]:
    """Outputs of several functions, place by place; a condition of a loop has one for all."""
    longest = max(map(len, results))
    for index in range(longest):
        yield tuple(one[index] if index < len(one) else one[-1] for one in results if one)


def _value(attribute: Any) -> bytes:
    if attribute.func.name or attribute.list.func:
        return b""
    if attribute.s:  # names of functions and of calls into Python are numbered on
        return _NUMBERS.sub(b"", attribute.s)
    return bytes(attribute.SerializeToString(deterministic=True))


def _hash(*parts: bytes) -> Digest:
    made = hashlib.blake2b(digest_size=16)
    for part in parts:
        made.update(len(part).to_bytes(8, "little"))
        made.update(part)
    return made.digest()
