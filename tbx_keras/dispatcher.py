"""Dispatch of moments of the training to recorders, and of their values to the writer.

Guarantees: this is the only place that asks a trigger and the overhead budget, that catches and reports an
error of a recorder, and that measures its time. A recorder that fails is reported once and keeps no other
from recording. On a step for which nobody is due, it does a few comparisons of integers.

Threading: all on the thread that trains, but for `end_step`, which a backend with unordered hooks may call on
another one, for one step at a time; values are completed on the writer's thread. What looks at more than the
loss inside a step is recorded as soon as the step has run: another callback may end training before Keras
calls our hook.
"""

from __future__ import annotations

import functools
import time
import weakref
from collections.abc import Callable, Sequence

from tbx_keras.checked_numbers import step_number
from tbx_keras.diagnosis.base import Evidence
from tbx_keras.diagnosis.monitor import Monitor
from tbx_keras.error_reporting import ErrorReporter
from tbx_keras.framework_types import Logs, Model
from tbx_keras.instrumentation.base import (
    GRADIENTS,
    KINDS,
    LOSS,
    Captured,
    CaptureSchema,
    Instrument,
    Kinds,
    is_costly,
)
from tbx_keras.instrumentation.limits import STEPS_TO_UPDATE, may_update_later
from tbx_keras.recorders.base import Moment, Recorded, Recorder
from tbx_keras.recorders.profiler import stop_left_over
from tbx_keras.scheduling.overhead import OverheadTracker
from tbx_keras.scheduling.triggers import Trigger, WithEveryTrace, counts_epochs, counts_steps, is_active
from tbx_keras.values import BatchWriter, Deferred, Fetched, RecordBatch, Value, as_iterable


