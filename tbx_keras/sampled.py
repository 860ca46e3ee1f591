"""What a sampled step told, on its way to the writer.

Guarantees: on the training thread only a function is put into the queue; the tensors are fetched on the
writer's thread. A variable without a gradient is named once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tbx_keras.recorders import gradients, model_graph
from tbx_keras.values import Value

OBSERVING = "tbx_keras"  # name scope of what the tap adds to a step


class SampledSteps:
    """Hands what the tap heard to a writer.

    Args:
        hub: The writer.
        run: Run that the values belong to.
        own_loss: Whether to record the loss of the very batch.
        graph: Whether to record the graph of the first step that was traced.
    """

    def __init__(self, hub: Any, run: str, own_loss: bool, graph: bool) -> None:
        self._hub, self._run, self._own_loss, self._wants_graph = hub, run, own_loss, graph
        self._told_missing: set[str] = set()

    def deliver_to(self, step: int) -> Callable[[Any, Any], None]:
        """For the tap: takes the layout and the device tensors of `step`."""

        def deliver(layout: Any, tensors: Any) -> None:
            self._tell_missing(layout, step)
            self._draw(layout.graph)
            self._hub.write(self._run, step, lambda: self._values(layout, tensors))

        return deliver

    def _values(self, layout: Any, tensors: Any) -> list[Value]:
        arrays = {name: np.asarray(tensor) for name, tensor in tensors.items()}
        own_loss = gradients.own_loss(arrays) if self._own_loss else []
        return [*own_loss, *gradients.gradient_values(layout, arrays)]

    def _draw(self, graph: Any) -> None:
        if self._wants_graph and graph is not None:
            self._wants_graph = False
            self._hub.write(self._run, 0, lambda: model_graph.op_graph(graph, OBSERVING))

    def _tell_missing(self, layout: Any, step: int) -> None:
        new = [path for path in layout.missing if path not in self._told_missing]
        self._told_missing.update(new)
        if new:
            self._hub.write(self._run, step, gradients.missing(new))
