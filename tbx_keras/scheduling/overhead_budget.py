"""Limit on the fraction of wall time that recording takes: above it, records become rarer.

Guarantees: pure arithmetic on the seconds that it gets; no clock of its own. Only sampled kinds are made
rarer, never metrics of an epoch. Costs that come once, such as tracing, are not for this to judge.
"""

from __future__ import annotations

import statistics
from collections import deque

import numpy as np

from tbx_keras.errors import ArgumentError

REVIEW_SECONDS = 5.0  # a shorter window would judge by a single sample
STEADY_SECONDS = 30.0  # before that, and before so many steps, caches warm up and the first runs still count
STEADY_STEPS = 100
MAX_INTERVAL_SCALE = 1024
KNOWN_AFTER = 8  # plain steps: fewer do not say how long one takes
REMEMBERED = 32  # steps of a kind


class OverheadBudget:
    """Makes sampled kinds rarer while recording takes more than its fraction of the time.

    Args:
        fraction: Fraction of wall time that recording may take on the training thread, 0 to 1.

    Example:
    ```python
    from tbx_keras.scheduling.overhead_budget import OverheadBudget

    budget = OverheadBudget(0.05)
    budget.spend(2.0)
    assert budget.review(10.0)  # 20 % of the time since the last review
    assert budget.interval_scale == 2
    assert [budget.allows("gradients") for _ in range(4)] == [True, False, True, False]
    ```
    """

    def __init__(self, fraction: float) -> None:
        self.fraction = fraction
        self.interval_scale = 1
        self.total = 0.0
        self._spent = 0.0
        self._reviewed = 0.0
        self._asked: dict[str, int] = {}

    def spend(self, seconds: float) -> None:
        """Count time that recording took on the training thread."""
        self._spent += seconds
        self.total += seconds

    def allows(self, kind: str) -> bool:
        """Check whether to make a record of a sampled kind that is due: each `interval_scale`-th is made."""
        asked = self._asked.get(kind, 0)
        self._asked[kind] = asked + 1
        return asked % self.interval_scale == 0

    def summary_line(self) -> str:
        """Describe the new intervals, for a warning the first time that they change."""
        return (
            f"tbx_keras: recording took more than {self.fraction:.0%} of the time (overhead_budget); "
            f"gradients, histograms and the like are now recorded {self.interval_scale} times more rarely "
            "(tbx/interval_scale)."
        )

    def start_window(self, now: float) -> None:
        """Leave the time up to now unjudged."""
        self._spent, self._reviewed = 0.0, now

    def review(self, now: float) -> bool:
        """Judge the time since the last review.

        Args:
            now: Seconds since training began.

        Returns:
            Whether the intervals changed.
        """
        window = now - self._reviewed
        if window < REVIEW_SECONDS:
            return False
        # Above 1 where a step that began in the window before is counted: a budget of 1 allows all the same.
        fraction, before = min(1.0, self._spent / window), self.interval_scale
        if fraction > self.fraction:
            self.interval_scale = min(MAX_INTERVAL_SCALE, self.interval_scale * 2)
        elif fraction < self.fraction / 4:  # well below: half the interval stays within the budget
            self.interval_scale = max(1, self.interval_scale // 2)
        self.start_window(now)
        return self.interval_scale != before


def is_steady(seconds: float, steps: int) -> bool:
    """Check that training has gone on for long enough to judge the cost of recording.

    Args:
        seconds: Seconds of training, without first-time work.
        steps: Steps made.
    """
    return seconds >= STEADY_SECONDS and steps >= STEADY_STEPS


def budget_fraction(received: object) -> float:
    """Read `overhead_budget`.

    Raises:
        ArgumentError: It is no number above 0 and up to 1.
    """
    if (
        isinstance(received, (int, float, np.floating))
        and not isinstance(received, bool)
        and 0 < received <= 1
    ):
        return float(received)
    raise ArgumentError(
        "overhead_budget", received, "a fraction of wall time above 0 and up to 1, such as 0.05"
    )


class StepClock:
    """Time that sampled steps take beyond plain ones, from the times at which steps begin.

    Steps follow one another, so that the time to the next beginning is that of the step. No device is asked.
    The first step of a kind and one that was traced are first-time work. Others are compared with the median
    of the latest plain ones, as soon as there are `known_after` of those.

    Args:
        known_after: Plain steps that have to be known.
    """

    def __init__(self, known_after: int = KNOWN_AFTER) -> None:
        self._known_after = known_after
        self._began: float | None = None
        self._sampled = False
        self._taken: dict[bool, deque[float]] = {}
        self._first_runs: list[float] = []
        self.seconds = 0.0

    @property
    def first_time_seconds(self) -> float:
        """Seconds that first runs of sampled steps took beyond later steps; 0 where there were none."""
        usual = self._taken.get(False) or self._taken.get(True)
        return sum(max(0.0, took - statistics.median(usual)) for took in self._first_runs) if usual else 0.0

    def begin(self, now: float, sampled: bool, epoch_start: bool, traced: bool = False) -> float:
        """Begin a step.

        Args:
            now: Seconds of any clock.
            sampled: Whether this step is sampled.
            epoch_start: Whether it is the first of an epoch: then the time before it is no step's.
            traced: Whether something was traced in the step before.

        Returns:
            Seconds that the step before took beyond a plain one; 0 if it was plain or a first run.
        """
        extra = 0.0
        if self._began is not None:
            extra = self._finish(now - self._began, epoch_start, traced)
        self._began, self._sampled = now, sampled
        self.seconds += extra
        return extra

    def _finish(self, took: float, epoch_end: bool, traced: bool) -> float:
        first = self._sampled not in self._taken
        taken = self._taken.setdefault(self._sampled, deque(maxlen=REMEMBERED))
        if epoch_end:
            return 0.0
        if first or traced:
            self._first_runs += [took] if self._sampled else []
            return 0.0
        taken.append(took)
        plain = self._taken.get(False, ())
        if not self._sampled or len(plain) < self._known_after:
            return 0.0
        return max(0.0, took - statistics.median(plain))
