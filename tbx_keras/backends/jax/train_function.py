"""The instrumented train function: a second compiled copy that also gives what was captured in the step.

Guarantees: it is in place for one call only. A copy is made and traced once for each train function, however
many `fit` calls follow, and runs sampled steps only; the original runs all others. A step that draws numbers
of Python or NumPy when it is traced, or counts in attributes, is another step in each trace: of such a step
one copy runs every step, until the model is compiled anew, so that training stays what it is without a
logger. To know that in time, the first step after a model was compiled runs the copy.

Threading: use it on the thread that trains.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tbx_keras.backends.jax.instrumented import InstrumentedTrainFunction
from tbx_keras.error_reporting import warn
from tbx_keras.framework_types import TrainFunction
from tbx_keras.instrumentation.base import LOSS, Kinds, is_costly
from tbx_keras.instrumentation.current_fit import Fit
from tbx_keras.instrumentation.limits import DRAWS, REPLACED
from tbx_keras.instrumentation.stand_in import (
    Deliveries,
    OneForEachModel,
    StandIn,
    StandInInstrument,
    kinds_of,
)

_KEPT = "_tbx_keras_copies"
_LOSS_ONLY: Kinds = frozenset({LOSS})


@dataclass
class Copies:
    """Copies of one train function.

    Args:
        original: The train function.
        late: Whether it was traced before there was a copy.
        made: Copies by the kinds that they capture.
        every_step: The copy that runs every step, where there is one.
        broken: Whether copies fail.
    """

    original: TrainFunction
    late: bool = False
    made: dict[Kinds, InstrumentedTrainFunction] = field(default_factory=dict)
    every_step: InstrumentedTrainFunction | None = None
    broken: bool = False

    @property
    def is_undecided(self) -> bool:
        """Check whether nothing was traced yet, so that the next step shows how to go on."""
        return not (self.late or self.broken) and not any(copy.traces for copy in self.made.values())

    def decide(self, copy: InstrumentedTrainFunction) -> None:
        """After a run: see how to go on."""
        self.broken = self.broken or copy.broken
        if self.broken:
            self.every_step = None
        elif copy.is_stateful and self.every_step is None:
            if self.late:
                self.broken = True
                warn(DRAWS)
            else:
                self.every_step = copy


class TrainFunctionInstrument(StandInInstrument):
    """Swaps instrumented copies of a model's train function in for single steps."""

    def begin_fit(self, kinds: Kinds) -> None:
        """Make the copies while the model has its state, which it gives away for the steps of an epoch.

        Args:
            kinds: Kinds that will be asked for.
        """
        super().begin_fit(kinds)
        original = self._original()
        if original is not None:
            copies = self._copies(original)
            for wanted in _wanted(kinds):
                self._copy_for(copies, wanted)

    def skip(self, owner: object) -> None:
        """Leave the next step alone, unless it is the first one, or one copy has to run every step."""
        super().skip(owner)
        current = self._current()
        if current is not None and not isinstance(current, StandIn):
            copies = self._copies(current)
            if copies.every_step is not None or (copies.is_undecided and is_costly(self._kinds)):
                self._put(StandIn(self, current, {}, Fit.running()))

    def end_fit(self) -> None:
        """Leave the model as if it had never been instrumented."""
        super().end_fit()
        original = self._original()
        if original is not None:
            for copy in self._copies(original).made.values():
                copy.end_fit()

    def runs_every_step(self, original: TrainFunction) -> bool:
        """Check whether one copy has to run every step."""
        return self._copies(original).every_step is not None

    def run(self, original: TrainFunction, deliveries: Deliveries, *arguments: Any) -> Any:
        """Run the instrumented step, with the original train function already back in its place."""
        self.restore()
        wanted = list(deliveries.values())
        copies = self._copies(original)
        copy = copies.every_step or self._copy_for(copies, kinds_of(wanted))
        if copy is None:
            return original(*arguments)
        before = copy.traces
        try:
            return copy(wanted, *arguments)
        finally:
            self.traces += copy.traces - before
            copies.decide(copy)

    def _copy_for(self, copies: Copies, kinds: Kinds) -> InstrumentedTrainFunction | None:
        """Get the copy for a step, made when it is first needed; None where that fails."""
        if copies.broken:
            return None
        # The first copy may have to run every step: then those of which more is asked too.
        first = is_costly(self._kinds) and not any(copy.traces for copy in copies.made.values())
        kinds = (kinds | self._kinds if is_costly(kinds) or first else frozenset[str]()) | _LOSS_ONLY
        try:
            if kinds not in copies.made:
                made = InstrumentedTrainFunction(self._find_model(), copies.original, kinds, self._report)
                if not made.is_copy:
                    copies.broken = True
                    warn(REPLACED)
                    return None
                copies.made[kinds] = made
            return copies.made[kinds]
        except Exception as error:
            copies.broken = True
            self._report("copying the train function", error)
            return None

    def _copies(self, original: TrainFunction) -> Copies:
        # Kept by the model, with what was traced: it goes when the model goes.
        namespace = vars(self._find_model())
        copies: Copies | None = namespace.get(_KEPT)
        if copies is None or copies.original is not original:
            copies = namespace[_KEPT] = Copies(original, _was_traced(original))
        return copies


def _wanted(kinds: Kinds) -> list[Kinds]:
    """List the sets of kinds that single steps of a `fit` will be asked for."""
    return [*([kinds] if is_costly(kinds) else []), *([_LOSS_ONLY] if LOSS in kinds else [])]


def _was_traced(original: TrainFunction) -> bool:
    """Check whether a compiled step inside of a train function has run."""
    cells = [cell.cell_contents for cell in getattr(original, "__closure__", None) or ()]
    sizes = [getattr(cell, "_cache_size", None) for cell in cells]
    return any(size() > 0 for size in sizes if size is not None)


instrument_of = OneForEachModel(TrainFunctionInstrument)
