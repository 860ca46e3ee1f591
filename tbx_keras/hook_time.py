"""Measurement of the seconds spent in hooks, with first-time work apart.

Guarantees: a hook within a hook counts once. The first run of each place (imports, tracing, compiling) is
first-time work, and so is a block that is marked as such. Safe to use from several threads.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

Clock = Callable[[], float]


class HookTime:
    """Adds up the time between `begin` and `end`, which nest within a thread.

    Args:
        clock: Seconds that only grow.
    """

    def __init__(self, clock: Clock = time.perf_counter) -> None:
        self._clock = clock
        self.seconds = 0.0
        self.first_time_seconds = 0.0
        self._seen: set[str] = set()
        self._lock = threading.Lock()
        self._open = threading.local()

    def expect_first_runs(self) -> None:
        """Count the next run of each place as a first one, since the model is another."""
        self._seen.clear()

    def has_run(self, place: str) -> bool:
        """Check whether the next run of a place is not its first one."""
        return place in self._seen

    def begin(self, place: str = "", first: bool | None = None) -> None:
        """Enter a block.

        Args:
            place: What the block does.
            first: Whether it is first-time work; None: whether the place has not run before.
        """
        if first is None:
            first = place not in self._seen
            self._seen.add(place)
        self._blocks().append((self._clock(), first))

    def end(self) -> None:
        """Leave the block entered last."""
        blocks = self._blocks()
        start, first = blocks.pop()
        took = self._clock() - start
        with self._lock:
            if not blocks:
                self.seconds += took
            if first and not any(outer for _, outer in blocks):
                self.first_time_seconds += took

    def _blocks(self) -> list[tuple[float, bool]]:
        try:
            return self._open.blocks
        except AttributeError:
            self._open.blocks = []
            return self._open.blocks
