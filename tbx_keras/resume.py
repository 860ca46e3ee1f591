"""A run that goes on where an earlier process stopped.

Guarantees: done once, when the first epoch begins, after every callback has restored what it keeps. Only a
model that has made steps already, in a directory that was recorded in before, is taken for a resumed one;
only the runs `train`, `validation` and those below them are touched.
"""

from __future__ import annotations

from typing import Any

from tbx_keras.options import TRAIN, VALIDATION
from tbx_keras.recorders.axes import STEP_OF_EPOCH, counts_epochs


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
            first = epoch or self._epoch_after(iterations)
            self._progress.resume(first)
            self._hub.restart((TRAIN, VALIDATION), iterations, first, counts_epochs)

    def _epoch_after(self, iterations: int) -> int:
        """The epoch that follows those which had ended by a step."""
        ends = self._hub.recorded(TRAIN, STEP_OF_EPOCH)
        return max((epoch + 1 for epoch, step in ends.items() if step <= iterations), default=0)
