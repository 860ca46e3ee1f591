"""State that a compiled step keeps in itself, so that two copies of the step would part ways.

So do operations that draw random numbers by a seed (dropout of tf_keras, `tf.random.normal` in a layer or a
training step): each copy of such an operation has its own place in the sequence. So do numbers and flags in
Python that tracing changes, such as the counter of tf_keras' Nadam or a `self.calls += 1` in a step: a
second trace would find other ones. Keras 3 keeps the state of its own random layers in variables of the
model, which all copies share.

Guarantees: only looks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import CellType
from typing import Any

from tbx_keras.backends.keras_model import all_layers, innermost, iterations, optimizers
from tbx_keras.taps.graph_digest import called_functions

TF_FUNCTION = "train_tf_function"  # where tf_keras keeps the `tf.function` of its train function


def was_traced(model: Any, original: Any) -> bool:
    """Tell if a train function has been traced; where that cannot be seen, if the model has been trained."""
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


def draws_by_seed(graph: Any) -> bool:
    """Tell if a traced step draws random numbers by a seed, at any depth.

    Only operations that run count: initial values of variables are drawn in the graph too, and lifted out.
    """
    nodes = [operation.node_def for operation in _running(graph)]
    library = {one.signature.name: one.node_def for one in graph.as_graph_def().library.function}
    for node in nodes:  # grows
        for name in called_functions(node):
            nodes += library.pop(name, ())
    return _has_seed(nodes)


def _running(graph: Any) -> list[Any]:
    """The operations that the results of a graph, and what it does besides, depend on."""
    found, waiting = {}, [*(one.op for one in graph.outputs), *graph.control_outputs]
    while waiting:
        operation = waiting.pop()
        if operation.name not in found:
            found[operation.name] = operation
            waiting += [*(one.op for one in operation.inputs), *operation.control_inputs]
    return list(found.values())


class PythonState:
    """Numbers and flags in the attributes of a model, its layers and its optimizers.

    Args:
        model: The model as it is before a trace.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._before = dict(_attributes(model))

    def changed(self) -> bool:
        """Tell if any of them has another value now; attributes that are new do not count."""
        now = dict(_attributes(self._model))
        return any(now.get(key, value) != value for key, value in self._before.items())


def _attributes(model: Any) -> Iterator[tuple[tuple[int, str], Any]]:
    for layer in {id(one): one for one in (model, *all_layers(model))}.values():
        yield from _plain(layer, private=False)
    for optimizer in optimizers(model):
        yield from _plain(innermost(optimizer), private=True)


def _plain(owner: Any, private: bool) -> Iterator[tuple[tuple[int, str], Any]]:
    for name, value in list(vars(owner).items()):
        shown = private or not name.startswith("_")
        # A first trace of any model sets flags of Keras, such as `built`.
        flag = type(value) is bool and not private and name != "built"
        if shown and (flag or type(value) in (int, float)):
            yield (id(owner), name), value


def _has_seed(nodes: Iterable[Any]) -> bool:
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
