"""The interface of a capture on JAX, and what it gets to know of the step."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import jax
import jax.extend

from tbx_keras.backends.jax.differentiation import Derivative
from tbx_keras.framework_types import Tensor
from tbx_keras.instrumentation import captures

# Moved with JAX 0.10, which warns of the old place.
_trace_state = getattr(jax.extend.core, "get_opaque_trace_state", None) or jax.core.get_opaque_trace_state
Reduced: TypeAlias = Mapping[str, Any]  # arrays of the device by name, or tuples of them


def trace_level() -> object:
    """Identify the trace that operations go to now; equal within one function that is traced."""
    return _trace_state(convention="flax")


@dataclass
class StepContext(captures.StepContext):
    """The step that is captured.

    Args:
        model: The model.
        report: Called with a place and an exception.
        weights: Values of the trainable variables that the step got.
        level: The trace of the step itself: arrays of another one cannot leave it.
        derivatives: What `jax.grad` and `jax.value_and_grad` gave in that trace.
        hidden: Count of those that were computed in a trace of its own, such as a `jax.jit` of the step's.
        after: Values of the trainable variables that the step returned.
    """

    weights: Sequence[Tensor] = ()
    level: object = field(default_factory=trace_level)
    derivatives: list[Derivative] = field(default_factory=list)
    hidden: int = 0
    after: Sequence[Tensor] = ()

    def keep(self, derivative: Derivative) -> None:
        """Keep a derivative, if it was computed in the trace of the step itself."""
        if self.is_outermost():
            self.derivatives.append(derivative)
        else:
            self.hidden += 1

    def is_outermost(self) -> bool:
        """Check whether operations go to the trace of the step itself."""
        return trace_level() == self.level


class Capture(captures.Capture[StepContext]):
    """Captures one kind of thing in one run of a step."""

    @staticmethod
    @abstractmethod
    def delivered(reduced: Reduced) -> dict[str, Tensor]:
        """Turn what `reduce` gave, after the step, into tensors that NumPy can read."""
