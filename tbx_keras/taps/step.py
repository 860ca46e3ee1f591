"""A training step that also returns statistics of its gradients and its loss.

Guarantees: makes the update of the original step, bit for bit. An error of the capture is reported and the
step goes on without statistics; an error of the user's code passes through unchanged, and
`in_user_code` says so.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from tbx_keras.backends.keras_model import VariablePaths, is_tf_keras, uses_xla
from tbx_keras.taps.capture import CapturedStep, Report, Update, capturing_losses, capturing_updates
from tbx_keras.taps.inner_state import PythonState, draws_by_seed
from tbx_keras.taps.interception import as_converted
from tbx_keras.taps.side_channel import SideChannel
from tbx_keras.taps.statistics import Layout, Tensors, gather, take_before, traced_graph

LOGS, CAPTURED = "tbx_logs", "tbx_captured"


class ObservedStep:
    """The `train_step` of a model, with statistics beside its logs.

    Args:
        model: The model.
        gradients: Whether to capture gradients, or the batch's loss only.
        sampled: Boolean variable: whether to compute statistics in this run of the step; None for always.
        report: Called with a place and an exception.
        channel: Takes the statistics, where the step has to return its logs alone.
    """

    def __init__(
        self,
        model: Any,
        gradients: bool,
        sampled: tf.Variable | None,
        report: Report,
        channel: SideChannel | None = None,
    ) -> None:
        self._model, self._gradients, self._sampled, self._report = model, gradients, sampled, report
        self._channel = channel
        self._train_step = _users_step(model)
        self.layout = Layout()
        self.traces = 0
        self.keeps_state = False  # a second compiled copy of the step would go another way
        self._unseen: list[Any] = []  # graphs that are complete only after the run
        self.graph: Any = None  # the outermost one of the latest trace
        self.data: Any = None  # the structure of the batch in it
        self.was_entered = False  # in any run
        self.begin_run(gradients)

    def begin_run(self, gradients: bool) -> None:
        """Forget what is known of the run before, and look the model's step up, as the original does.

        Args:
            gradients: Whether the gradients of this run are asked for.
        """
        self._asked, self._thread = gradients, threading.get_ident()
        if is_tf_keras(self._model):  # which looks its step up in each run; Keras 3 keeps the first
            self._train_step = _users_step(self._model)
        self.entered = self.in_user_code = self.finished = False
        self.eager_logs: Any = None

    def __call__(self, data: Any) -> dict[str, Any] | None:
        # Trivial, since AutoGraph may convert it: the user's step is to be converted, ours is not.
        return self._run(data, tf.__internal__.autograph.control_status_ctx())

    @tf.autograph.experimental.do_not_convert
    def _run(self, data: Any, conversion: Any) -> dict[str, Any] | None:
        if self.in_user_code or self._is_of_another_fit():  # the user's step calls itself
            return as_converted(self._train_step, conversion)(data)
        self.entered = self.was_entered = True
        self.traces += not tf.executing_eagerly()
        captured, before = CapturedStep(), self._python_state()
        with self._capturing(captured):
            logs = self._run_user_step(data, conversion)
        self.eager_logs = logs if tf.executing_eagerly() else None
        with self._reporting("looking for state of a step"):
            self._look_for_state(before, data)
        outputs = logs if logs is None else self._hand_out(logs, captured)  # Keras refuses None, in its words
        self.finished = True
        return outputs

    def _is_of_another_fit(self) -> bool:
        """Whether another thread trains the model too, and traces the original.

        The replicas of a strategy have threads of their own, too.
        """
        return threading.get_ident() != self._thread and not tf.distribute.has_strategy()

    def _hand_out(self, logs: Any, captured: CapturedStep) -> Any:
        tensors = self._describe(captured)
        if self._channel is None:
            return {LOGS: logs, CAPTURED: tensors}
        with self._reporting("describing the gradients of a step"):
            self._channel.put(tensors, self._sampled)
        return logs

    def _run_user_step(self, data: Any, conversion: Any) -> Any:
        self.in_user_code = True
        logs = as_converted(self._train_step, conversion)(data)
        self.in_user_code = False
        return logs

    @contextlib.contextmanager
    def _capturing(self, captured: CapturedStep) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            with self._reporting("capturing the loss of a step"):
                stack.enter_context(capturing_losses(self._model, captured))
            with self._reporting("capturing the gradients of a step"):
                if self._gradients and (self._asked or not tf.executing_eagerly()):
                    prepare = _Preparation(self._sampled)
                    stack.enter_context(capturing_updates(captured, prepare, self._report))
            yield

    def _python_state(self) -> PythonState | None:
        with self._reporting("looking for state of a step"):
            return None if tf.executing_eagerly() else PythonState(self._model)
        return None

    def _look_for_state(self, before: PythonState | None, data: Any) -> None:
        if before is not None:
            self.keeps_state = self.keeps_state or before.changed()
            self.graph = _outermost(tf.compat.v1.get_default_graph())
            self.data = tf.nest.map_structure(_specification, data)
            self._unseen.append(self.graph)

    def look_at_traces(self) -> None:
        """After a run: see whether what was traced draws random numbers, inside the step or around it."""
        graphs, self._unseen = self._unseen, []
        if not graphs:  # nothing was traced in this run, as in nearly all
            return
        with self._reporting("looking for state of a step"):
            if not uses_xla(self._model):  # which takes no seed
                self.keeps_state = self.keeps_state or any(map(draws_by_seed, graphs))

    def _describe(self, captured: CapturedStep) -> Tensors:
        with self._reporting("describing the gradients of a step"):
            condition = None if self._sampled is None else self._sampled.read_value()
            paths, xla = VariablePaths(self._model), uses_xla(self._model)
            self.layout, tensors = gather(captured, paths, xla, condition)
            return tensors
        return {}

    @contextlib.contextmanager
    def _reporting(self, where: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._report(where, error)


def _users_step(model: Any) -> Callable[[Any], Any]:
    step = model.train_step
    # Within a step of ours, as where a step trains the model once more.
    return step._train_step if isinstance(step, ObservedStep) else step


def _specification(leaf: Any) -> Any:
    return tf.type_spec_from_value(leaf) if tf.is_tensor(leaf) else leaf


def _outermost(graph: Any) -> Any:
    while isinstance(getattr(graph, "outer_graph", None), tf.__internal__.FuncGraph):
        graph = graph.outer_graph
    return graph


class _Preparation:
    """Keeps the weights before each update, where the update can be described."""

    def __init__(self, sampled: tf.Variable | None) -> None:
        self._sampled = sampled
        self._graph = traced_graph()

    def __call__(self, update: Update) -> bool:
        if traced_graph() is not self._graph:
            return False  # a tensor made inside a branch, a loop or another function cannot leave it
        take_before(update, None if self._sampled is None else self._sampled.read_value())
        return True
