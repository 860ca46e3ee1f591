"""The interface of a capture: one object for one run of a step, traced or eager.

Guarantees: every intercepted call is forwarded unchanged and returns what the original returned. An error of
a capture is reported and the call is made all the same.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

import jax
import jax.extend

from tbx_keras.backends.jax.differentiation import Derivative
from tbx_keras.framework_types import Model, Tensor
from tbx_keras.instrumentation.base import CaptureSchema, Report

# Moved with JAX 0.10, which warns of the old place.
_trace_state = getattr(jax.extend.core, "get_opaque_trace_state", None) or jax.core.get_opaque_trace_state
Reduced: TypeAlias = Mapping[str, Any]  # arrays of the device by name, or tuples of them


def trace_level() -> object:
    """Identify the trace that operations go to now; equal within one function that is traced."""
    return _trace_state(convention="flax")


@dataclass
class StepContext:
    """The step that is captured.

    Args:
        model: The model.
        report: Called with a place and an exception.
        weights: Values of the trainable variables that the step got.
        level: The trace of the step itself: arrays of another one cannot leave it.
        derivatives: What `jax.grad` and `jax.value_and_grad` gave in that trace.
        after: Values of the trainable variables that the step returned.
    """

    model: Model
    report: Report
    weights: Sequence[Tensor]
    level: object = field(default_factory=trace_level)
    derivatives: list[Derivative] = field(default_factory=list)
    after: Sequence[Tensor] = ()

    def keep(self, derivative: Derivative) -> None:
        """Keep a derivative, if it was computed in the trace of the step itself."""
        if self.is_outermost():
            self.derivatives.append(derivative)

    def is_outermost(self) -> bool:
        """Check whether operations go to the trace of the step itself."""
        return trace_level() == self.level

    @contextlib.contextmanager
    def reporting(self, where: str) -> Iterator[None]:
        """Report an error of the block and go on after it."""
        try:
            yield
        except Exception as error:
            self.report(where, error)


class Capture(ABC):
    """Captures one kind of thing in one run of a step.

    Args:
        context: The step.
    """

    kind: ClassVar[str]

    def __init__(self, context: StepContext) -> None:
        self._context = context

    @abstractmethod
    def intercept(self) -> AbstractContextManager[object]:
        """Keep what the step computes inside the block."""

    @abstractmethod
    def reduce(self, schema: CaptureSchema) -> tuple[CaptureSchema, Reduced]:
        """Reduce what was kept to a few small arrays, on the device.

        Args:
            schema: Names known so far.

        Returns:
            The schema with the names of these rows, and the arrays by name.
        """

    @staticmethod
    @abstractmethod
    def delivered(reduced: Reduced) -> dict[str, Tensor]:
        """Turn what `reduce` gave, after the step, into tensors that NumPy can read."""