class Dispatcher:
    """Asks recorders at each step and epoch, and hands their values to the writer.

    Args:
        recorders: The recorders, in the order in which they are asked.
        writer: Takes their values.
        tracker: Measures the cost, and says what the budget allows.
        reporter: Reports their errors.
        monitor: Sees their values.
    """

    def __init__(
        self,
        recorders: Sequence[Recorder],
        writer: BatchWriter,
        tracker: OverheadTracker,
        reporter: ErrorReporter,
        monitor: Monitor,
    ) -> None:
        self._recorders, self._writer, self._tracker = recorders, writer, tracker
        self._reporter, self._monitor = reporter, monitor
        self.instrument: Instrument | None = None
        self._read_triggers()
        self._find_schema: Callable[[], CaptureSchema | None] = lambda: None
        self._beginning = [one for one in recorders if _overrides(one, "begin_step")]
        self._ending = [one for one in recorders if _overrides(one, "end_step")]
        self._due: dict[int, list[Recorder]] = {}
        self._captured: dict[int, Captured] = {}
        self._awaited: int | None = None
        self._put_off: list[Recorder] = []  # until a step makes an update
        self._put_offs = 0
        self._begun = 0  # the last step that began
        self._epoch = 0
        self._model: Model = None

    def _read_triggers(self) -> None:
        triggers = [(one.trigger, one) for one in self._recorders]
        self._by_epoch = [(trigger, one) for trigger, one in triggers if counts_epochs(trigger)]
        self._by_step = [
            (trigger, one) for trigger, one in triggers if counts_steps(trigger) and is_active(trigger)
        ]
        self._with_traces = [one for one in self._recorders if isinstance(one.trigger, WithEveryTrace)]

    @property
    def kinds(self) -> Kinds:
        """Kinds that any recorder wants captured."""
        return frozenset[str]().union(*(self._captures(one) for _, one in self._by_step))

    def _captures(self, recorder: Recorder) -> Kinds:
        try:
            return frozenset(recorder.captures)  # itself, unless somebody has set another collection
        except Exception as error:
            self._reporter.report(f"reading the captures of {recorder.name}", error, recorder.hint)
            return frozenset()

    def set_model(self, model: Model) -> None:
        """Give all recorders a model that is new."""
        self._model = model
        for one in self._recorders:
            self._guarded(one, "looking at the model for", one.set_model, model)

    def set_log_dir(self, log_dir: str) -> None:
        """Give all recorders the directory of the run."""
        for one in self._recorders:
            self._guarded(one, "preparing", one.set_log_dir, log_dir)

    def begin_fit(self) -> None:
        """Begin a `fit`; a hook of one that was broken off may still be to come, on another thread."""
        stop_left_over()
        self._captured.clear()
        self._put_off, self._put_offs = [], 0
        self._awaited, self._begun = None, 0
        for one in self._recorders:
            if _overrides(one, "begin_fit"):
                self._guarded(one, "preparing", one.begin_fit)
        self._read_triggers()
        if self.instrument is not None and self.kinds:
            self.instrument.begin_fit(self.kinds)

    def begin_step(self, first: int, last: int, epoch: int, epoch_start: bool) -> None:
        """Begin the steps `first` to `last`, which run in one execution.

        Args:
            first: First step, counted from 1.
            last: Last step.
            epoch: Their epoch.
            epoch_start: Whether they begin an epoch.
        """
        self._tracker.count(last - first + 1)
        self._begun, self._epoch = last, epoch
        for one in self._beginning:
            self._guarded(one, "preparing", one.begin_step, first, last)
        due = self._due_of(self._by_step, first, last, epoch_start)
        if self._put_off:
            due += [one for one in self._put_off if one not in due]
        if due:
            self._due[last] = due
        elif self._due:
            self._due.pop(last, None)  # of a `fit` that was broken off in this step
        if self.instrument is not None:
            self._instrument_step(self.instrument, last, due, epoch_start)

    def _due_of(self, pairs: Sequence[tuple[Trigger, Recorder]], *position: int) -> list[Recorder]:
        due = []
        for trigger, one in pairs:
            try:
                asks: Callable[..., bool] = trigger.due
                is_due = bool(asks(*position)) and self._may(one)
            except Exception as error:  # of a trigger of the user's
                self._reporter.report(f"asking when to record {one.name}", error, one.hint)
                continue
            if is_due:
                due.append(one)
        return due

    def _may(self, recorder: Recorder) -> bool:
        return not recorder.sampled or self._tracker.allows(recorder.name)

    def _instrument_step(
        self, instrument: Instrument, last: int, due: list[Recorder], epoch_start: bool
    ) -> None:
        kinds, costly = _kinds_of(*map(self._captures, due)) if due else (None, False)
        self._tracker.count_step(instrument.traces, costly, epoch_start)
        self._awaited = last if costly else None
        if kinds:
            instrument.instrument_next(self, kinds, functools.partial(self._keep, last))
        else:
            instrument.skip(self)

    def _keep(self, step: int, captured: Captured) -> None:
        self._awaited = None
        self._captured[step] = captured  # for those that want the metrics of the step too
        due = self._due.get(step, [])
        now = [one for one in due if is_costly(self._captures(one))]
        if now:
            self._due[step] = [one for one in due if one not in now]
            now = self._without_put_off(now, may_update_later(captured.schema))
        if self._with_traces and captured.schema is not self._find_schema():
            self._find_schema, now = weakref.ref(captured.schema), now + self._with_traces
        for one in now:
            moment = Moment(self._model, self._epoch, step, captured=captured)
            self._record(one, moment, in_hook=False)

    def _without_put_off(self, recorders: list[Recorder], later: bool) -> list[Recorder]:
        """Put recorders of gradients off by a step, where this one leaves its update to later ones."""
        self._put_offs = self._put_offs + 1 if later else 0
        self._put_off = []
        if 0 < self._put_offs < STEPS_TO_UPDATE:
            self._put_off = [one for one in recorders if GRADIENTS in self._captures(one)]
        return [one for one in recorders if one not in self._put_off]

    def awaits_capture(self, step: int) -> bool:
        """Check whether something was to be captured in a step and has not come."""
        return self._awaited == step and self.instrument is not None and self.instrument.is_pending

    def end_step(self, step: int, epoch: int, logs: Logs, steps_per_second: float | None) -> None:
        """End a step: record what was due when it began.

        Args:
            step: The step, counted from 1.
            epoch: Its epoch.
            logs: Its metrics.
            steps_per_second: Its speed, where somebody asked for it.
        """
        for one in self._ending:
            self._guarded(one, "finishing", one.end_step, step)
        due = self._due_in(step)
        captured = self._captured.pop(step, None) if self._captured else None
        for one in due:
            if captured is not None or not is_costly(self._captures(one)):
                self._record(one, Moment(self._model, epoch, step, logs, steps_per_second, captured))

    def _due_in(self, step: int) -> Sequence[Recorder]:
        if step > self._begun:  # a loop of the user's that calls no hook at the beginning of a step
            return self._due_of(self._by_step, step, step, False)
        return self._due.pop(step, ()) if self._due else ()

    def end_epoch(self, moment: Moment) -> None:
        """End an epoch: record what is due."""
        for one in self._due_of(self._by_epoch, moment.epoch):
            self._record(one, moment)

    def end_fit(self) -> None:
        """End a `fit` that ended without an exception."""
        if self.instrument is not None:
            self.instrument.end_fit()
        for one in self._recorders:
            if _overrides(one, "end_fit"):
                self._guarded(one, "finishing", one.end_fit)

    def _record(self, recorder: Recorder, moment: Moment, in_hook: bool = True) -> None:
        # Within a hook, whose own time is measured, only first runs are measured apart.
        if in_hook and self._reporter.time.has_run(f"recording {recorder.name}"):
            self._attempt(recorder, "recording", self._record_unguarded, recorder, moment)
        else:
            self._guarded(recorder, "recording", self._record_unguarded, recorder, moment)

    def _record_unguarded(self, recorder: Recorder, moment: Moment) -> None:
        if recorder.will_trace():
            with self._reporter.one_time():
                found = recorder.record(moment)
        else:
            found = recorder.record(moment)
        self._submit(recorder, moment, found)

    def _submit(self, recorder: Recorder, moment: Moment, found: Recorded) -> None:
        values: list[Value] | Deferred
        if isinstance(found, Deferred):
            # One object rather than a function with cells: thousands wait, and the garbage collector counts.
            values = Deferred(functools.partial(self._made, recorder, moment, found.fetch), found.nbytes)
        else:
            values = self._made(recorder, moment, lambda: found)
        axis, step = recorder.trigger.axis, step_number(recorder.step_of(moment))
        self._writer.submit(RecordBatch(recorder.run, axis, step, values, recorder.droppable, time.time()))

    def _made(self, recorder: Recorder, moment: Moment, fetch: Callable[[], Fetched]) -> list[Value]:
        """Make the values, and show them to the rules, on the thread that fetches them.

        Those that come before an error are kept.
        """
        values: list[Value] = []
        try:
            for value in as_iterable(fetch()):
                values.append(value)
        except Exception as error:
            self._reporter.report(f"recording {recorder.name}", error, recorder.hint)
        if self._monitor.looks_at(recorder.name):
            self._monitor.observe(
                Evidence(recorder.name, recorder.run, moment.step, moment.epoch, tuple(values), moment.model)
            )
        return values

    def _guarded(self, recorder: Recorder, what: str, call: Callable[..., None], *arguments: object) -> None:
        self._reporter.time.begin(f"{what} {recorder.name}")
        try:
            self._attempt(recorder, what, call, *arguments)
        finally:
            self._reporter.time.end()

    def _attempt(self, recorder: Recorder, what: str, call: Callable[..., None], *arguments: object) -> None:
        try:
            call(*arguments)
        except Exception as error:
            self._reporter.report(f"{what} {recorder.name}", error, recorder.hint)


@functools.cache
def _kinds_of(*captures: Kinds) -> tuple[Kinds | None, bool]:
    """Join the kinds that recorders want; None for nothing. Also say whether they cost anything."""
    kinds = frozenset[str]().union(*captures) & KINDS
    # The loss comes without cost, and says that the step ran even where it has no gradients.
    return (kinds | {LOSS} if kinds else None), is_costly(kinds)


def _overrides(recorder: Recorder, method: str) -> bool:
    return getattr(type(recorder), method) is not getattr(Recorder, method)
