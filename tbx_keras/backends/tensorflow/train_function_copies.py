"""The copies of one train function, and which of them runs which steps.

Threading: use it on the thread that trains.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tbx_keras.backends.tensorflow.instrumented import InstrumentedTrainFunction
from tbx_keras.error_reporting import warn
from tbx_keras.instrumentation.base import GRADIENTS, LOSS, Kinds, is_costly
from tbx_keras.instrumentation.limits import DRAWS, REPLACED


@dataclass
class Copies:
    """Instrumented copies of a train function.

    Args:
        every_step: Whether one copy has to run every step; None until the first one has run.
        made: Copies by the kinds that they capture: all, or the loss alone, which is cheaper.
        broken: Whether none could be made.
        late: Whether the original was traced before, so that a copy may part ways with it.
        unsaid: Whether somebody replaced the original, which no step with gradients has said yet.
    """

    every_step: bool | None
    late: bool = False
    made: dict[Kinds, InstrumentedTrainFunction] = field(default_factory=dict)
    broken: bool = False
    unsaid: bool = False

    def give_up(self, kinds: Kinds) -> None:
        """Make no copies of a train function that is not what the model makes."""
        self.broken, self.every_step, self.unsaid = True, False, True
        self.say_limit(kinds)

    def say_limit(self, kinds: Kinds) -> None:
        """Say once why there are no gradients, when some are asked for."""
        if self.unsaid and GRADIENTS in kinds:
            self.unsaid = False
            warn(REPLACED)

    def get(self, kinds: Kinds) -> InstrumentedTrainFunction | None:
        """Get the copy for a step of which `kinds` are asked, if there is one."""
        if self.every_step is not False and self.made:
            return self.made[max(self.made, key=len)]
        if not is_costly(kinds):
            return self.made.get(frozenset({LOSS}))
        return next((copy for made, copy in self.made.items() if is_costly(made) and kinds <= made), None)

    def add(self, copy: InstrumentedTrainFunction) -> InstrumentedTrainFunction:
        """Keep a new copy."""
        self.made[copy.kinds] = copy
        return copy

    def decide(self, copy: InstrumentedTrainFunction) -> None:
        """Decide, after a step, whether its copy has to run every later step."""
        if copy.broken:
            self.every_step = False
        elif self.every_step is None and copy.ran:
            self.every_step = copy.runs_every_step
        elif self.late and copy.differs:
            self.late = False
            warn(DRAWS)
