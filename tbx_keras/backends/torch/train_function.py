"""Steps that are captured: the untouched train function, with captures around it for one call.

Guarantees: a step makes the update that it makes without captures. An error of a capture is reported and the
step goes on; an error of the step itself passes through unchanged. A step that `torch.compile` has compiled
runs as it is and is not looked into: run without the compiler it would draw other random numbers.

Threading: use it on the thread that trains.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, TypeAlias

from tbx_keras.backends.torch.captures import CAPTURES
from tbx_keras.framework_types import Logs, Model, TrainFunction
from tbx_keras.instrumentation.base import (
    GRADIENTS,
    Captured,
    CaptureSchema,
    Report,
    Tensors,
)
from tbx_keras.instrumentation.captures import Capture, StepContext
from tbx_keras.instrumentation.limits import TORCH, LimitWatch
from tbx_keras.instrumentation.stand_in import Deliveries, OneForEachModel, StandInInstrument, kinds_of

Captures: TypeAlias = list[Capture[StepContext]]


class TrainFunctionInstrument(StandInInstrument):
    """Captures what single calls of a model's train function compute."""

    def __init__(self, model: Model, report: Report) -> None:
        super().__init__(model, report)
        self._limits = LimitWatch(TORCH)
        self._schema = CaptureSchema(eager=True)

    def end_fit(self) -> None:
        """Leave the model as if it had never been instrumented."""
        super().end_fit()
        self._limits.end_fit()

    def run(self, original: TrainFunction, deliveries: Deliveries, *arguments: Any) -> Logs:
        """Run a step with captures around it, with the train function already back in its place."""
        self.restore()
        model = self._find_model()
        kinds = kinds_of(list(deliveries.values()))
        context = StepContext(model, self._report)
        captures = [CAPTURES[kind](context) for kind in CAPTURES if kind in kinds]
        with _intercepting(context, captures):
            logs = original(*arguments)
        self._deliver(context, captures, deliveries)
        return logs

    def _deliver(self, context: StepContext, captures: Captures, deliveries: Deliveries) -> None:
        schema, found = CaptureSchema(eager=True), dict[str, Tensors]()
        for capture in captures:
            with context.reporting(f"describing the {capture.kind} of a step"):
                schema, found[capture.kind] = capture.reduce(schema)
        if GRADIENTS in found:
            self._limits.see(schema)
        if _names(schema) != _names(self._schema):
            self._schema = schema
        for kinds, deliver in deliveries.values():
            with context.reporting("recording a sampled step"):
                tensors = {name: one for kind in found if kind in kinds for name, one in found[kind].items()}
                deliver(Captured(self._schema, tensors))


def _names(schema: CaptureSchema) -> tuple[object, ...]:
    return schema.paths, schema.unconnected, schema.updates, tuple(map(id, schema.variables))


@contextlib.contextmanager
def _intercepting(context: StepContext, captures: Captures) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for capture in captures:
            with context.reporting(f"capturing the {capture.kind} of a step"):
                stack.enter_context(capture.intercept())
        yield


instrument_of = OneForEachModel(TrainFunctionInstrument)
