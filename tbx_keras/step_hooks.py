"""The order of the hooks of training steps: as they come on TensorFlow, by the sequencer elsewhere.

Guarantees: on TensorFlow, where Keras calls every hook on the training thread, nothing is locked or kept.
Elsewhere values reach the writer in the order of steps, and no variable is read but between two steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tbx_keras.backends.keras_model import runs_on_tensorflow
from tbx_keras.nonfinite import NonFinite
from tbx_keras.progress import Progress
from tbx_keras.sequencer import StepSequencer

EndStep = Callable[[int, Any, float | None], None]  # global step, logs, steps per second


class InOrder:
    """Hooks that come one after another.

    Args:
        progress: Where training is.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def begin_fit(self, params: Mapping[str, Any] | None) -> None:
        """Training begins; `params` are those that Keras gives to callbacks."""
        self._progress.begin_fit((params or {}).get("steps"))

    def begin(self, number: int, first: int, last: int) -> None:
        """The steps `first` to `last` begin, which Keras will end as batch `number`."""

    def end(self, number: int, action: EndStep, logs: Any, speed: float | None) -> None:
        """Keras's batch `number` ends."""
        action(self._progress.end_batch(number), logs, speed)

    def end_epoch(self) -> None:
        """Every step of the epoch has been made."""

    def end_fit(self, hub: Any) -> None:
        """Hand all that was recorded to the disk."""
        hub.close()


class InAnyOrder(InOrder):
    """Hooks that Keras may call from several threads at once.

    Args:
        progress: Where training is.
        nonfinite: Looks at weights between steps.
    """

    def __init__(self, progress: Progress, nonfinite: NonFinite) -> None:
        super().__init__(progress)
        self._nonfinite, self._sequencer = nonfinite, StepSequencer()

    def begin_fit(self, params: Mapping[str, Any] | None) -> None:
        """A `fit` before may have failed in a step. A loop that calls the hooks itself does so in order."""
        self._sequencer.release()
        self._progress.begin_fit((params or {}).get("steps"), in_order=not params)

    def begin(self, number: int, first: int, last: int) -> None:
        """On the training thread."""
        if self._nonfinite.look_between_steps(first - 1):
            self._nonfinite.stop_if_found()  # after this step rather than the next
        self._sequencer.begin(number, last)

    def end(self, number: int, action: EndStep, logs: Any, speed: float | None) -> None:
        """On any thread; the action runs once the steps before have ended."""

        def in_turn(step: int) -> None:
            self._progress.reach(step)
            action(step, logs, speed)

        self._sequencer.end(number, self._progress.step_of(number), in_turn)

    def end_epoch(self) -> None:
        """Hooks may still be to come; the steps that begin now wait for them."""
        self._progress.reach(self._sequencer.last)
        self._nonfinite.look_between_steps(self._progress.step)

    def end_fit(self, hub: Any) -> None:
        """What waits for a hook that did not come waits no longer."""
        self._sequencer.release()
        hub.close()
        if self._nonfinite.look_between_steps(self._progress.step):
            hub.close()


def step_hooks(model: Any, progress: Progress, nonfinite: NonFinite) -> InOrder:
    """The way in which Keras calls the hooks of a model."""
    return InOrder(progress) if runs_on_tensorflow(model) else InAnyOrder(progress, nonfinite)
