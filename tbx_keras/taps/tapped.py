"""A second copy of the train function, around a step that returns statistics beside its logs.

Guarantees: the copy is made by the model, as the original was, and makes the same update. An error of the
user's step passes through unchanged. Where the copy fails by itself (tracing, compiling, running or
describing a step), that is reported, variables that it created are initialized, and the original runs from
then on, beginning with this very call.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from tbx_keras.backends.keras_model import runs_eagerly, uses_xla
from tbx_keras.errors import UsageError
from tbx_keras.faults import tell
from tbx_keras.taps.capture import Report, attributes_kept, replaced
from tbx_keras.taps.inner_state import TF_FUNCTION
from tbx_keras.taps.limits import limit_of
from tbx_keras.taps.provenance import are_alike, is_made_by_keras
from tbx_keras.taps.recovery import CreatedVariables, is_end_of_data, is_of_own_node
from tbx_keras.taps.side_channel import SideChannel
from tbx_keras.taps.statistics import SNAPSHOTS, Layout, Tensors
from tbx_keras.taps.step import CAPTURED, LOGS, ObservedStep
from tbx_keras.taps.traces import RandomSequences, are_same, trace_of
from tbx_keras.taps.update_norms import UpdateNorms

Deliver = Callable[[Layout, Tensors], None]


class TappedFunction:
    """The copy of one train function.

    Args:
        model: The model.
        original: Its own train function.
        gradients: Whether to capture gradients, or the batch's loss only.
        report: Called with a place and an exception.
    """

    def __init__(self, model: Any, original: Any, gradients: bool, report: Report) -> None:
        self.original, self.gradients = original, gradients
        self._model, self._report = model, report
        self._xla = uses_xla(model)
        # Eager steps and those that XLA compiles run a copy only where they are sampled: no condition.
        switched = gradients and not self._xla and not runs_eagerly(model)
        self._sampled = tf.Variable(False, trainable=False) if switched else None
        self._channel = None if is_made_by_keras(model) else SideChannel()
        self._step = ObservedStep(model, gradients, self._sampled, report, self._channel)
        self._update_norms = UpdateNorms()
        self.broken = self.ran = self._looked_at = False
        self.differs = False  # from the original, which would go another way from here on
        self._function = self._make()
        # Not so where somebody put another function in the place of what the model makes.
        self.is_copy = are_alike(self._function, original)

    @property
    def traces(self) -> int:
        """How often the step was traced."""
        return self._step.traces

    @property
    def runs_every_step(self) -> bool:
        """Whether the copy has to run every step once it has run one; known after its first run.

        Of a train function that the model makes itself nobody knows what it keeps.
        """
        return self.differs or self._channel is not None

    def __call__(self, iterator: Any, gradients: bool, deliveries: list[tuple[bool, Deliver]]) -> Any:
        """Run a step.

        Args:
            iterator: The data.
            gradients: Whether to describe the gradients of this step.
            deliveries: For each receiver, whether it wants the gradients, and where to deliver.

        Returns:
            The logs of the step.
        """
        outputs = self._run(iterator, gradients)
        logs, captured = self._taken(outputs) if deliveries else (self._logs(outputs), {})
        if captured and gradients:
            captured = self._completed(captured)
        for wanted, deliver in deliveries:
            self._deliver(captured if wanted else _only_loss(captured), deliver)
        return logs

    def _logs(self, outputs: Any) -> Any:
        return outputs[LOGS] if isinstance(outputs, dict) and CAPTURED in outputs else outputs

    def _is_traced_otherwise(self, iterator: Any) -> bool:
        """Trace the original now, as it would be without us, not when the first plain step comes; compare."""
        mine, self._step.graph = self._step.graph, None
        if self._channel is not None:
            return False
        sequences = RandomSequences()
        try:
            other = trace_of(self.original, iterator, self._step.data)
        except Exception:  # of the user's step: it cannot be traced twice, and the copy is the first trace
            return True
        finally:
            drawn = sequences.restore()
        if drawn:
            return True
        try:
            return other is None or not are_same(mine, other)
        except Exception as error:
            self._report("comparing two traces of a step", error)
            return False

    def _taken(self, outputs: Any) -> tuple[Any, Tensors]:
        """The logs of a step and its statistics, by whichever way these came."""
        if self._channel is None:
            logs = self._logs(outputs)
            return logs, {} if logs is outputs else outputs[CAPTURED]
        try:
            return outputs, self._channel.take()
        except Exception as error:
            self._report("reading the statistics of a step", error)
            return outputs, {}

    def _completed(self, captured: Tensors) -> Tensors:
        """Put the norms of the update in the place of the weights before it."""
        layout, before = self._step.layout, captured.pop(SNAPSHOTS, None)
        if before is None:
            return captured
        try:
            norms = self._update_norms(layout.variables, before, eager=layout.graph is None)
        except Exception as error:
            self._report("comparing the weights before and after a step", error)
            return _only_loss(captured)
        return {**captured, **norms}

    def _run(self, iterator: Any, gradients: bool) -> Any:
        if self.broken:
            return self.original(iterator)
        self._step.begin_run(gradients)
        created = CreatedVariables()
        try:
            with self._switched_on(gradients), self._installed(created):
                outputs = self._function(iterator)
        except Exception as error:
            if not self._is_ours(error):
                raise
            self.broken = True
            self._report("instrumenting the train function", error)
            if self._step.eager_logs is not None:  # the step is made, only what came after it failed
                return self._step.eager_logs
        else:
            self._after_run(iterator, gradients)
            self._show()
            return outputs
        created.initialize()
        return self._run_original(iterator)

    def _after_run(self, iterator: Any, gradients: bool) -> None:
        self._step.look_at_traces()
        self.ran = True
        if self._step.graph is not None and not self.differs:  # traced in this run
            self.differs = self._step.keeps_state or self._is_traced_otherwise(iterator)
        if gradients and not self._looked_at:
            self._looked_at = True
            limit = limit_of(self._step.layout, self._step.was_entered)
            if limit is not None:
                tell(limit)

    @contextlib.contextmanager
    def _installed(self, created: CreatedVariables) -> Iterator[None]:
        # tf_keras looks `train_step` up when it traces, Keras 3 when it makes the function.
        with replaced(self._model, "train_step", self._step):
            if self.ran:  # `tf.function` lets a step create variables in its first run only
                yield
            else:
                with created.collected():
                    yield

    @contextlib.contextmanager
    def _switched_on(self, sampled: bool) -> Iterator[None]:
        """Let the condition in front of the statistics be true for a sampled step."""
        if self._sampled is None or not sampled:
            yield
            return
        self._sampled.assign(True)
        try:
            yield
        finally:
            self._sampled.assign(False)

    def _is_ours(self, error: Exception) -> bool:
        """Tell if the copy failed where the original would not."""
        if self._step.in_user_code or is_end_of_data(error):
            return False
        if isinstance(error, tf.errors.OpError):
            compiling = self._xla and not self.ran and "compil" in str(error).lower()
            return compiling or is_of_own_node(error)
        # Past the step, what a model's own train function does is the user's.
        return self._step.entered and not (self._channel is not None and self._step.finished)

    def _run_original(self, iterator: Any) -> Any:
        """Run the original after a failure, which may have used up the last batch."""
        try:
            return self.original(iterator)
        except Exception as error:
            if not is_end_of_data(error):
                raise
        return self._model.get_metrics_result()

    def _deliver(self, captured: Tensors, deliver: Deliver) -> None:
        if captured:
            try:
                deliver(self._step.layout, captured)
            except Exception as error:
                self._report("recording a sampled step", error)

    def _make(self) -> Any:
        """Let the model make the function, as it made the original, around the observed step."""
        before = vars(self._model).get(TF_FUNCTION)
        with attributes_kept(self._model):
            # As `fit` does: a model may override the method without its argument `force`.
            set_past_keras(self._model, "train_function", None)
            with replaced(self._model, "train_step", self._step):
                made = self._model.make_train_function()
            self._tf_functions = before, vars(self._model).get(TF_FUNCTION)
            return self._checked(self._model.train_function or made)  # tf_keras takes what is returned

    def _checked(self, made: Any) -> Any:
        """Refuse a function that the model keeps: its trace with statistics would serve all steps."""
        if made is None or made is self.original:
            raise UsageError("The model's make_train_function makes no second train function.")
        return made

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


def _only_loss(tensors: Tensors) -> Tensors:
    return {name: tensor for name, tensor in tensors.items() if name == "loss"}


def set_past_keras(model: Any, name: str, value: Any) -> None:
    """Set an attribute past `__setattr__`, which tracks and may refuse."""
    vars(model)[name] = value
