"""The tapped train function: a second compiled copy that also returns statistics of the step.

Guarantees: it is in place for one call only; the attribute `model.train_function` is the original again
before the step runs, but for the copies that have to run every step (below). Where a `fit` ends between
arming and the step, because another callback raised, the next call puts the original back and runs it. A
copy is built and traced once for each compiled train function, however many `fit` calls follow. An error of
the capture is reported and training goes on with the original; an error of the step itself passes through
unchanged.

No trace is thrown away: the first step after a model was compiled runs the copy, whose statistics are
behind a condition. Its graph then tells how to go on. Where the compiled step keeps state in itself (see
`inner_state`), or a trace of the original is another one (see `traces`), this one copy runs every step, so
that training stays what it is without a tap: also those of a nested or later `fit` without a logger, until
the model is compiled anew. Everywhere else it runs sampled steps only, and the original all others.

Threading: arm and call it on the thread that trains; of several threads that train one model each waits for
the sampled steps of the others.
"""

from __future__ import annotations

import threading
import weakref
from typing import Any

from tbx_keras.backends.keras_model import runs_eagerly
from tbx_keras.errors import UsageError
from tbx_keras.taps.capture import Report
from tbx_keras.taps.copies import Copies
from tbx_keras.taps.current_fit import Fit, fit_frame
from tbx_keras.taps.inner_state import was_traced
from tbx_keras.taps.provenance import is_made_by_keras
from tbx_keras.taps.tapped import Deliver, TappedFunction, set_past_keras

Deliveries = dict[int, tuple[bool, Deliver]]
_KEPT = "_tbx_keras_copies"
_TOO_LATE = (
    "The step draws random numbers and was compiled while gradient_freq was 0. Call model.compile() again "
    "before a fit with gradient_freq."
)
_TAPS: weakref.WeakKeyDictionary[Any, TrainFunctionTap] = weakref.WeakKeyDictionary()


def tap_of(model: Any, report: Report) -> TrainFunctionTap | None:
    """The tap of a model: one, whatever the number of loggers, since a step can run only once.

    Args:
        model: A compiled Keras 3 or tf_keras model on TensorFlow.
        report: Called with a place and an exception when the tap itself fails; that of the first caller
            is kept.
    """
    try:
        if model not in _TAPS:
            _TAPS[model] = TrainFunctionTap(model, report)
        return _TAPS[model]
    except (TypeError, ValueError):  # no model: it cannot be referred to weakly, or compared
        return None


