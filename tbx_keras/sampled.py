"""What a tapped step told, on its way to the writer.

Guarantees: on the training thread only a `Deferred` is put into the queue, or a tensor kept for the metrics
of the batch; the tensors are fetched on the writer's thread. A variable without a gradient is named once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tbx_keras.backends import keras_model
from tbx_keras.by_hand import NO_GRADIENTS
from tbx_keras.options import TRAIN, Options
from tbx_keras.recorders import gradients, model_graph
from tbx_keras.values import STEP, Deferred, Value, held_bytes

OBSERVING = "tbx_keras"  # name scope of what the tap adds to a step


def tap_for(model: Any, options: Options, faults: Any) -> Any:
    """The tap of a model; None where nothing inside its steps can be looked at, which is said."""
    if not keras_model.runs_on_tensorflow(model):
        return None
    if keras_model.replicas(model) > 1:
        if options.samples_steps:
            faults.warn_once(
                "replicas",
                "tbx_keras: steps of several replicas are not looked into: no gradients are recorded.",
            )
        return None
    from tbx_keras.taps.train_function import tap_of

    tap = tap_of(model, faults.report)
    if tap is None and options.captures_gradients:
        faults.warn_once("gradients by hand", NO_GRADIENTS)
    return tap


class SampledSteps:
    """Hands what the tap heard to a writer.

    Args:
        hub: The writer.
        options: Whether to record the loss of the very batch, and the graph of the first step traced.
        nonfinite: Told of gradients that are not finite.
    """

    def __init__(self, hub: Any, options: Options, nonfinite: Any) -> None:
        self._hub, self._nonfinite = hub, nonfinite
        self._keeps_losses, self._wants_graph = options.batch_metrics, options.write_graph
        self._losses: dict[int, Any] = {}
        self._awaited: int | None = None
        self._layout: Any = None
        self._told_missing: set[str] = set()

    def begin_fit(self) -> None:
        """Forget the last step of a `fit` that was broken off."""
        self._losses.clear()
        self._awaited = None

    def take_loss(self, step: int) -> Any:
        """The loss of the very batch as a device tensor, once; None if that step was not tapped."""
        return self._losses.pop(step, None)

    def awaits_gradients(self, step: int) -> bool:
        """Whether gradients of `step` were to come and have not."""
        return self._awaited == step

    def deliver_to(self, step: int, gradients: bool = False) -> Callable[[Any, Any], None]:
        """For the tap: takes the layout and the device tensors of `step`."""
        self._awaited = step if gradients else None

        def deliver(layout: Any, tensors: Any) -> None:
            self._awaited = None
            if layout is not self._layout:
                self._layout = layout
                self._tell_missing(layout, step)
                self._draw(layout.graph)
            if self._keeps_losses and "loss" in tensors:
                self._losses[step] = tensors["loss"]
            if "counts" in tensors:
                size = sum(map(held_bytes, tensors.values()))
                fetch = Deferred(lambda: self._values(step, layout, tensors), size)
                self._hub.write(TRAIN, step, fetch, axis=STEP)

        return deliver

    def _values(self, step: int, layout: Any, tensors: Any) -> list[Value]:
        arrays = {name: np.asarray(tensor) for name, tensor in tensors.items()}
        values = gradients.gradient_values(layout, arrays)
        self._nonfinite.see_gradients(step, gradients.nonfinite(layout, values))
        return values

    def _draw(self, graph: Any) -> None:
        if self._wants_graph and graph is not None:
            self._wants_graph = False
            self._hub.write(TRAIN, 0, model_graph.op_graph(graph, OBSERVING), axis=STEP)

    def _tell_missing(self, layout: Any, step: int) -> None:
        new = [path for path in layout.missing if path not in self._told_missing]
        self._told_missing.update(new)
        if new:
            self._hub.write(TRAIN, step, gradients.missing(new), axis=STEP)
