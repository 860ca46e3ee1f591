"""The copies of one train function, and which of them runs which steps.

Threading: use it on the thread that trains.
"""

from __future__ import annotations

from dataclasses import dataclass

from tbx_keras.faults import tell
from tbx_keras.taps.limits import DRAWS, REPLACED
from tbx_keras.taps.tapped import TappedFunction


@dataclass
class Copies:
    """Tapped copies of a train function.

    Args:
        every_step: Whether one copy has to run every step; None until the first one has run.
        full: The copy that captures gradients too.
        loss: The copy that captures the loss only, cheaper and only for steps without gradients.
        broken: Whether none could be made.
        late: Whether the original was traced before, so that a copy may part ways with it.
        unsaid: Whether somebody replaced the original, which no step with gradients has said yet.
    """

    every_step: bool | None
    late: bool = False
    full: TappedFunction | None = None
    loss: TappedFunction | None = None
    broken: bool = False
    unsaid: bool = False

    def give_up(self, gradients: bool) -> None:
        """Make no copies of a train function that is not what the model makes."""
        self.broken, self.every_step, self.unsaid = True, False, True
        self.say_limit(gradients)

    def say_limit(self, gradients: bool) -> None:
        """Say once why there are no gradients, when some are asked for."""
        if self.unsaid and gradients:
            self.unsaid = False
            tell(REPLACED)

    def all(self) -> list[TappedFunction]:
        """Those that were made."""
        return [copy for copy in (self.full, self.loss) if copy is not None]

    def get(self, gradients: bool) -> TappedFunction | None:
        """The copy for a step with or without gradients, if there is one."""
        if self.every_step is not False:
            return self.full or self.loss
        return self.full if gradients else self.loss

    def add(self, copy: TappedFunction) -> TappedFunction:
        """Keep a new copy."""
        if copy.gradients:
            self.full = copy
        else:
            self.loss = copy
        return copy

    def decide(self, copy: TappedFunction) -> None:
        """After a step: see if its copy has to run all that follow."""
        if copy.broken:
            self.every_step = False
        elif self.every_step is None and copy.ran:
            self.every_step = copy.runs_every_step
        elif self.late and copy.differs:
            self.late = False
            tell(DRAWS)
