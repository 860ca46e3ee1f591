"""State inside a compiled step, by which two copies of the step would come to differ.

So do operations that draw random numbers by a seed (dropout of tf_keras, `tf.random.normal` in a layer or a
training step): each copy of such an operation has its own place in the sequence. Keras 3 keeps the state of
its own random layers in variables of the model, which all copies share.

Guarantees: only looks.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import CellType
from typing import Any

from tbx_keras.backends.tensorflow.graph_digest import called_functions
from tbx_keras.framework_types import Graph, Model, Node, TrainFunction
from tbx_keras.keras_model import iterations

TF_FUNCTION = "train_tf_function"  # where tf_keras keeps the `tf.function` of its train function


def was_traced(model: Model, original: TrainFunction) -> bool:
    """Check whether a train function was traced; where that cannot be seen, whether the model trained."""
    found = [*tf_functions(getattr(model, TF_FUNCTION, None)), *tf_functions(original)]
    counts = [one.experimental_get_tracing_count() for one in found]
    return any(counts) if counts else bool(iterations(model))


def tf_functions(function: Any, depth: int = 2) -> list[Any]:
    """Find the `tf.function`s among a function and what it encloses, the outermost ones first.

    Args:
        function: The function.
        depth: Levels to look at: 1 for the function alone.
    """
    found, level = [], [function]
    for _ in range(depth):
        found += [one for one in level if _is_tf_function(one)]
        level = [inner for one in level if not _is_tf_function(one) for inner in _enclosed(one)]
    return found


def draws_by_seed(graph: Graph) -> bool:
    """Check whether a traced step draws random numbers by a seed, at any depth.

    Only operations that run count: initial values of variables are drawn in the graph too, and lifted out.
    """
    nodes = [operation.node_def for operation in _running(graph)]
    library = {one.signature.name: one.node_def for one in graph.as_graph_def().library.function}
    for node in nodes:  # grows
        for name in called_functions(node):
            nodes += library.pop(name, ())
    return _has_seed(nodes)


def _running(graph: Graph) -> list[Any]:
    """List the operations that the results and side effects of a graph depend on."""
    found, waiting = {}, [*(one.op for one in graph.outputs), *graph.control_outputs]
    while waiting:
        operation = waiting.pop()
        if operation.name not in found:
            found[operation.name] = operation
            waiting += [*(one.op for one in operation.inputs), *operation.control_inputs]
    return list(found.values())


def _has_seed(nodes: Iterable[Node]) -> bool:
    return any(
        node.attr["seed"].i or node.attr["seed2"].i
        for node in nodes
        if "seed" in node.attr and "seed2" in node.attr
    )


def _enclosed(function: Any) -> list[Any]:
    cells = getattr(function, "__closure__", None) or ()
    return [cell.cell_contents for cell in cells if cell != CellType()]


def _is_tf_function(candidate: Any) -> bool:
    return hasattr(candidate, "experimental_get_tracing_count")
