"""Variables that a traced step assigns to.

Guarantees: only looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tbx_keras.framework_types import Graph, Tensor, Variable

_ASSIGNING = (
    "Assign",
    "ResourceApply",
    "ResourceSparseApply",
    "ResourceScatter",
    "ResourceStridedSliceAssign",
)


def assigned_variables(graph: Graph, variables: Sequence[Variable]) -> list[Variable]:
    """Find those of some variables that an operation of a graph changes.

    Args:
        graph: A `FuncGraph`, complete or not; the bodies of functions that it calls are not looked into.
        variables: Variables of Keras, tf_keras or TensorFlow.
    """
    changed = {
        id(_outermost(operation.inputs[0], graph))
        for operation in graph.get_operations()
        if operation.type.startswith(_ASSIGNING) and len(operation.inputs)
    }
    return [one for one in variables if id(_handle(one)) in changed]


def _handle(variable: Variable) -> Any:
    inner = getattr(variable, "_value", getattr(variable, "_variable", variable))
    return getattr(inner, "handle", None)


def _outermost(tensor: Tensor, graph: Graph) -> Tensor:
    """Follow the argument of a function to what was captured for it, through all functions around."""
    while graph is not None:
        outside = {id(inner): outer for outer, inner in getattr(graph, "captures", ())}
        if id(tensor) not in outside:
            return tensor
        tensor, graph = outside[id(tensor)], getattr(graph, "outer_graph", None)
    return tensor
