"""The global random sequences of Python and NumPy, which a step may draw from while it is traced."""

from __future__ import annotations

import pickle
import random

import numpy as np


class RandomSequences:
    """The global random sequences of Python and NumPy, where they are now."""

    def __init__(self) -> None:
        self._states = random.getstate(), np.random.get_state()

    def have_moved(self) -> bool:
        """Check whether anything was drawn since."""
        return pickle.dumps(self._states) != pickle.dumps((random.getstate(), np.random.get_state()))

    def restore(self) -> bool:
        """Go back to that place; return whether anything was drawn since."""
        moved = self.have_moved()
        if moved:
            python, numpy = self._states
            random.setstate(python)
            np.random.set_state(numpy)
        return moved
