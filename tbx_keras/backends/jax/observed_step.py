"""A training step that also gives what was captured inside it.

Guarantees: makes the update of the original step. An error of a capture is reported and the step goes on
without it; an error of the user's code passes through unchanged, and `in_user_code` says so.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import jax
import keras

from tbx_keras.backends.jax.captures import CAPTURES, Capture, StepContext
from tbx_keras.backends.jax.captures.base import Reduced
from tbx_keras.backends.jax.differentiation import intercepted
from tbx_keras.framework_types import Batch, Model
from tbx_keras.instrumentation.base import CaptureSchema, Kinds, Report
from tbx_keras.instrumentation.python_state import PythonState
from tbx_keras.instrumentation.random_sequences import RandomSequences, generators_of

LOGS, CAPTURED = "tbx_logs", "tbx_captured"


class ObservedStep:
    """The `train_step` of a model, with captured arrays beside its logs.

    Args:
        model: The model, whose step is looked up now, as Keras does when it makes a train function.
        kinds: Kinds to capture.
        report: Called with a place and an exception.
    """

    def __init__(self, model: Model, kinds: Kinds, report: Report) -> None:
        self._model, self._kinds, self._report = model, kinds, report
        self._train_step = model.train_step
        self.schema = CaptureSchema()
        self.traces = 0
        self.is_stateful = False  # in Python: another trace of it would be another step
        self.entered = self.in_user_code = False

    def __call__(self, state: Any, data: Batch) -> Any:
        """Run or trace the step; see `keras.Model.train_step` on JAX."""
        if self.in_user_code:  # the user's step calls itself
            return self._train_step(state, data)
        self.entered = True
        traced = any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves((state, data)))
        self.traces += traced
        context = StepContext(self._model, self._report, state[0] if state else ())
        captures = [CAPTURES[kind](context) for kind in CAPTURES if kind in self._kinds]
        before = self._states(context) if traced else ()
        with self._intercepting(context, captures):
            outputs = self._run_user_step(state, data)
        self.is_stateful = self.is_stateful or any(one.changed() for one in before)
        return self._hand_out(outputs, context, captures, CaptureSchema(eager=not traced))

    def _states(self, context: StepContext) -> tuple[RandomSequences | PythonState, ...]:
        with context.reporting("looking for state of a step"):
            return RandomSequences(generators_of(self._model)), PythonState(self._model)
        return ()

    @contextlib.contextmanager
    def _intercepting(self, context: StepContext, captures: list[Capture]) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            stack.enter_context(intercepted(context.keep))
            for capture in captures:
                with context.reporting(f"capturing the {capture.kind} of a step"):
                    stack.enter_context(capture.intercept())
            yield

    def _run_user_step(self, state: Any, data: Batch) -> Any:
        self.in_user_code = True
        outputs = self._train_step(state, data)
        self.in_user_code = False
        return outputs

    def _hand_out(
        self, outputs: Any, context: StepContext, captures: list[Capture], schema: CaptureSchema
    ) -> Any:
        if not isinstance(outputs, (tuple, list)) or len(outputs) != 2:
            return outputs  # Keras refuses it, in its words
        logs, state = outputs
        context.after = state[0] if isinstance(state, (tuple, list)) and state else ()
        return {LOGS: logs, CAPTURED: self._reduced(context, captures, schema)}, state

    def _reduced(self, context: StepContext, captures: list[Capture], schema: CaptureSchema) -> Reduced:
        arrays = dict[str, Any]()
        for capture in captures:
            with context.reporting(f"describing the {capture.kind} of a step"):
                schema, found = capture.reduce(schema)
                arrays.update(_on_every_device(found))
        self.schema = schema
        return arrays


def _on_every_device(arrays: Reduced) -> Reduced:
    """Replicate results over the mesh of a distribution: each process reads its own copy."""
    distribution = keras.distribution.distribution()
    if distribution is None:
        return arrays
    mesh = distribution.device_mesh.backend_mesh
    everywhere = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    return jax.tree.map(lambda one: jax.lax.with_sharding_constraint(one, everywhere), arrays)
