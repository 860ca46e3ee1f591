"""TensorFlow's profiler for some batches (`profile_batch`).

Guarantees: only a profile that was started here is stopped here, since a process has one profiler. A
profiler that cannot start is reported by the caller and not tried again.
"""

from __future__ import annotations

from typing import Any

from tbx_keras.errors import ArgumentError

REMEDY = 'a batch number, a pair of them such as (10, 20) or "10,20", counted from 1 (0 turns it off)'


def batch_range(received: object) -> tuple[int, int]:
    """Read `profile_batch`.

    Args:
        received: An integer, a pair of integers, or a string of one or two of them.

    Returns:
        First and last batch to profile, counted from 1; `(0, 0)` for none.

    Raises:
        ArgumentError: It is none of these, is negative or falls.
    """
    parts = received.split(",") if isinstance(received, str) else received
    pair: list[Any] = list(parts) if isinstance(parts, (tuple, list)) else [parts]
    try:
        numbers = [int(part) for part in pair if not isinstance(part, (bool, float))]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) != len(pair) or len(pair) not in (1, 2):
        raise ArgumentError("profile_batch", received, REMEDY)
    first, last = numbers[0], numbers[-1]
    if first < 0 or last < first or (len(pair) == 2 and first == 0):
        raise ArgumentError("profile_batch", received, REMEDY)
    return first, last


class Profiler:
    """Profiles the batches from `first` to `last` of a `fit`.

    Args:
        log_dir: Directory under which the profiler makes `plugins/profile`.
        batches: First and last batch, counted from 1; `(0, 0)` for none.
    """

    def __init__(self, log_dir: str, batches: tuple[int, int]) -> None:
        self._log_dir = log_dir
        self._first, self._last = batches
        self._running = False

    def turn_off(self) -> None:
        """Profile nothing."""
        self._first = 0

    def before(self, first: int, last: int) -> None:
        """Start when the batches about to run (counted from 1 in this `fit`) reach the range."""
        if self._first and not self._running and first <= self._last and last >= self._first:
            from tensorflow import profiler

            profiler.experimental.start(self._log_dir)
            self._running = True

    def after(self, last: int) -> None:
        """Stop once `last` has reached the end of the range."""
        if self._running and last >= self._last:
            self.stop()

    def stop(self) -> None:
        """Stop and save what was profiled, if it runs."""
        if self._running:
            from tensorflow import profiler

            self._running, self._first = False, 0
            profiler.experimental.stop()
