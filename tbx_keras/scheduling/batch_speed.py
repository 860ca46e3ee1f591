"""The speed of single executions of training steps.

Guarantees: only looks at the clock, and at that only where speeds are recorded. The end of an execution may
come on another thread and in any order.
"""

from __future__ import annotations

import time

LEAST_S = 1e-9


class BatchSpeed:
    """Measures executions by the number that Keras gives to their last batch.

    Args:
        active: Whether speeds are recorded.
    """

    def __init__(self, active: bool) -> None:
        self._active = active
        self._started: dict[int, float] = {}

    def begin(self, number: int) -> None:
        """Note that an execution begins."""
        if self._active:
            self._started[number] = time.perf_counter()

    def end(self, number: int, steps: int) -> float | None:
        """Compute the steps per second of an execution of some steps; None where it was not measured."""
        started = self._started.pop(number, None)
        return None if started is None else steps / max(time.perf_counter() - started, LEAST_S)
