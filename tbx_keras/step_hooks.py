"""Ordering of the hooks of training steps: as they come on TensorFlow, by the sequencer elsewhere.

Guarantees: on TensorFlow, where Keras calls every hook on the training thread, nothing is locked or kept.
Elsewhere values reach the writer in the order of steps, and no variable is read but between two steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias

from tbx_keras.backends.base import backend_of
from tbx_keras.framework_types import Logs, Model
from tbx_keras.scheduling.position import TrainingPosition
from tbx_keras.scheduling.sequencer import StepSequencer

EndStep: TypeAlias = Callable[[int, Logs | None, float | None], None]  # global step, logs, steps per second
Params: TypeAlias = Mapping[str, Any]  # those that Keras gives to callbacks
LATE_HOOKS_S = 1.0  # Keras's threads go on with the hooks of a `fit` that failed


class Closable(Protocol):
    """A writer."""

    def close(self) -> bool:
        """Write out all that was put."""


class BetweenSteps(Protocol):
    """Looks at the weights between two steps, on the training thread."""

    def __call__(self, step: int) -> bool:
        """Look, if there is reason to, after `step` was made; return whether it did."""


class InOrder:
    """Hooks that come one after another.

    Args:
        position: The position in the training.
    """

    def __init__(self, position: TrainingPosition) -> None:
        self._position = position

    def begin_fit(self, params: Params | None) -> None:
        """Begin training."""
        self._position.begin_fit((params or {}).get("steps"))

    def begin(self, number: int, first: int, last: int) -> None:
        """Begin the steps `first` to `last`, which Keras will end as batch `number`."""

    def end(self, number: int, action: EndStep, logs: Logs | None, speed: float | None) -> None:
        """End Keras's batch `number`."""
        action(self._position.end_batch(number), logs, speed)

    def end_epoch(self) -> None:
        """End an epoch: every step of it has been made."""

    def may_miscount(self, steps_per_execution: int) -> bool:
        """Check whether hooks can count other steps than the optimizer makes."""
        return steps_per_execution > 1

    def end_fit(self, writer: Closable) -> None:
        """Hand all that was recorded to the disk."""
        writer.close()


class InAnyOrder(InOrder):
    """Hooks that Keras may call from several threads at once.

    Args:
        position: The position in the training.
        look: Looks at the weights between steps.
    """

    def __init__(self, position: TrainingPosition, look: BetweenSteps) -> None:
        super().__init__(position)
        self._look, self._sequencer = look, StepSequencer()

    def begin_fit(self, params: Params | None) -> None:
        """Begin training. A `fit` before may have failed in a step; a loop by hand calls hooks in order."""
        self._sequencer.settle(LATE_HOOKS_S)
        self._position.advance(self._sequencer.ran)
        self._sequencer.release()
        self._position.begin_fit((params or {}).get("steps"), in_order=not params)

    def begin(self, number: int, first: int, last: int) -> None:
        """Begin steps, on the training thread."""
        self._look(first - 1)
        self._sequencer.begin(number, last)

    def end(self, number: int, action: EndStep, logs: Logs | None, speed: float | None) -> None:
        """End a batch, on any thread; the action runs once the steps before have ended."""

        def in_turn(step: int) -> None:
            self._position.advance(step)
            action(step, logs, speed)

        self._sequencer.end(number, self._position.step_of(number), in_turn)

    def end_epoch(self) -> None:
        """End an epoch. Hooks may still be to come; the steps that begin now wait for them."""
        self._position.advance(self._sequencer.last)
        self._look(self._position.step)

    def may_miscount(self, steps_per_execution: int) -> bool:
        """Return True: an execution may begin and find no data."""
        return True

    def end_fit(self, writer: Closable) -> None:
        """Wait no longer for a hook that did not come."""
        self._sequencer.release()
        writer.close()
        if self._look(self._position.step):
            writer.close()


def step_hooks(model: Model, position: TrainingPosition, look: BetweenSteps) -> InOrder:
    """Choose the way in which Keras calls the hooks of a model."""
    return InOrder(position) if backend_of(model).ordered_hooks else InAnyOrder(position, look)
