"""Stand-in for the train function of a model, for one call.

`fit` looks `model.train_function` up at every step, on all backends of Keras: what stands there when a step
comes runs that step.

Guarantees: the attribute is the original again before the step runs. Where a `fit` ends between the hook and
the step, because another callback raised, the next call puts the original back and runs it.

Threading: use it on the thread that trains.
"""

from __future__ import annotations

import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from tbx_keras.framework_types import Logs, Model, TrainFunction
from tbx_keras.instrumentation.base import Deliver, Kinds, Report
from tbx_keras.instrumentation.current_fit import Fit, fit_frame
from tbx_keras.instrumentation.replaced_attributes import set_past_keras

Delivery: TypeAlias = tuple[Kinds, Deliver]
Deliveries: TypeAlias = dict[int, Delivery]  # by the identity of who asked


def kinds_of(deliveries: Sequence[Delivery]) -> Kinds:
    """Join the kinds that some receivers want."""
    if len(deliveries) == 1:  # as in nearly all steps
        return deliveries[0][0]
    return frozenset[str]().union(*(kinds for kinds, _ in deliveries))


class StandInInstrument(ABC):
    """Puts a stand-in in the place of a model's train function for the steps that are asked for.

    Args:
        model: A compiled model.
        report: Called with a place and an exception when the instrument itself fails.
    """

    def __init__(self, model: Model, report: Report) -> None:
        self._find_model = weakref.ref(model)
        self._report = report
        self._kinds: Kinds = frozenset()  # asked for in any `fit` so far
        self.traces = 0

    @abstractmethod
    def run(self, original: TrainFunction, deliveries: Deliveries, *arguments: Any) -> Logs:
        """Run an instrumented step.

        Args:
            original: The model's own train function.
            deliveries: What to capture and where to deliver it.
            *arguments: Arguments of the train function.
        """

    def begin_fit(self, kinds: Kinds) -> None:
        """Prepare for a `fit`.

        Args:
            kinds: Kinds that will be asked for.
        """
        self.end_fit()
        self._kinds |= kinds

    def end_fit(self) -> None:
        """Leave the model as if it had never been instrumented."""
        self.restore()

    def instrument_next(self, owner: object, kinds: Kinds, deliver: Deliver) -> None:
        """Capture in the next step.

        Args:
            owner: Who asks; asking again replaces what was asked for a step that never ran.
            kinds: Kinds to capture.
            deliver: Called after the step with what was captured.
        """
        standing = self._standing_in_this_fit()
        if standing is not None:
            standing.deliveries[id(owner)] = (kinds, deliver)
            self._put(standing)

    def skip(self, owner: object) -> None:
        """Leave the next step alone."""
        current = vars(self._find_model()).get("train_function")
        if isinstance(current, StandIn):
            current.deliveries.pop(id(owner), None)

    @property
    def is_pending(self) -> bool:
        """Check whether a step that was asked for has not run, as where the model makes no train function."""
        current = self._current()
        return current is None or (isinstance(current, StandIn) and bool(current.deliveries))

    def runs_every_step(self, original: TrainFunction) -> bool:
        """Check whether instrumented steps stand for all steps, also those of which nothing is asked."""
        return False

    def restore(self) -> None:
        """Put the original train function back, or where every step is instrumented let that go on."""
        current = vars(self._find_model()).get("train_function")
        if isinstance(current, StandIn):
            self._put_at_rest(current.original)

    def run_unasked(self, original: TrainFunction, *arguments: Any) -> Logs:
        """Run a step of which nothing was asked, or in a `fit` that has ended."""
        if self.runs_every_step(original):
            return self.run(original, {}, *arguments)
        self.restore()
        return original(*arguments)

    def _put_at_rest(self, original: TrainFunction) -> None:
        """Put the function in place that runs the steps of which nothing is asked."""
        self._put(StandIn(self, original, {}) if self.runs_every_step(original) else original)

    def _standing_in_this_fit(self) -> StandIn | None:
        """Get or make the stand-in for the train function; None if the model makes none."""
        current = self._current()
        if isinstance(current, StandIn):
            if not current.of_other_fit:
                return current
            current = current.original
        return None if current is None else StandIn(self, current, {}, Fit.running())

    def _put(self, train_function: TrainFunction) -> None:
        set_past_keras(self._find_model(), "train_function", train_function)

    def _current(self) -> TrainFunction | None:
        """Get the function that the next step will call, made if need be; None if the model makes none."""
        model: Model = self._find_model()
        current = vars(model).get("train_function")
        if current is None and hasattr(model, "make_train_function"):
            model.make_train_function()
            current = model.train_function
        return current

    def _original(self) -> TrainFunction | None:
        """Get the model's own train function; None if the model makes none."""
        current = self._current()
        return current.original if isinstance(current, StandIn) else current


class StandIn:
    """Stands in for `model.train_function` until it is called.

    Args:
        instrument: Runs the step.
        original: The train function.
        deliveries: What to capture, and where to deliver it.
        fit: The `fit` that the step belongs to; None for a loop by hand, or for every step.
    """

    def __init__(
        self,
        instrument: StandInInstrument,
        original: TrainFunction,
        deliveries: Deliveries,
        fit: Fit | None = None,
    ) -> None:
        self._instrument, self.original, self.deliveries = instrument, original, deliveries
        self._fit = fit

    @property
    def of_other_fit(self) -> bool:
        """Check whether it was left behind by a `fit` that ended, or belongs to none."""
        frame = fit_frame()
        return frame is not None if self._fit is None else not self._fit.runs_in(frame)

    def __call__(self, *arguments: Any) -> Logs:
        if self.of_other_fit:
            return self._instrument.run_unasked(self.original, *arguments)
        return self._instrument.run(self.original, self.deliveries, *arguments)


class OneForEachModel:
    """Instruments by model: one, whatever the number of loggers, since a step can run only once.

    Args:
        make: Makes the instrument of a model.
    """

    def __init__(self, make: Callable[[Model, Report], StandInInstrument]) -> None:
        self._make = make
        self._made: weakref.WeakKeyDictionary[Model, StandInInstrument] = weakref.WeakKeyDictionary()

    def __call__(self, model: Model, report: Report) -> StandInInstrument | None:
        """Get the instrument of a model.

        Args:
            model: A compiled model.
            report: Called with a place and an exception when the instrument itself fails; that of the first
                caller is kept.

        Returns:
            The instrument; None of an object that it cannot be kept for.
        """
        try:
            if model not in self._made:
                self._made[model] = self._make(model, report)
            return self._made[model]
        except (TypeError, ValueError):  # no model: it cannot be referred to weakly, or compared
            return None
