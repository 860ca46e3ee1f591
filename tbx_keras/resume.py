"""A run that goes on where an earlier process stopped.

Guarantees: done once, when the first epoch begins, after every callback has restored what it keeps. Only a
model that has made steps already, or whose epochs do not begin at 0, in a directory that was recorded in
before, is taken for a resumed one; only the series of the logger in the runs `train`, `validation` and those
below them are touched.
"""

from __future__ import annotations

from typing import Any

from tbx_keras.options import TRAIN, VALIDATION
from tbx_keras.recorders.metrics import STEP_OF_EPOCH


class Resume:
    """Finds the place, and hides what will be repeated.

    Args:
        hub: The writer.
        progress: Where training is.
    """

    def __init__(self, hub: Any, progress: Any) -> None:
        self._hub, self._progress = hub, progress
        self._done = False

    def begin_epoch(self, epoch: int, iterations: int | None) -> None:
        """An epoch begins.

        Args:
            epoch: Number that Keras gives it; 0 where the caller did not say that training goes on.
            iterations: Steps that the optimizer has made.
        """
        if self._done:
            return
        self._done = True
        if iterations:
            self._go_on(iterations, epoch or self._epoch_after(iterations))
        elif epoch:
            self._go_on(self._step_before(epoch), epoch)

    def _go_on(self, step: int, epoch: int) -> None:
        self._progress.resume(epoch, step)
        self._hub.restart((TRAIN, VALIDATION), step, epoch)

    def _epoch_after(self, iterations: int) -> int:
        """The epoch that follows those which had ended by a step."""
        ends = self._hub.recorded(TRAIN, STEP_OF_EPOCH)
        return max((epoch + 1 for epoch, step in ends.items() if step <= iterations), default=0)

    def _step_before(self, epoch: int) -> int:
        """The step at the end of the epoch before; an optimizer that is new does not know it."""
        ends = self._hub.recorded(TRAIN, STEP_OF_EPOCH)
        return int(max(((at, step) for at, step in ends.items() if at < epoch), default=(0, 0))[1])
