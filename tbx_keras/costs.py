"""What recording costs the training thread: measured, recorded, and kept within the budget.

Guarantees: no device is asked. Tracing and other work that comes once is measured, but not held against
the budget.
"""

from __future__ import annotations

import time
from typing import Any

from tbx_keras.budget import Budget, StepClock
from tbx_keras.faults import Faults, tell
from tbx_keras.values import Scalar


class Costs:
    """Time spent in hooks and in sampled steps.

    Args:
        fraction: Share of wall time that recording may take.
        faults: Keeps the time of the hooks.
    """

    def __init__(self, fraction: float, faults: Faults) -> None:
        self._budget, self._faults = Budget(fraction), faults
        self._clock = StepClock()
        self._started: float | None = None
        self._seen = 0.0
        self._traces = 0
        self._told = False

    def start(self) -> None:
        """Training begins."""
        if self._started is None:
            self._started = time.perf_counter()

    @property
    def elapsed(self) -> float:
        """Seconds since training began."""
        return 0.0 if self._started is None else time.perf_counter() - self._started

    def allows(self, kind: str) -> bool:
        """Whether a record of a sampled kind that is due is within the budget."""
        return self._budget.allows(kind)

    def count_step(self, tap: Any, sampled: bool, epoch_start: bool) -> None:
        """A step begins; the one before is counted if it was sampled and not traced."""
        extra = self._clock.begin(time.perf_counter(), sampled, epoch_start)
        if extra and tap.traces == self._traces:
            self._budget.spend(extra)
        self._traces = tap.traces

    def review(self) -> list[Scalar]:
        """Judge the time so far.

        Returns:
            `tbx/overhead`, the share of wall time, and `tbx/stretch`, by how much intervals have grown.
        """
        steady = self._faults.seconds - self._faults.one_time_seconds
        self._budget.spend(steady - self._seen)
        self._seen = steady
        elapsed = self.elapsed
        if self._budget.review(elapsed) and not self._told:
            self._told = True
            tell(self._budget.sentence())
        share = self._budget.total / elapsed if elapsed else 0.0
        return [Scalar("tbx/overhead", share), Scalar("tbx/stretch", float(self._budget.stretch))]
