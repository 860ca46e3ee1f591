"""A copy of the train function around a step that listens to itself.

Guarantees: the copy is made by the model, as the original was, and makes the same update. An error in
describing the step is reported and the step goes on; an error of the step passes through unchanged; where
the copy fails before its first step, as by a compiler, the original is used from then on.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from tbx_keras.backends.keras_model import VariablePaths
from tbx_keras.taps.inner_state import TF_FUNCTION, keeps_state
from tbx_keras.taps.listener import Update, listening, replaced
from tbx_keras.taps.statistics import Layout, Tensors, gather, take_before

Report = Callable[[str, Exception], None]
Deliver = Callable[[Layout, Tensors], None]
LOGS, HEARD = "tbx_logs", "tbx_heard"


class KeepsState(Exception):
    """The step holds state that a second copy of it would not share."""


class TappedFunction:
    """The copy of one train function.

    Args:
        model: The model.
        original: Its own train function.
        gradients: Whether to hear gradients, or the batch's loss only.
        conditional: Whether the statistics are behind a condition, because this copy runs every step.
        probing: Whether to give up with `KeepsState`, before the first step, where two copies would part.
        report: Called with a place and an exception.
    """

    def __init__(
        self, model: Any, original: Any, gradients: bool, conditional: bool, probing: bool, report: Report
    ) -> None:
        self.original = original
        self._probing = probing
        self._keeps_state = False
        self._sampled = tf.Variable(False, trainable=False) if conditional else None
        self._model, self._gradients, self._report = model, gradients, report
        self._layout = Layout()
        self._train_step = model.train_step
        self._in_step = False
        self._broken = False
        self.traces = 0
        self._function = self._make()

    def __call__(self, iterator: Any, gradients: bool, deliveries: list[tuple[bool, Deliver]]) -> Any:
        if self._broken:
            return self.original(iterator)
        outputs = self._run(iterator) if self._sampled is None else self._run_on(iterator, gradients)
        self._show()
        if not isinstance(outputs, dict) or HEARD not in outputs:
            return outputs
        for wanted, deliver in deliveries:
            self._deliver(outputs[HEARD] if wanted else _only_loss(outputs[HEARD]), deliver)
        return outputs[LOGS]

    def _deliver(self, heard: Tensors, deliver: Deliver) -> None:
        if heard:
            try:
                deliver(self._layout, heard)
            except Exception as error:
                self._report("recording a tapped step", error)

    def _run_on(self, iterator: Any, sampled: bool) -> Any:
        """Run the one copy there is, with the statistics switched on for a sampled step."""
        assert self._sampled is not None
        if not sampled:
            return self._run(iterator)
        self._sampled.assign(True)
        try:
            return self._run(iterator)
        finally:
            self._sampled.assign(False)

    def _run(self, iterator: Any) -> Any:
        try:
            # tf_keras looks `train_step` up when it traces, Keras 3 when it makes the function.
            with replaced(self._model, "train_step", self._tapped_step):
                return self._function(iterator)
        except Exception as error:
            if self._keeps_state:
                raise KeepsState from None
            if not self._is_ours(error):
                raise
            self._broken = True
            self._report("tapping the train function", error)
        return self.original(iterator)

    def _is_ours(self, error: Exception) -> bool:
        """Whether the copy failed where the original would not: around the step, before it ran."""
        if self._in_step or isinstance(error, (StopIteration, tf.errors.OutOfRangeError)):
            return False
        if isinstance(error, tf.errors.OpError):
            return bool(getattr(self._model, "jit_compile", False)) and "compil" in str(error).lower()
        return True

    def _make(self) -> Any:
        """Let the model make the function, as it made the original, around the tapped step."""
        kept = {name: vars(self._model).get(name) for name in ("train_function", TF_FUNCTION)}
        try:
            with replaced(self._model, "train_step", self._tapped_step):
                self._model.make_train_function(force=True)
            self._tf_functions = kept[TF_FUNCTION], vars(self._model).get(TF_FUNCTION)
            return self._model.train_function
        finally:
            for name, value in kept.items():
                if name in vars(self._model):
                    set_past_keras(self._model, name, value)

    def _show(self) -> None:
        """As long as the original was never traced, let others see a traced function in its place.

        tf_keras' own callback TensorBoard takes the graph from it after the first step.
        """
        original, tapped = self._tf_functions
        if tapped is not None and original is not None and not original.experimental_get_tracing_count():
            set_past_keras(self._model, TF_FUNCTION, tapped)

    def hide(self) -> None:
        """Undo `_show`."""
        original, tapped = self._tf_functions
        if tapped is not None and vars(self._model).get(TF_FUNCTION) is tapped:
            set_past_keras(self._model, TF_FUNCTION, original)

    def _tapped_step(self, data: Any) -> Any:
        # The user's step is to be converted by AutoGraph exactly where the original would be; ours never.
        return self._hear_step(data, tf.__internal__.autograph.control_status_ctx())

    @tf.autograph.experimental.do_not_convert
    def _hear_step(self, data: Any, conversion: Any) -> Any:
        train_step = tf.__internal__.autograph.tf_convert(self._train_step, conversion)
        self.traces += not tf.executing_eagerly()
        self._in_step = True
        with listening(self._model, self._gradients, self._take_before) as heard:
            logs = train_step(data)
        self._in_step = False
        self._probe()
        return {LOGS: logs, HEARD: self._gather(heard)}

    def _probe(self) -> None:
        if self._probing and not tf.executing_eagerly():
            self._keeps_state = keeps_state(tf.compat.v1.get_default_graph())
            if self._keeps_state:
                raise KeepsState
            self._probing = False

    def _take_before(self, update: Update) -> None:
        with self._reporting("reading the weights before an update"):
            take_before(update, self._condition())

    def _gather(self, heard: Any) -> Tensors:
        heard.updates = [update for update in heard.updates if len(update.before) == len(update.variables)]
        with self._reporting("describing the gradients of a step"):
            xla = bool(getattr(self._model, "jit_compile", False))
            self._layout, tensors = gather(heard, VariablePaths(self._model), xla, self._condition())
            return tensors
        return {}

    def _condition(self) -> tf.Tensor | None:
        return None if self._sampled is None else self._sampled.read_value()

    @contextlib.contextmanager
    def _reporting(self, where: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._report(where, error)


def _only_loss(tensors: Tensors) -> Tensors:
    return {name: tensor for name, tensor in tensors.items() if name == "loss"}


def set_past_keras(model: Any, name: str, value: Any) -> None:
    """Set an attribute past `__setattr__`, which tracks and may refuse."""
    vars(model)[name] = value
