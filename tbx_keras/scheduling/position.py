"""The position in a training: Keras's numbers of batches and epochs as steps and epochs that never go back.

Guarantees: pure arithmetic, no framework. The step is the optimizer's own count of iterations, which
survives a checkpoint; a new optimizer (after a recompile) goes on where the old one stood. Epochs of a
second `fit` follow those of the first, unless the caller numbers them on with `initial_epoch`. Where hooks
come in any order, `step_of` and `advance` take the place of `end_batch`, and may be called on any thread.
"""

from __future__ import annotations

import threading
import time


class TrainingPosition:
    """Counts steps from 1 and epochs from 0 over all `fit` calls of a logger."""

    def __init__(self) -> None:
        self.epoch = 0
        self.step = 0
        self._base = 0
        self._epoch_begins = False
        self._offset = 0
        self._optimizer: int | None = None
        self._next_epoch = 0
        self._epoch_offset: int | None = None
        self._steps: int | None = None
        self._begun_at: int | None = None  # iterations of the optimizer where the epoch began
        self._step_is_known = False
        self._in_order = True
        self._lock = threading.Lock()
        self._epoch_started = time.perf_counter()

    def begin_fit(self, steps: int | None = None, in_order: bool = True) -> None:
        """Begin a `fit`; its epochs are numbered when the first one begins.

        Args:
            steps: Steps in an epoch, where known: an execution of several steps ends with the epoch.
            in_order: Whether the first batch to begin is the first of its epoch. If not, that is batch 0.
        """
        self._epoch_offset = None
        self._steps, self._in_order = steps, in_order

    def resume(self, epoch: int, step: int) -> None:
        """Go on after the epochs and steps of another process."""
        self._next_epoch = max(self._next_epoch, epoch)
        self.step = max(self.step, step)

    def begin_epoch(self, epoch: int, iterations: int | None, optimizer: int) -> None:
        """Begin an epoch, and number it.

        Args:
            epoch: Number that Keras gives to the epoch.
            iterations: Steps that the optimizer has made; None without an optimizer.
            optimizer: Identity of the optimizer.
        """
        if self._epoch_offset is None:
            self._epoch_offset = max(0, self._next_epoch - epoch)
        self.epoch = int(epoch) + self._epoch_offset
        self._base = self.at(iterations, optimizer)
        self._begun_at, self._step_is_known = iterations, False
        self._epoch_begins = self._in_order
        self._epoch_started = time.perf_counter()

    def at(self, iterations: int | None, optimizer: int) -> int:
        """Get the global step for a count of iterations.

        A new optimizer counts from 0 again, and one with a loss scale does not count the steps that it
        skips: in both cases the step goes on from where it stands.
        """
        if iterations is None:
            return self.step
        if optimizer != self._optimizer or iterations + self._offset < self.step:
            self._optimizer, self._offset = optimizer, max(0, self.step - iterations)
        return iterations + self._offset

    def begin_batch(self, batch: int, steps_per_execution: int) -> tuple[int, int]:
        """Get the first and last step of the execution that starts with Keras's `batch`.

        An epoch that was restored in its middle begins with a later batch than 0: those before it are among
        the optimizer's iterations already.
        """
        batch = int(batch)  # tf_keras: of NumPy after a restart
        if self._epoch_begins:
            self._base -= batch
            self._epoch_begins = False
        return self._base + batch + 1, self._base + self._within(batch + steps_per_execution)

    def end_batch(self, batch: int) -> int:
        """Get the step of Keras's `batch`, and count it."""
        step = self._base + self._within(int(batch) + 1)
        self.step = max(self.step, step)
        return step

    def step_of(self, batch: int) -> int:
        """Get the step of Keras's `batch` of this epoch, without counting it."""
        return self._base + self._within(int(batch) + 1)

    def advance(self, step: int) -> None:
        """Count the steps up to `step`."""
        with self._lock:
            if not self._step_is_known:
                self.step = max(self.step, step)

    def correct(self, iterations: int | None, steps_per_execution: int) -> None:
        """At the end of an epoch: take the number of its steps from the optimizer.

        Of data without a known size Keras begins an execution that finds none left, and ends one that made
        fewer steps than it holds; of endless data it makes more steps than were asked for. A difference that
        is larger comes from something else, such as steps that do not call the optimizer.

        Args:
            iterations: Steps that the optimizer has made; None without an optimizer.
            steps_per_execution: Steps in an execution.
        """
        if iterations is None or self._begun_at is None:
            return
        made, counted = iterations - self._begun_at, self.step - self._base
        with self._lock:
            if 0 < made != counted and abs(made - counted) < 2 * steps_per_execution:
                self.step, self._step_is_known = self._base + made, True

    def _within(self, batches: int) -> int:
        return batches if self._steps is None else min(batches, self._steps)

    def end_epoch(self) -> None:
        """End an epoch; the next one that Keras does not number on follows it."""
        self._next_epoch = self.epoch + 1

    def steps_per_second(self) -> float:
        """Compute the mean speed since the epoch began, validation included, as Keras does."""
        elapsed = time.perf_counter() - self._epoch_started
        return (self.step - self._base) / elapsed if elapsed > 0 else 0.0