class TrainFunctionTap:
    """Swaps the tapped train function of a model in for single steps; see `tap_of`.

    What was traced is kept with the model for its original train function, and goes when the model is
    compiled anew or forgotten.
    """

    def __init__(self, model: Any, report: Report) -> None:
        self._find_model = weakref.ref(model)
        self._report = report
        self._gradients = False
        self._running = threading.RLock()  # one flag and one place for statistics serve all runs of a copy
        self.traces = 0

    def begin(self, gradients: bool) -> None:
        """Look at the train function before the first step of a `fit`, while it is not traced yet.

        Args:
            gradients: Whether gradients will be asked for.
        """
        self.end()
        self._gradients = self._gradients or gradients
        original = self._original()
        if original is not None:
            self._copies(original)

    def end(self) -> None:
        """Leave the model as if there had been no tap."""
        self.disarm()
        original = self._original()
        if original is not None:
            for copy in self._copies(original).all():
                copy.hide()

    def arm(self, owner: object, gradients: bool, deliver: Deliver) -> None:
        """Tap the next step.

        Args:
            owner: Who asks; asking again replaces what was asked for a step that never ran.
            gradients: Whether to capture gradients, or the batch's loss only.
            deliver: Called after the step with its `Layout` and device tensors.
        """
        armed = self._armed_in_this_fit()
        if armed is not None:
            armed.deliveries[id(owner)] = (gradients, deliver)
            self._put(armed)

    def pass_by(self, owner: object) -> None:
        """The next step is not sampled: leave it alone, unless one copy has to run every step."""
        current = self._current()
        if isinstance(current, _Armed):
            current.deliveries.pop(id(owner), None)
        elif current is not None and self._copies(current).every_step is not False:
            self._put(_Armed(self, current, {}, _running_fit()))

    def _armed_in_this_fit(self) -> _Armed | None:
        """What stands in for the train function, or may; None if the model makes none."""
        current = self._current()
        if isinstance(current, _Armed) and not current.of_other_fit:
            return current
        original = self._original()
        return None if original is None else _Armed(self, original, {}, _running_fit())

    @property
    def armed(self) -> bool:
        """Whether a step that was asked for has not run, as where the model makes no train function."""
        current = self._current()
        return current is None or (isinstance(current, _Armed) and bool(current.deliveries))

    def disarm(self) -> None:
        """Put the original train function back, or where a copy has to run every step let it go on."""
        current = vars(self._find_model()).get("train_function")
        if isinstance(current, _Armed):
            self._put_at_rest(current.original)

    def run_unasked(self, original: Any, iterator: Any) -> Any:
        """Run a step of which nothing was asked, or in a `fit` that has ended."""
        if self._copies(original).every_step:
            return self.run(original, iterator, {})
        self.disarm()
        return original(iterator)

    def run(self, original: Any, iterator: Any, deliveries: Deliveries) -> Any:
        """Run the tapped step, with the original train function already back in its place."""
        with self._running:
            return self._run(original, iterator, deliveries)

    def _run(self, original: Any, iterator: Any, deliveries: Deliveries) -> Any:
        self.disarm()
        wanted = any(gradients for gradients, _ in deliveries.values())
        copies = self._copies(original)
        copy = self._copy_for(copies, original, wanted)
        if copy is None:
            return original(iterator)
        before = copy.traces
        try:
            return copy(iterator, wanted, list(deliveries.values()))
        finally:
            self.traces += copy.traces - before
            copies.decide(copy)
            current = vars(self._find_model()).get("train_function")
            in_place = current.original if isinstance(current, _Armed) else current
            if in_place is original:  # not so where the step compiled the model anew
                self._put_at_rest(original)

    def _put_at_rest(self, original: Any) -> None:
        """Put in place what runs the steps of which nothing is asked."""
        every_step = self._copies(original).every_step
        self._put(_Armed(self, original, {}) if every_step else original)

    def _copy_for(self, copies: Copies, original: Any, gradients: bool) -> TappedFunction | None:
        """The copy for a step, made when it is first needed; None where that fails."""
        if copies.broken:
            copies.say_limit(gradients)
            return None
        try:
            copy = copies.get(gradients) or self._make(copies, original, gradients)
            if not copy.is_copy:
                copies.give_up(gradients)
                return None
        except Exception as error:
            copies.broken, copies.every_step = True, False
            self._report("copying the train function", error)
            return None
        if gradients and not copy.gradients:
            self._report("capturing the gradients of a step", UsageError(_TOO_LATE))
        return copy

    def _make(self, copies: Copies, original: Any, gradients: bool) -> TappedFunction:
        # The first copy may have to run every step: then those with gradients too.
        kind = gradients or (self._gradients and copies.every_step is None)
        return copies.add(TappedFunction(self._find_model(), original, kind, self._report))

    def _put(self, train_function: Any) -> None:
        set_past_keras(self._find_model(), "train_function", train_function)

    def _current(self) -> Any:
        """What the next step will call, made now if there is nothing yet; None if the model makes nothing."""
        model: Any = self._find_model()
        current = vars(model).get("train_function")
        if current is None and hasattr(model, "make_train_function"):
            model.make_train_function()
            current = model.train_function
        return current

    def _original(self) -> Any:
        """The model's own train function; None if the model makes none."""
        current = self._current()
        return current.original if isinstance(current, _Armed) else current

    def _copies(self, original: Any) -> Copies:
        # Kept by the model, since a bound method of a class would share what is kept with it.
        namespace = vars(self._find_model())
        kept_for, copies = namespace.get(_KEPT, (None, None))
        if kept_for is not original:
            copies = self._no_copies(original)
            namespace[_KEPT] = (original, copies)
        return copies

    def _no_copies(self, original: Any) -> Copies:
        model = self._find_model()
        if runs_eagerly(model) and is_made_by_keras(model):
            return Copies(every_step=False)  # the state of eager steps is the process's
        try:
            traced = was_traced(model, original)  # then its state cannot be had by a copy
        except Exception as error:  # the step that is about to run has to run
            self._report("looking at the train function", error)
            return Copies(every_step=False, broken=True)
        return Copies(every_step=False if traced else None, late=traced)


class _Armed:
    """Stands in for `model.train_function` until it is called."""

    def __init__(
        self, tap: TrainFunctionTap, original: Any, deliveries: Deliveries, fit: Fit | None = None
    ) -> None:
        self._tap, self.original, self.deliveries = tap, original, deliveries
        self._fit = fit

    @property
    def of_other_fit(self) -> bool:
        """Whether it was left behind by a `fit` that ended, perhaps before the step, or belongs to none."""
        frame = fit_frame()
        return frame is not None if self._fit is None else not self._fit.runs_in(frame)

    def __call__(self, iterator: Any) -> Any:
        if self.of_other_fit:
            return self._tap.run_unasked(self.original, iterator)
        return self._tap.run(self.original, iterator, self.deliveries)


def _running_fit() -> Fit | None:
    frame = fit_frame()
    return None if frame is None else Fit(frame)
