"""When something is recorded: pure predicates of epoch and step, free of any framework.

Guarantees: no state, no clock; the same question has the same answer. Steps count from 1 over all `fit`
calls, epochs from 0, as TensorBoard charts of Keras runs have them.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass

from tbx_keras.errors import ArgumentError


@dataclass(frozen=True)
class EveryEpochs:
    """Due in each epoch that `frequency` divides, as in `keras.callbacks.TensorBoard`; 0 is never."""

    frequency: int

    def due(self, epoch: int) -> bool:
        """Whether to record at the end of `epoch` (counted from 0)."""
        return self.frequency > 0 and epoch % self.frequency == 0


@dataclass(frozen=True)
class EverySteps:
    """Due in each step that `frequency` divides; 0 is never."""

    frequency: int

    def due(self, first: int, last: int, epoch_start: bool) -> bool:
        """Whether any of the steps `first` to `last` (counted from 1, both included) is to be recorded."""
        return self.frequency > 0 and last // self.frequency > (first - 1) // self.frequency


@dataclass(frozen=True)
class FirstOfEpoch:
    """Due in the first step of each epoch."""

    def due(self, first: int, last: int, epoch_start: bool) -> bool:
        """Whether the steps begin an epoch."""
        return epoch_start


@dataclass(frozen=True)
class Never:
    """Never due by step."""

    def due(self, first: int, last: int, epoch_start: bool) -> bool:
        """Always False."""
        return False


StepSchedule = EverySteps | FirstOfEpoch | Never


def epoch_frequency(argument: str, received: object) -> EveryEpochs:
    """Read an argument such as `histogram_freq`: epochs between two records, 0 for none.

    Args:
        argument: Name of the argument, for the message.
        received: What the user passed.

    Returns:
        The schedule.

    Raises:
        ArgumentError: It is no integer, or negative.
    """
    return EveryEpochs(_count(argument, received, "an integer number of epochs >= 0 (0 turns it off)"))


def step_frequency(argument: str, received: object) -> StepSchedule:
    """Read an argument such as `gradient_freq`: `"epoch"`, steps between two records, 0 for none.

    Raises:
        ArgumentError: It is neither `"epoch"` nor an integer >= 0.
    """
    remedy = '"epoch" (its first step), "batch", or an integer number of steps >= 0 (0 turns it off)'
    if isinstance(received, str):
        return _named(argument, received, remedy, {"epoch": FirstOfEpoch(), "batch": EverySteps(1)})
    return EverySteps(_count(argument, received, remedy))


def update_frequency(argument: str, received: object) -> StepSchedule:
    """Read `update_freq`: `"epoch"` (no batch metrics), `"batch"`, or batches between two records.

    Raises:
        ArgumentError: It is none of these.
    """
    remedy = '"batch", "epoch", or an integer number of batches >= 1'
    if isinstance(received, str):
        return _named(argument, received, remedy, {"epoch": Never(), "batch": EverySteps(1)})
    return EverySteps(_count(argument, received, remedy, least=1))


def _named(argument: str, received: str, remedy: str, known: dict[str, StepSchedule]) -> StepSchedule:
    if received not in known:
        raise ArgumentError(argument, received, remedy)
    return known[received]


def _count(argument: str, received: object, remedy: str, least: int = 0) -> int:
    try:
        count = -1 if isinstance(received, bool) else operator.index(received)  # type: ignore[arg-type]
    except TypeError:
        count = -1
    if count < least:
        raise ArgumentError(argument, received, remedy)
    return count
