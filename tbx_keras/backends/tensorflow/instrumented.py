"""Second copy of the train function, around a step that returns captured tensors beside its logs.

Guarantees: the copy is made by the model, as the original was, and makes the same update. An error of the
user's step passes through unchanged. Where the copy fails by itself (tracing, compiling, running or
describing a step), that is reported, variables that it created are initialized, and the original runs from
then on, beginning with this very call.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import tensorflow as tf

from tbx_keras.backends.tensorflow.captures import CAPTURES, StepContext
from tbx_keras.backends.tensorflow.captures.gradients import SNAPSHOTS
from tbx_keras.backends.tensorflow.collectives import numbered_apart
from tbx_keras.backends.tensorflow.observed_step import CAPTURED, LOGS, ObservedStep
from tbx_keras.backends.tensorflow.recovery import CreatedVariables, is_end_of_data, is_of_own_node
from tbx_keras.backends.tensorflow.replicas import strategy_of, uses_channel
from tbx_keras.backends.tensorflow.several_steps import several_steps
from tbx_keras.backends.tensorflow.side_channel import SideChannel
from tbx_keras.backends.tensorflow.stateful_ops import TF_FUNCTION
from tbx_keras.backends.tensorflow.traces import are_same, trace_of
from tbx_keras.backends.tensorflow.update_norms import UpdateNorms
from tbx_keras.errors import UsageError
from tbx_keras.framework_types import Batches, Logs, Model, TrainFunction
from tbx_keras.instrumentation.base import (
    GRADIENTS,
    LOSS,
    Captured,
    Deliver,
    Kinds,
    Report,
    Tensors,
    is_costly,
)
from tbx_keras.instrumentation.limits import LimitWatch
from tbx_keras.instrumentation.random_sequences import RandomSequences
from tbx_keras.instrumentation.replaced_attributes import attributes_kept, replaced, set_past_keras
from tbx_keras.instrumentation.stand_in import Delivery, kinds_of
from tbx_keras.instrumentation.train_function_origin import are_alike, is_made_by_keras
from tbx_keras.keras_model import replicas, runs_eagerly, uses_xla


class InstrumentedTrainFunction:
    """The copy of one train function.

    Args:
        model: The model.
        original: Its own train function.
        kinds: Kinds that the copy captures.
        report: Called with a place and an exception.
    """

    def __init__(self, model: Model, original: TrainFunction, kinds: Kinds, report: Report) -> None:
        self.original, self.kinds = original, kinds
        self._model, self._report = model, report
        self._xla = uses_xla(model)
        # Eager steps and those that XLA compiles run a copy only where they are sampled: no condition.
        # Nor is there one where replicas train together: none of them may reduce within a branch.
        plain = not self._xla and not runs_eagerly(model) and replicas(model) == 1
        switched = is_costly(kinds) and plain
        self._switch = tf.Variable(False, trainable=False) if switched else None
        self._is_keras_function = is_made_by_keras(model)
        # What replicas return Keras averages, and tf_keras adds up to one number.
        self._channel = None if self._is_keras_function and not uses_channel(model) else SideChannel()
        self._step = ObservedStep(StepContext(model, report, self._switch), kinds, self._channel)
        self._update_norms = UpdateNorms()
        self._limits = LimitWatch()
        self.broken = self.ran = False
        self.differs = False  # from the original, which would go another way from here on
        self._function = self._make()
        if not are_alike(self._function, original):
            with several_steps(model):
                self._function = self._make()
        # Not so where somebody put another function in the place of what the model makes.
        self.is_copy = are_alike(self._function, original)

    @property
    def traces(self) -> int:
        """Count of traces of the step."""
        return self._step.traces

    @property
    def runs_every_step(self) -> bool:
        """Check whether the copy has to run every step once it has run one; known after its first run.

        Of a train function that the model makes itself nobody knows what it keeps.
        """
        return self.differs or not self._is_keras_function

    def __call__(self, iterator: Batches, deliveries: Sequence[Delivery]) -> Logs:
        """Run a step.

        Args:
            iterator: The data.
            deliveries: For each receiver, the kinds that it wants, and where to deliver them.

        Returns:
            The logs of the step.
        """
        wanted = kinds_of(deliveries)
        outputs = self._run(iterator, wanted)
        logs, tensors = self._taken(outputs) if deliveries else (self._logs(outputs), {})
        if tensors and is_costly(wanted):
            tensors = self._completed(tensors)
        for kinds, deliver in deliveries:
            self._deliver(tensors, kinds, deliver)
        return logs

    def _logs(self, outputs: Any) -> Logs:
        return outputs[LOGS] if isinstance(outputs, dict) and CAPTURED in outputs else outputs

    def _is_traced_otherwise(self, iterator: Batches) -> bool:
        """Trace the original now, as it would be without us, not when the first plain step comes; compare."""
        mine, self._step.graph = self._step.graph, None
        if not self._is_keras_function:
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

    def _taken(self, outputs: Any) -> tuple[Logs, Tensors]:
        """Split the logs of a step from the captured tensors."""
        if self._channel is None:
            logs = self._logs(outputs)
            return logs, {} if logs is outputs else outputs[CAPTURED]
        try:
            return outputs, self._channel.take()
        except Exception as error:
            self._report("reading what was captured in a step", error)
            return outputs, {}

    def _completed(self, captured: Tensors) -> Tensors:
        """Replace the weights before the update by the norms of the update."""
        schema, tensors = self._step.schema, dict(captured)
        before = tensors.pop(SNAPSHOTS, None)
        if before is None:
            return tensors
        try:
            norms = self._update_norms(schema.variables, before, eager=schema.graph is None)
        except Exception as error:
            self._report("comparing the weights before and after a step", error)
            return _of_kinds(tensors, frozenset({LOSS}))
        return {**tensors, **norms}

    def _run(self, iterator: Batches, kinds: Kinds) -> Any:
        if self.broken:
            return self.original(iterator)
        self._step.begin_run(kinds)
        created = CreatedVariables()
        try:
            with self._prepared(kinds, created):
                outputs = self._function(iterator)
        except Exception as error:
            if not self._is_ours(error):
                raise
            self.broken = True
            self._report("instrumenting the train function", error)
            if self._step.eager_logs is not None:  # the step is made, only what came after it failed
                return self._step.eager_logs
        else:
            self._after_run(iterator, kinds)
            self._show()
            return outputs
        created.initialize()
        return self._run_original(iterator)

    def _after_run(self, iterator: Batches, kinds: Kinds) -> None:
        self._step.look_at_traces()
        self.ran = True
        if self._step.graph is not None and not self.differs:  # traced in this run
            self.differs = self._step.is_stateful or self._is_traced_otherwise(iterator)
        if GRADIENTS in kinds:
            self._limits.see(self._step.schema, self._step.was_entered)

    def _prepared(self, kinds: Kinds, created: CreatedVariables) -> AbstractContextManager[None]:
        # tf_keras looks `train_step` up when it traces, Keras 3 when it makes the function.
        blocks: list[AbstractContextManager[None]] = [replaced(self._model, "train_step", self._step)]
        if self._switch is not None and is_costly(kinds):
            blocks.insert(0, _switched_on(self._switch))
        if replicas(self._model) > 1:
            blocks.insert(0, numbered_apart(strategy_of(self._model)))
        if not self.ran:  # `tf.function` lets a step create variables in its first run only
            blocks.append(created.collected())
        return blocks[0] if len(blocks) == 1 else _all_of(blocks)  # one in nearly all steps

    def _is_ours(self, error: Exception) -> bool:
        """Check whether the copy failed where the original would not."""
        if self._step.in_user_code or is_end_of_data(error):
            return False
        if isinstance(error, tf.errors.OpError):
            compiling = self._xla and not self.ran and "compil" in str(error).lower()
            return compiling or is_of_own_node(error)
        # Past the step, what a model's own train function does is the user's.
        return self._step.entered and (self._is_keras_function or not self._step.finished)

    def _run_original(self, iterator: Batches) -> Any:
        """Run the original after a failure, which may have used up the last batch."""
        try:
            return self.original(iterator)
        except Exception as error:
            if not is_end_of_data(error):
                raise
        return self._model.get_metrics_result()

    def _deliver(self, captured: Tensors, kinds: Kinds, deliver: Deliver) -> None:
        try:
            tensors = _of_kinds(captured, kinds)
            if tensors:
                deliver(Captured(self._step.schema, tensors))
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
        original, copy = self._tf_functions
        if copy is not None and original is not None and not original.experimental_get_tracing_count():
            set_past_keras(self._model, TF_FUNCTION, copy)

    def end_fit(self) -> None:
        """End a `fit`: undo `_show`."""
        self._limits.end_fit()
        original, copy = self._tf_functions
        if copy is not None and vars(self._model).get(TF_FUNCTION) is copy:
            set_past_keras(self._model, TF_FUNCTION, original)


@contextlib.contextmanager
def _switched_on(switch: tf.Variable) -> Iterator[None]:
    """Set the condition in front of the reductions to true for a sampled step."""
    switch.assign(True)
    try:
        yield
    finally:
        switch.assign(False)


@contextlib.contextmanager
def _all_of(blocks: Sequence[AbstractContextManager[None]]) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for block in blocks:
            stack.enter_context(block)
        yield


def _of_kinds(tensors: Tensors, kinds: Kinds) -> Tensors:
    names = _names_of(kinds)
    return {name: tensor for name, tensor in tensors.items() if name in names}


@functools.cache
def _names_of(kinds: Kinds) -> frozenset[str]:
    return frozenset[str]().union(*(CAPTURES[kind].names for kind in kinds))
