"""The cost of recording to the training thread: measured, and kept within the budget.

Guarantees: no device is asked. First-time work (tracing, compiling, the first run of each hook) is measured
apart and never judged. Nothing is judged before training is steady.
"""

from __future__ import annotations

import time

from tbx_keras.error_reporting import ErrorReporter
from tbx_keras.hook_time import Clock
from tbx_keras.scheduling.overhead_budget import OverheadBudget, StepClock, is_steady


class OverheadTracker:
    """Time spent in hooks and in sampled steps.

    Args:
        fraction: Fraction of wall time that recording may take.
        reporter: Keeps the time of the hooks.
        clock: Seconds that only grow.
    """

    def __init__(self, fraction: float, reporter: ErrorReporter, clock: Clock = time.perf_counter) -> None:
        self._budget, self._reporter, self._now = OverheadBudget(fraction), reporter, clock
        self._clock = StepClock()
        self.keeps_all = False  # however much it costs: workers have to do the same in the same step
        self._started: float | None = None
        self._before = 0.0  # seconds of `fit` calls that ended
        self._latest = 0.0
        self._steps = 0
        self._seen = 0.0
        self._traces = 0

    def start(self) -> None:
        """Start the time of a `fit`; one that was broken off ended with its last step."""
        self._end(self._latest)
        self._started = self._latest = self._now()

    def stop(self) -> None:
        """End the time of a `fit`: what follows is not training."""
        self._end(self._now())

    def _end(self, now: float) -> None:
        if self._started is not None:
            self._before += now - self._started
        self._started = None

    @property
    def elapsed(self) -> float:
        """Seconds of training, first-time work included."""
        return self._before + (0.0 if self._started is None else self._now() - self._started)

    @property
    def first_time_seconds(self) -> float:
        """Seconds of first-time work."""
        return self._reporter.time.first_time_seconds + self._clock.first_time_seconds

    @property
    def steady_seconds(self) -> float:
        """Seconds that recording took besides."""
        return self._reporter.time.seconds - self._reporter.time.first_time_seconds + self._clock.seconds

    @property
    def steady_fraction(self) -> float:
        """The same as a fraction of the training time without first-time work, 0 to 1."""
        elapsed = self._steady_elapsed
        return min(1.0, self.steady_seconds / elapsed) if elapsed > 0 else 0.0

    @property
    def is_steady(self) -> bool:
        """Check that training has gone on for long enough to judge the fraction."""
        return is_steady(self._steady_elapsed, self._steps)

    @property
    def _steady_elapsed(self) -> float:
        return max(0.0, self.elapsed - self.first_time_seconds)

    def allows(self, kind: str) -> bool:
        """Check that a record of a sampled kind that is due is within the budget."""
        return self.keeps_all or self._budget.allows(kind)

    def count(self, steps: int) -> None:
        """Count steps that begin."""
        self._steps += steps
        self._latest = self._now()

    def count_step(self, traces: int, sampled: bool, epoch_start: bool) -> None:
        """Count the step before the one that begins, if it was sampled.

        Args:
            traces: How often steps were traced so far.
            sampled: Whether the step that begins is sampled.
            epoch_start: Whether it is the first of an epoch.
        """
        self._clock.begin(self._now(), sampled, epoch_start, traced=traces != self._traces)
        self._traces = traces

    def review(self) -> tuple[float, int]:
        """Judge the time since the last review, once training is steady.

        Returns:
            The fraction of wall time that recording took, without first-time work, and the factor by which
            intervals have grown.
        """
        self._latest = self._now()
        # First-time work stays in the window: some of it is known only later, and time must grow.
        steady, now = self.steady_seconds, self.elapsed
        self._budget.spend(steady - self._seen)
        self._seen = steady
        if not self.is_steady:
            self._budget.start_window(now)
        elif self._budget.review(now):
            self._reporter.warn_once("overhead_budget", self._budget.summary_line())
        return self.steady_fraction, self._budget.interval_scale
