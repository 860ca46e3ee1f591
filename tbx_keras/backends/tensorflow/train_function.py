"""The instrumented train function: a second compiled copy that also gives what was captured in the step.

Guarantees: it is in place for one call only; the attribute `model.train_function` is the original again
before the step runs, but for the copies that have to run every step (below). Where a `fit` ends between
the hook and the step, because another callback raised, the next call puts the original back and runs it. A
copy is built and traced once for each compiled train function, however many `fit` calls follow. An error of
the capture is reported and training goes on with the original; an error of the step itself passes through
unchanged.

No trace is thrown away: the first step after a model was compiled runs the copy, whose reductions are
behind a condition. Its graph then shows how to go on. Where the compiled step keeps state in itself (see
`stateful_ops`), or a trace of the original is another one (see `traces`), this one copy runs every step, so
that training stays what it is without a logger: also those of a nested or later `fit` without a logger, until
the model is compiled anew. Everywhere else it runs sampled steps only, and the original all others.

Threading: use it on the thread that trains; of several threads that train one model each waits for
the sampled steps of the others.
"""

from __future__ import annotations

import threading
from typing import Any

from tbx_keras.backends.tensorflow.instrumented import InstrumentedTrainFunction
from tbx_keras.backends.tensorflow.stateful_ops import was_traced
from tbx_keras.backends.tensorflow.train_function_copies import Copies
from tbx_keras.errors import UsageError
from tbx_keras.framework_types import Batches, Logs, Model, TrainFunction
from tbx_keras.instrumentation.base import LOSS, Kinds, Report, is_costly
from tbx_keras.instrumentation.current_fit import Fit
from tbx_keras.instrumentation.stand_in import (
    Deliveries,
    OneForEachModel,
    StandIn,
    StandInInstrument,
    kinds_of,
)
from tbx_keras.instrumentation.train_function_origin import is_made_by_keras
from tbx_keras.keras_model import runs_eagerly

_KEPT = "_tbx_keras_copies"
_TOO_LATE = (
    "The step draws random numbers and was compiled while gradient_freq was 0. Call model.compile() again "
    "before a fit with gradient_freq."
)


class TrainFunctionInstrument(StandInInstrument):
    """Swaps the instrumented train function of a model in for single steps.

    What was traced is kept with the model for its original train function, and goes when the model is
    compiled anew or forgotten.
    """

    def __init__(self, model: Model, report: Report) -> None:
        super().__init__(model, report)
        self._running = threading.RLock()  # one flag and one place for statistics serve all runs of a copy

    def begin_fit(self, kinds: Kinds) -> None:
        """Look at the train function before the first step of a `fit`, while it is not traced yet.

        Args:
            kinds: Kinds that will be asked for.
        """
        super().begin_fit(kinds)
        original = self._original()
        if original is not None:
            self._copies(original)

    def end_fit(self) -> None:
        """Leave the model as if it had never been instrumented."""
        self.restore()
        original = self._original()
        if original is not None:
            for copy in self._copies(original).made.values():
                copy.end_fit()

    def skip(self, owner: object) -> None:
        """Leave the next step alone, unless one copy has to run every step."""
        current = self._current()
        if isinstance(current, StandIn):
            current.deliveries.pop(id(owner), None)
        elif current is not None and self._copies(current).every_step is not False:
            self._put(StandIn(self, current, {}, Fit.running()))

    def runs_every_step(self, original: TrainFunction) -> bool:
        """Check whether one copy has to run every step."""
        return bool(self._copies(original).every_step)

    def run(self, original: TrainFunction, deliveries: Deliveries, *arguments: Any) -> Logs:
        """Run the instrumented step, with the original train function already back in its place."""
        with self._running:
            return self._run(original, deliveries, *arguments)

    def _run(self, original: TrainFunction, deliveries: Deliveries, iterator: Batches) -> Logs:
        self.restore()
        wanted = list(deliveries.values())
        copies = self._copies(original)
        copy = self._copy_for(copies, original, kinds_of(wanted))
        if copy is None:
            return original(iterator)
        before = copy.traces
        try:
            return copy(iterator, wanted)
        finally:
            self.traces += copy.traces - before
            copies.decide(copy)
            current = vars(self._find_model()).get("train_function")
            in_place = current.original if isinstance(current, StandIn) else current
            if in_place is original:  # not so where the step compiled the model anew
                self._put_at_rest(original)

    def _copy_for(
        self, copies: Copies, original: TrainFunction, kinds: Kinds
    ) -> InstrumentedTrainFunction | None:
        """Get the copy for a step, made when it is first needed; None where that fails."""
        if copies.broken:
            copies.say_limit(kinds)
            return None
        try:
            copy = copies.get(kinds) or self._make(copies, original, kinds)
            if not copy.is_copy:
                copies.give_up(kinds)
                return None
        except Exception as error:
            copies.broken, copies.every_step = True, False
            self._report("copying the train function", error)
            return None
        if is_costly(kinds - copy.kinds):
            self._report("capturing the gradients of a step", UsageError(_TOO_LATE))
        return copy

    def _make(self, copies: Copies, original: TrainFunction, kinds: Kinds) -> InstrumentedTrainFunction:
        # The first copy may have to run every step: then those of which more is asked too.
        everything = is_costly(kinds) or (is_costly(self._kinds) and copies.every_step is None)
        wanted = (kinds | self._kinds if everything else frozenset()) | {LOSS}
        return copies.add(InstrumentedTrainFunction(self._find_model(), original, wanted, self._report))

    def _copies(self, original: TrainFunction) -> Copies:
        # Kept by the model, since a bound method of a class would share what is kept with it.
        namespace = vars(self._find_model())
        kept_for, copies = namespace.get(_KEPT, (None, None))
        if kept_for is not original:
            copies = self._no_copies(original)
            namespace[_KEPT] = (original, copies)
        return copies

    def _no_copies(self, original: TrainFunction) -> Copies:
        model = self._find_model()
        if runs_eagerly(model) and is_made_by_keras(model):
            return Copies(every_step=False)  # the state of eager steps is the process's
        try:
            traced = was_traced(model, original)  # then its state cannot be had by a copy
        except Exception as error:  # the step that is about to run has to run
            self._report("looking at the train function", error)
            return Copies(every_step=False, broken=True)
        return Copies(every_step=False if traced else None, late=traced)


instrument_of = OneForEachModel(TrainFunctionInstrument)
