"""Continuation of a run that an earlier process began.

Guarantees: done once, when the first epoch begins, after every callback has restored what it keeps. Only a
model that has made steps already, or whose epochs do not begin at 0, in a directory that was recorded in
before, is taken for a resumed one; only the series of the logger in the runs `train`, `validation` and those
below them are touched.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from tbx_keras.scheduling.position import TrainingPosition


class RecordedRuns(Protocol):
    """Earlier recordings in the directory of a writer."""

    def recorded(self, run: str, tag: str) -> dict[int, float]:
        """Read the scalars of one series by step."""

    def restart(self, runs: Iterable[str], step: int, epoch: int) -> None:
        """Hide what a resumed training will repeat."""


class Resume:
    """Finds the step to go on from, and hides what will be repeated.

    Args:
        writer: The writer.
        position: The position in the training.
        runs: Runs that are resumed; the first has the series of ends of epochs.
        tag: Series of the steps at the ends of epochs.
    """

    def __init__(
        self, writer: RecordedRuns, position: TrainingPosition, runs: tuple[str, ...], tag: str
    ) -> None:
        self._writer, self._position, self._runs, self._tag = writer, position, runs, tag
        self._done = False

    def begin_epoch(self, epoch: int, iterations: int | None) -> None:
        """Begin an epoch.

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
        self._position.resume(epoch, step)
        self._writer.restart(self._runs, step, epoch)

    def _epoch_after(self, iterations: int) -> int:
        """Find the epoch after those that had ended by a step."""
        ends = self._writer.recorded(self._runs[0], self._tag)
        return max((epoch + 1 for epoch, step in ends.items() if step <= iterations), default=0)

    def _step_before(self, epoch: int) -> int:
        """Find the step at the end of the epoch before, for an optimizer that is new."""
        ends = self._writer.recorded(self._runs[0], self._tag)
        return int(max(((at, step) for at, step in ends.items() if at < epoch), default=(0, 0))[1])
