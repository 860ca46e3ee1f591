"""Second copy of the train function, around a step that returns captured arrays beside its logs.

Guarantees: the copy is made by the model, as the original was, and makes the same update. An error of the
user's step or data passes through unchanged. Where the copy fails by itself (tracing, compiling), that is
reported, and the original runs from then on, beginning with this very call, as long as the copy has not used
up the state of the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax

from tbx_keras.backends.jax.batches import KeptBatches
from tbx_keras.backends.jax.captures import CAPTURES
from tbx_keras.backends.jax.captures.base import Reduced
from tbx_keras.backends.jax.observed_step import CAPTURED, LOGS, ObservedStep
from tbx_keras.framework_types import Batches, Model, TrainFunction
from tbx_keras.instrumentation.base import GRADIENTS, Captured, Deliver, Kinds, Report
from tbx_keras.instrumentation.limits import JAX, LimitWatch
from tbx_keras.instrumentation.replaced_attributes import replaced
from tbx_keras.instrumentation.stand_in import Delivery
from tbx_keras.instrumentation.train_function_origin import are_alike


class InstrumentedTrainFunction:
    """The copy of one train function.

    Args:
        model: The model, with its state attached.
        original: Its own train function.
        kinds: Kinds that the copy captures.
        report: Called with a place and an exception.
    """

    def __init__(self, model: Model, original: TrainFunction, kinds: Kinds, report: Report) -> None:
        self.original, self.kinds = original, kinds
        self._model, self._report = model, report
        self._step = ObservedStep(model, kinds, report)
        self._function = self._make(model)
        # Not so where somebody put another function in the place of what the model makes.
        self.is_copy = are_alike(self._function, original)
        self._limits = LimitWatch(JAX)
        self.broken = False

    @property
    def traces(self) -> int:
        """Count of traces of the step."""
        return self._step.traces

    @property
    def is_stateful(self) -> bool:
        """Check whether a trace changed state in Python, so that another trace would be another step."""
        return self._step.is_stateful

    def _make(self, model: Model) -> TrainFunction:
        with replaced(model, "train_function", None), replaced(model, "train_step", self._step):
            made = model.make_train_function()
            return model.train_function or made

    def __call__(self, deliveries: Sequence[Delivery], state: Any, iterator: Batches) -> Any:
        """Run a step.

        Args:
            deliveries: For each receiver, the kinds that it wants, and where to deliver them.
            state: State of the model, which the step uses up.
            iterator: The data.

        Returns:
            The logs of the step, and the state after it.
        """
        batches = KeptBatches(iterator)
        self._step.entered = self._step.in_user_code = False
        try:
            # Keras before 3.7 looks `train_step` up when it traces, later when it makes the function.
            with replaced(self._model, "train_step", self._step):
                outputs, new_state = self._function(state, batches.argument)
        except Exception as error:
            if self._step.in_user_code or batches.failed or _is_used_up(state):
                raise
            self.broken = True
            self._report("instrumenting the train function", error)
            return self.original(state, batches.again())
        logs, arrays = _split(outputs)
        if GRADIENTS in self.kinds:
            self._limits.see(self._step.schema, self._step.traces > 0 or self._step.entered)
        for kinds, deliver in deliveries:
            self._deliver(arrays, kinds, deliver)
        return logs, new_state

    def end_fit(self) -> None:
        """End a `fit`."""
        self._limits.end_fit()

    def _deliver(self, arrays: Reduced, kinds: Kinds, deliver: Deliver) -> None:
        try:
            tensors = {}
            for kind in sorted(kinds & self.kinds):
                tensors.update(CAPTURES[kind].delivered(arrays))
            if tensors:
                deliver(Captured(self._step.schema, tensors))
        except Exception as error:
            self._report("recording a sampled step", error)


def _split(outputs: Any) -> tuple[Any, Reduced]:
    if isinstance(outputs, dict) and CAPTURED in outputs:
        return outputs[LOGS], outputs[CAPTURED]
    return outputs, {}


def _is_used_up(state: Any) -> bool:
    return any(leaf.is_deleted() for leaf in jax.tree.leaves(state) if isinstance(leaf, jax.Array))
