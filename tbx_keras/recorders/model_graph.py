"""Configuration and summary of a model.

Guarantees: a model that does not serialize is no error: its summary is recorded and its graph is not.
"""

from __future__ import annotations

from typing import Any

from tbx_keras.values import Deferred, KerasGraph, OpGraph, Text, Value

NODE_BYTES = 1024  # of an operation with its attributes; to count them exactly would take as long as to copy


def model_description(model: Any) -> list[Value]:
    """The conceptual graph of a functional or sequential model, and the summary of any model.

    Args:
        model: A Keras 3 or tf_keras model.

    Returns:
        `KerasGraph("keras", ...)` where TensorBoard can draw it, and `Text("model/summary", ...)`.
    """
    return [*_graph(model), Text("model/summary", _as_code(_summary(model)))]


def op_graph(graph: Any, without: str) -> Deferred:
    """The operations of a traced training step, which TensorBoard draws as the run's graph.

    Args:
        graph: A `tf.Graph`, complete.
        without: Name scope of operations to leave out: those that only observe.

    Returns:
        The graph, to be copied later, without the bodies of functions that it calls.
    """
    return Deferred(lambda: _op_graph(graph, without), NODE_BYTES * len(graph.get_operations()))


def _op_graph(graph: Any, without: str) -> list[Value]:
    definition = graph.as_graph_def()
    definition.library.Clear()
    kept = _without_observers(list(definition.node), without)
    del definition.node[:]
    definition.node.extend(kept)
    return [OpGraph("train_step", definition.SerializeToString())]


def _without_observers(nodes: list[Any], scope: str) -> list[Any]:
    """The nodes outside of a scope that take nothing from it; nodes come after their inputs."""
    left_out: set[str] = set()
    for node in nodes:
        sources = {name.split(":")[0] for name in node.input if not name.startswith("^")}
        if node.name.startswith(scope) or sources & left_out:
            left_out.add(node.name)
    kept = [node for node in nodes if node.name not in left_out]
    for node in kept:
        inputs = [name for name in node.input if name.lstrip("^") not in left_out]
        del node.input[:]
        node.input.extend(inputs)
    return kept


def _graph(model: Any) -> list[Value]:
    # Only these have layers and edges in their configuration; a subclassed model is opaque.
    if not {kind.__name__ for kind in type(model).__mro__} & {"Functional", "Sequential"}:
        return []
    try:
        return [KerasGraph("keras", model.to_json())]
    except (NotImplementedError, TypeError, ValueError):  # a layer of the user's without a configuration
        return []


def _summary(model: Any) -> str:
    lines: list[str] = []
    try:
        # Keras's own: published models override it with fewer arguments, to print an inner model's.
        kinds = [kind for kind in type(model).__mro__ if _is_keras(kind, "summary")]
        if not kinds:  # a layer, say, in a loop of the user's
            return type(model).__name__
        vars(kinds[0])["summary"](model, print_fn=lambda line, **_: lines.append(str(line)), line_length=80)
    except ValueError:  # tf_keras: not yet built
        return f"{type(model).__name__} (not yet built)"
    return "\n".join(lines)


def _is_keras(kind: type, method: str) -> bool:
    return method in vars(kind) and kind.__module__.split(".")[0] in ("keras", "tf_keras")


def _as_code(text: str) -> str:
    """Markdown of TensorBoard keeps columns in an indented block."""
    return "\n".join("    " + line for line in text.splitlines())
