"""The profiler of the backend for some batches (`profile_batch`).

Guarantees: only a profile that was started here is stopped here, since a process has one profiler, and on the
thread that started it: PyTorch's ends the process otherwise. One that a `fit` left running, since it ended by
an exception, is stopped when the next one begins, whatever its logger, or when the process ends. A profiler
that cannot start is reported by the caller and not tried again.
"""

from __future__ import annotations

import atexit
import os
import threading
from typing import Any

from tbx_keras.backends.base import Profiler as Running
from tbx_keras.backends.base import backend_of
from tbx_keras.checked_numbers import count_of
from tbx_keras.error_reporting import described, warn
from tbx_keras.errors import ArgumentError
from tbx_keras.framework_types import Model
from tbx_keras.instrumentation.current_fit import Fit, fit_frame
from tbx_keras.recorders.base import Moment, Recorder
from tbx_keras.scheduling.triggers import Never
from tbx_keras.values import Value

HINT = 'a batch number, a pair of them such as (10, 20) or "10,20", counted from 1 (0 turns it off)'


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
        numbers = [
            count_of("profile_batch", int(part) if isinstance(part, str) else part, HINT, least=0)
            for part in pair
        ]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) != len(pair) or len(pair) not in (1, 2):
        raise ArgumentError("profile_batch", received, HINT)
    first, last = numbers[0], numbers[-1]
    if last < first or (len(pair) == 2 and first == 0):
        raise ArgumentError("profile_batch", received, HINT)
    return first, last


_started: list[Profiler] = []  # of all loggers; a process has one profiler


@atexit.register  # in time: PyTorch ends the process by a signal where its profiler runs when it exits
def stop_left_over() -> None:
    """Stop the profiles that a `fit` left running on this thread; never raises."""
    for one in [one for one in _started if one.is_left_over]:
        try:
            one.end_fit()
        except Exception as error:
            warn(f"tbx_keras: the profile of a fit that was broken off is lost. {described(error)}")


class Profiler(Recorder):
    """Profiles the batches from `first` to `last` of a `fit`.

    Args:
        batches: First and last batch, counted from 1; `(0, 0)` for none.
    """

    name = "profile"
    trigger = Never()
    hint = "profile_batch=0 turns it off."

    def __init__(self, batches: tuple[int, int]) -> None:
        self._first, self._last = batches
        self._log_dir = ""
        self._model: Model = None
        self._running: Running | None = None
        self._thread = 0  # that started it
        self._fit: Fit | None = None

    def set_model(self, model: Model) -> None:
        """Take the model, whose backend is profiled."""
        self._model = model

    def set_log_dir(self, log_dir: str) -> None:
        """Take the directory; the profiler makes `plugins/profile` in the run below it."""
        self._log_dir = os.path.join(log_dir, self.run)

    def turn_off(self) -> None:
        """Profile nothing."""
        self._first = 0

    def begin_step(self, first: int, last: int) -> None:
        """Start when the batches about to run (counted from 1) reach the range; stop behind it."""
        if self._running is not None and first > self._last:
            self.end_fit()
        if self._first and not self._running and first <= self._last and last >= self._first:
            self._first = 0
            self._start()

    def _start(self) -> None:
        profiler = backend_of(self._model).profiler()
        if profiler is not None:
            profiler.start(self._log_dir)
            self._running, self._thread = profiler, threading.get_ident()
            self._fit = Fit.running()
            _started.append(self)

    def end_step(self, last: int) -> None:
        """Stop once `last` has reached the end of the range, unless another thread started."""
        if self._running is not None and last >= self._last and threading.get_ident() == self._thread:
            self.end_fit()

    def end_fit(self) -> None:
        """Stop and save what was profiled, if it runs."""
        if self._running is not None:
            running, self._running = self._running, None
            _started.remove(self)
            running.stop()

    @property
    def is_left_over(self) -> bool:
        """Check whether it runs, on this thread, for a `fit` that has ended."""
        ended = self._fit is not None and not self._fit.runs_in(fit_frame())
        return self._running is not None and ended and threading.get_ident() == self._thread

    def record(self, moment: Moment) -> list[Value]:
        """Return nothing: the profiler writes files of its own."""
        return []
