"""The tapped train function: a second compiled copy that also returns what was heard in the step.

Guarantees: it is in place for one call only; the attribute `model.train_function` is the original again
before the step runs. Where a `fit` ends between arming and the step, because another callback raised, the
next call puts the original back and runs it. Each kind of tap is built and traced
once for each compiled train function, however many `fit` calls follow. An error in describing the step is
reported and the step goes on; an error of the step itself passes through unchanged.

Some steps keep state in the compiled function itself; see `inner_state`. There a single copy runs every
step, with the statistics behind a condition that is false unless the step is sampled, so that training stays
what it is without a tap. Whether a step does is seen when it is traced, before it has run: so the first step
after a model was compiled goes through a copy in any case.

Threading: arm and call it on the thread that trains.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field
from typing import Any

from tbx_keras.taps.current_fit import current_fit
from tbx_keras.taps.inner_state import decided
from tbx_keras.taps.tapped import Deliver, KeepsState, Report, TappedFunction, set_past_keras

Deliveries = dict[int, tuple[bool, Deliver]]
_KEPT = "_tbx_keras_copies"
_TAPS: weakref.WeakKeyDictionary[Any, TrainFunctionTap] = weakref.WeakKeyDictionary()


def tap_of(model: Any, report: Report) -> TrainFunctionTap:
    """The tap of a model: one, whatever the number of loggers, since a step can run only once.

    Args:
        model: A compiled Keras 3 or tf_keras model on TensorFlow.
        report: Called with a place and an exception when the tap itself fails; that of the first caller
            is kept.
    """
    if model not in _TAPS:
        _TAPS[model] = TrainFunctionTap(model, report)
    return _TAPS[model]


class TrainFunctionTap:
    """Swaps the tapped train function of a model in for single steps; see `tap_of`.

    What was traced is kept with the original train function, and goes with it when the model is compiled
    anew or forgotten.
    """

    def __init__(self, model: Any, report: Report) -> None:
        self._find_model = weakref.ref(model)
        self._report = report
        self.traces = 0

    def begin(self) -> None:
        """Look at the train function before the first step of a `fit`, while it is not traced yet."""
        self.end()
        original = self._original()
        if original is not None:
            self._copies(original)

    def end(self) -> None:
        """Leave the model as if there had been no tap."""
        self.disarm()
        original = self._original()
        if original is not None:
            for made in self._copies(original).made.values():
                made.hide()

    def arm(self, owner: object, gradients: bool, deliver: Deliver) -> None:
        """Tap the next step.

        Args:
            owner: Who asks; asking again replaces what was asked for a step that never ran.
            gradients: Whether to hear gradients, or the batch's loss only.
            deliver: Called after the step with its `Layout` and device tensors.
        """
        current = self._current()
        if isinstance(current, _Armed):
            current.deliveries[id(owner)] = (gradients, deliver)
        elif current is not None:
            self._put(_Armed(self, current, {id(owner): (gradients, deliver)}))

    def pass_by(self, owner: object) -> None:
        """The next step is not sampled: leave it alone, unless one copy has to run every step."""
        current = self._current()
        if isinstance(current, _Armed):
            current.deliveries.pop(id(owner), None)
        elif current is not None and self._copies(current).single is not False:
            self._put(_Armed(self, current, {}))

    def disarm(self) -> None:
        """Put the original train function back; nothing happens where it is in place."""
        current = vars(self._find_model()).get("train_function")
        if isinstance(current, _Armed):
            self._put(current.original)

    def run(self, original: Any, iterator: Any, deliveries: Deliveries) -> Any:
        """Run the tapped step, with the original train function already back in its place."""
        self.disarm()
        wanted = any(gradients for gradients, _ in deliveries.values())
        made = self._made(original, wanted)
        if made is None:
            return original(iterator)
        before = made.traces
        try:
            return made(iterator, wanted, list(deliveries.values()))
        except KeepsState:
            copies = self._copies(original)
            copies.single, copies.made = True, {}
            return self.run(original, iterator, deliveries)
        finally:
            self.traces += made.traces - before

    def _made(self, original: Any, gradients: bool) -> TappedFunction | None:
        """The copy for a step, made when it is first needed; None where that fails."""
        try:
            copies = self._copies(original)
            kind = gradients or bool(copies.single)
            if kind not in copies.made:
                probing, model = copies.single is None, self._find_model()
                copies.made[kind] = TappedFunction(
                    model, original, kind, bool(copies.single), probing, self._report
                )
                copies.single = bool(copies.single)  # a probe that finds state says so by `KeepsState`
            return copies.made[kind]
        except Exception as error:
            self._report("copying the train function", error)
            return None

    def _put(self, train_function: Any) -> None:
        set_past_keras(self._find_model(), "train_function", train_function)

    def _current(self) -> Any:
        """What the next step will call, made now if there is nothing yet; None if the model makes nothing."""
        model: Any = self._find_model()
        current = vars(model).get("train_function")
        if current is None:
            model.make_train_function()
            current = model.train_function
        return current

    def _original(self) -> Any:
        """The model's own train function; None if the model makes none."""
        current = self._current()
        return current.original if isinstance(current, _Armed) else current

    def _copies(self, original: Any) -> _Copies:
        found = vars(original).get(_KEPT)
        if found is None:
            found = vars(original)[_KEPT] = _Copies(decided(self._find_model(), original))
        return found


@dataclass
class _Copies:
    """Tapped copies of a train function: by whether they hear gradients, or one for every step.

    `single` is None until that is known.
    """

    single: bool | None
    made: dict[bool, TappedFunction] = field(default_factory=dict)


class _Armed:
    """Stands in for `model.train_function` until it is called."""

    def __init__(self, tap: TrainFunctionTap, original: Any, deliveries: Deliveries) -> None:
        self._tap, self.original, self.deliveries = tap, original, deliveries
        self._fit = current_fit()

    def __call__(self, iterator: Any) -> Any:
        if self._fit is not current_fit():  # left behind by a `fit` that ended before the step
            self._tap.disarm()
            return self.original(iterator)
        return self._tap.run(self.original, iterator, self.deliveries)
