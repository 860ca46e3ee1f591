"""A training step that also returns statistics of its gradients and its loss.

Guarantees: makes the update of the original step, bit for bit. An error of the capture is reported and the
step goes on without statistics; an error of the user's code passes through unchanged, and
`in_user_code` says so.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from tbx_keras.backends.keras_model import VariablePaths, uses_xla
from tbx_keras.taps.capture import CapturedStep, Report, Update, capturing_losses, capturing_updates
from tbx_keras.taps.inner_state import PythonState, draws_by_seed
from tbx_keras.taps.interception import as_converted
from tbx_keras.taps.kept_functions import runs_in_kept_function
from tbx_keras.taps.statistics import Layout, Tensors, gather, take_before, traced_graph

LOGS, CAPTURED = "tbx_logs", "tbx_captured"


class ObservedStep:
    """The `train_step` of a model, with statistics beside its logs.

    Args:
        model: The model.
        gradients: Whether to capture gradients, or the batch's loss only.
        sampled: Boolean variable: whether to compute statistics in this run of the step; None for always.
        report: Called with a place and an exception.
    """

    def __init__(self, model: Any, gradients: bool, sampled: tf.Variable | None, report: Report) -> None:
        self._model, self._gradients, self._sampled, self._report = model, gradients, sampled, report
        self._train_step: Callable[[Any], Any] = model.train_step
        self.layout = Layout()
        self.traces = 0
        self.keeps_state = False  # a second compiled copy of the step would go another way
        self.entered = self.in_user_code = False
        self.train_functions: tuple[Any, Any] = (None, None)  # the one around this step, and the original
        self.kept = False  # its trace would serve the original too: left without statistics

    def __call__(self, data: Any) -> dict[str, Any] | None:
        # Trivial, since AutoGraph may convert it: the user's step is to be converted, ours is not.
        return self._run(data, tf.__internal__.autograph.control_status_ctx())

    @tf.autograph.experimental.do_not_convert
    def _run(self, data: Any, conversion: Any) -> dict[str, Any] | None:
        self.entered = True
        if self._is_kept():
            return self._run_user_step(data, conversion)
        self.traces += not tf.executing_eagerly()
        captured, before = CapturedStep(), self._python_state()
        with self._capturing(captured):
            logs = self._run_user_step(data, conversion)
        with self._reporting("looking for state of a step"):
            self._look_for_state(before)
        if logs is None:  # Keras refuses that, in its own words
            return None
        return {LOGS: logs, CAPTURED: self._describe(captured)}

    def _is_kept(self) -> bool:
        with self._reporting("looking at the train function"):
            self.kept = self.kept or runs_in_kept_function(*self.train_functions)
        return self.kept

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
                if self._gradients:
                    prepare = _Preparation(self._sampled)
                    stack.enter_context(capturing_updates(captured, prepare, self._report))
            yield

    def _python_state(self) -> PythonState | None:
        with self._reporting("looking for state of a step"):
            return None if tf.executing_eagerly() else PythonState(self._model)
        return None

    def _look_for_state(self, before: PythonState | None) -> None:
        if before is not None:
            drawn = draws_by_seed(tf.compat.v1.get_default_graph())
            self.keeps_state = self.keeps_state or drawn or before.changed()

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
