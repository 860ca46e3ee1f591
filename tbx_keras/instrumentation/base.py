"""Interfaces between recorders that need tensors from inside a step and backends that capture them.

Guarantees: no framework; a capture is asked for by its kind, and delivered once after the step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias

from tbx_keras.errors import ArgumentError
from tbx_keras.framework_types import Graph, Tensor, Variable

LOSS, GRADIENTS = "loss", "gradients"
NAME_SCOPE = "tbx_keras"  # of every operation that is added to a step
KINDS = frozenset({LOSS, GRADIENTS})
Kinds: TypeAlias = frozenset[str]
Tensors: TypeAlias = Mapping[str, Tensor]
Report: TypeAlias = Callable[[str, Exception], None]  # called with a phrase such as "copying", and the error


@dataclass(frozen=True)
class CaptureSchema:
    """Names for the rows of captured tensors, known once the step is traced.

    Args:
        paths: Variable paths of the rows.
        variables: The variables of the rows.
        unconnected: Paths of variables that got no gradient.
        updates: Calls of optimizers that the step made, those out of reach included.
        unreachable: Calls made inside a `tf.cond`, a loop or a `tf.function` of the training step.
        foreign: Calls that update no weight of the model.
        changed_otherwise: Count of trainable weights that the step changed without an optimizer, as far as
            that can be seen.
        ambiguous: Whether the step made an update of its own from several derivatives of one weight.
        clipnorm: For each row the `clipnorm` of its optimizer, or None.
        global_clipnorm: The `global_clipnorm` of the optimizer, or None.
        graph: The traced graph of the step, or None where it runs eagerly.
        eager: Whether it runs eagerly, so that the next step may make other calls.
    """

    paths: tuple[str, ...] = ()
    variables: tuple[Variable, ...] = ()
    unconnected: tuple[str, ...] = ()
    updates: int = 0
    unreachable: int = 0
    foreign: int = 0
    changed_otherwise: int = 0
    ambiguous: bool = False
    clipnorm: tuple[float | None, ...] = ()
    global_clipnorm: float | None = None
    graph: Graph | None = None
    eager: bool = False


class Captured(NamedTuple):
    """Device tensors captured in one step.

    Args:
        schema: Names of their rows.
        tensors: The tensors by name; those that were not captured are absent.
    """

    schema: CaptureSchema
    tensors: Tensors


Deliver: TypeAlias = Callable[[Captured], None]


class Instrument(Protocol):
    """Looks inside the steps of one model, for all loggers that train it."""

    traces: int  # how often instrumented steps were traced so far

    def begin_fit(self, kinds: Kinds) -> None:
        """Prepare for a `fit` in which `kinds` will be asked for."""

    def end_fit(self) -> None:
        """Leave the model as if it had never been instrumented."""

    def instrument_next(self, owner: object, kinds: Kinds, deliver: Deliver) -> None:
        """Capture `kinds` in the next step and deliver them; asking again replaces what was asked before."""

    def skip(self, owner: object) -> None:
        """Capture nothing in the next step for this owner."""

    @property
    def is_pending(self) -> bool:
        """Check whether a step that was asked for has not run."""


def is_costly(kinds: Kinds) -> bool:
    """Check that more is captured than the loss, which the step computes anyway."""
    return bool(kinds - {LOSS})


def check_kinds(argument: str, kinds: object) -> Kinds:
    """Check the kinds that a recorder wants captured.

    Args:
        argument: Name for the message.
        kinds: The kinds.

    Raises:
        ArgumentError: They are no frozenset, or one of them is not known.
    """
    if not isinstance(kinds, frozenset) or not kinds <= KINDS:
        raise ArgumentError(argument, kinds, f"a frozenset of {', '.join(map(repr, sorted(KINDS)))}")
    return kinds
