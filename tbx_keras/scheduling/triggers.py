"""Triggers of records: pure predicates of epoch and step, free of any framework.

Guarantees: no state, no clock; the same question has the same answer. Steps count from 1 over all `fit`
calls, epochs from 0, as TensorBoard charts of Keras runs have them. The axis of a trigger is that of the
series recorded by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, TypeAlias, TypeGuard

from tbx_keras.checked_numbers import count_of
from tbx_keras.errors import ArgumentError


class EpochTrigger(Protocol):
    """Decides at the end of each epoch."""

    @property
    def axis(self) -> Literal["epoch"]:
        """Axis of the series."""

    def due(self, epoch: int) -> bool:
        """Check whether to record at the end of `epoch`, counted from 0."""


class StepTrigger(Protocol):
    """Decides before each execution of one or several steps."""

    @property
    def axis(self) -> Literal["step"]:
        """Axis of the series."""

    def due(self, first: int, last: int, epoch_start: bool) -> bool:
        """Check whether to record any of the steps `first` to `last`, counted from 1, both included."""


Trigger: TypeAlias = EpochTrigger | StepTrigger


@dataclass(frozen=True)
class EveryNEpochs:
    """Due in each epoch that `n` divides, as in `keras.callbacks.TensorBoard`; 0 is never.

    Args:
        n: Epochs between two records.

    Raises:
        ArgumentError: `n` is no integer, or negative.

    Example:
    ```python
    from tbx_keras import EveryNEpochs

    assert [epoch for epoch in range(7) if EveryNEpochs(3).due(epoch)] == [0, 3, 6]
    ```
    """

    axis: ClassVar[Literal["epoch"]] = "epoch"
    n: int

    def __post_init__(self) -> None:
        count_of("n", self.n, "an integer number of epochs >= 0 (0 is never)", least=0)

    def due(self, epoch: int) -> bool:
        """Check whether to record at the end of `epoch`, counted from 0."""
        return self.n > 0 and epoch % self.n == 0


@dataclass(frozen=True)
class EveryNSteps:
    """Due in each step that `n` divides; 0 is never.

    Args:
        n: Steps between two records.

    Raises:
        ArgumentError: `n` is no integer, or negative.

    Example:
    ```python
    from tbx_keras import EveryNSteps

    every_tenth = EveryNSteps(10)
    assert every_tenth.due(first=10, last=10, epoch_start=False)
    ```
    """

    axis: ClassVar[Literal["step"]] = "step"
    n: int

    def __post_init__(self) -> None:
        count_of("n", self.n, "an integer number of steps >= 0 (0 is never)", least=0)

    def due(self, first: int, last: int, epoch_start: bool) -> bool:
        """Check whether to record any of the steps `first` to `last`, counted from 1, both included."""
        return self.n > 0 and last // self.n > (first - 1) // self.n


@dataclass(frozen=True)
class FirstStepOfEpoch:
    """Due in the first step of each epoch."""

    axis: ClassVar[Literal["step"]] = "step"

    def due(self, first: int, last: int, epoch_start: bool) -> bool:
        """Check whether the steps begin an epoch."""
        return epoch_start


@dataclass(frozen=True)
class Never:
    """Never due by step."""

    axis: ClassVar[Literal["step"]] = "step"

    def due(self, first: int, last: int, epoch_start: bool) -> bool:
        """Return False."""
        return False


@dataclass(frozen=True)
class WithEveryTrace:
    """Due in the first step of each trace that is captured for another recorder; asks for none itself."""

    axis: ClassVar[Literal["step"]] = "step"

    def due(self, first: int, last: int, epoch_start: bool) -> bool:
        """Return False: no step is captured for its sake."""
        return False


def counts_steps(trigger: Trigger) -> TypeGuard[StepTrigger]:
    """Check that a trigger decides by step."""
    return trigger.axis == "step"


def counts_epochs(trigger: Trigger) -> TypeGuard[EpochTrigger]:
    """Check that a trigger decides by epoch."""
    return trigger.axis == "epoch"


def is_active(trigger: Trigger) -> bool:
    """Check whether a trigger is ever due."""
    if isinstance(trigger, (EveryNSteps, EveryNEpochs)):
        return trigger.n > 0
    return not isinstance(trigger, (Never, WithEveryTrace))


def epoch_frequency(argument: str, received: object) -> EveryNEpochs:
    """Read an argument such as `histogram_freq`: epochs between two records, 0 for none.

    Args:
        argument: Name of the argument, for the message.
        received: Value that the user passed.

    Returns:
        The trigger.

    Raises:
        ArgumentError: It is no integer, or negative.
    """
    return EveryNEpochs(count_of(argument, received, "an integer number of epochs >= 0 (0 turns it off)", 0))


def step_frequency(argument: str, received: object) -> StepTrigger:
    """Read an argument such as `gradient_freq`: `"epoch"`, steps between two records, 0 for none.

    Raises:
        ArgumentError: It is neither `"epoch"` nor an integer >= 0.
    """
    hint = '"epoch" (its first step), "batch", or an integer number of steps >= 0 (0 turns it off)'
    if isinstance(received, str):
        return _named(argument, received, hint, {"epoch": FirstStepOfEpoch(), "batch": EveryNSteps(1)})
    return EveryNSteps(count_of(argument, received, hint, 0))


def update_frequency(argument: str, received: object) -> StepTrigger:
    """Read `update_freq`: `"epoch"` (no batch metrics), `"batch"`, or batches between two records.

    Raises:
        ArgumentError: It is none of these.
    """
    hint = '"batch", "epoch", or an integer number of batches >= 1'
    if isinstance(received, str):
        return _named(argument, received, hint, {"epoch": Never(), "batch": EveryNSteps(1)})
    return EveryNSteps(count_of(argument, received, hint))


def _named(argument: str, received: str, hint: str, known: dict[str, StepTrigger]) -> StepTrigger:
    if received not in known:
        raise ArgumentError(argument, received, hint)
    return known[received]
