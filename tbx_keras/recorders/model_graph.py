"""Configuration, summary and operations of a model.

Guarantees: a model that does not serialize is no error: its summary is recorded and its graph is not.
"""

from __future__ import annotations

from typing import Any

from tbx_keras.framework_types import Graph, Model
from tbx_keras.instrumentation.base import NAME_SCOPE
from tbx_keras.keras_json import to_json
from tbx_keras.recorders.base import Moment, Recorder
from tbx_keras.scheduling.triggers import EveryNEpochs, WithEveryTrace
from tbx_keras.values import Deferred, KerasGraph, OpGraph, Text, Value

NODE_BYTES = 1024  # of an operation with its attributes; to count them exactly would take as long as to copy


class ModelSummary(Recorder):
    """Records `keras` and `model/summary`, once for a model.

    After its first epoch rather than before: by then every layer is built.
    """

    name = "model summary"
    trigger = EveryNEpochs(1)
    sampled, droppable = False, False
    hint = "write_graph=False turns it off."

    def __init__(self) -> None:
        self._described: int | None = None

    def will_trace(self) -> bool:
        """Return True: a description is made once for a model."""
        return True

    def step_of(self, moment: Moment) -> int:
        """Return 0: the description has no steps."""
        return 0

    def record(self, moment: Moment) -> list[Value]:
        """Describe a model that is new."""
        if moment.model is None or self._described == id(moment.model):
            return []
        self._described = id(moment.model)
        return model_description(moment.model)


class StepGraph(Recorder):
    """Records the operations of the first training step that is traced: TensorBoard draws them as a graph."""

    name = "graph"
    trigger = WithEveryTrace()
    sampled = False
    hint = "write_graph=False turns it off."

    def __init__(self) -> None:
        self._done = False

    def step_of(self, moment: Moment) -> int:
        """Return 0: a graph has no steps."""
        return 0

    def record(self, moment: Moment) -> list[Value] | Deferred:
        """Keep the graph of a step, to be copied later."""
        graph = None if moment.captured is None else moment.captured.schema.graph
        if self._done or graph is None:
            return []
        self._done = True
        return op_graph(graph, NAME_SCOPE)


def model_description(model: Model) -> list[Value]:
    """Make the conceptual graph of a functional or sequential model, and the summary of any model.

    Args:
        model: A Keras 3 or tf_keras model.

    Returns:
        `KerasGraph("keras", ...)` where TensorBoard can draw it, and `Text("model/summary", ...)`.
    """
    return [*_graph(model), Text("model/summary", _as_code(_summary(model)))]


def op_graph(graph: Graph, without: str) -> Deferred:
    """Keep the operations of a traced training step.

    Args:
        graph: A `tf.Graph`, complete.
        without: Name scope of operations to leave out: those that only observe.

    Returns:
        The graph, to be copied later, without the bodies of functions that it calls.
    """
    return Deferred(lambda: _op_graph(graph, without), NODE_BYTES * len(graph.get_operations()))


def _op_graph(graph: Graph, without: str) -> list[Value]:
    definition = graph.as_graph_def()
    definition.library.Clear()
    kept = _without_observers(list(definition.node), without)
    del definition.node[:]
    definition.node.extend(kept)
    return [OpGraph("train_step", definition.SerializeToString())]


def _without_observers(nodes: list[Any], scope: str) -> list[Any]:
    """Select the nodes outside of a scope that take nothing from it; nodes come after their inputs."""
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


def _graph(model: Model) -> list[Value]:
    # Only these have layers and edges in their configuration; a subclassed model is opaque.
    if not {kind.__name__ for kind in type(model).__mro__} & {"Functional", "Sequential"}:
        return []
    try:
        return [KerasGraph("keras", to_json(model))]
    except (NotImplementedError, TypeError, ValueError):  # a layer of the user's without a configuration
        return []


def _summary(model: Model) -> str:
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
    """Indent a text: TensorBoard's Markdown keeps columns in an indented block."""
    return "\n".join("    " + line for line in text.splitlines())
