"""Random sequences of Python and NumPy, which a step may draw from while it is traced.

Guarantees: only looks; of a model's own generators those that its attributes, its layers' attributes or the
globals and closures of their methods hold directly.
"""

from __future__ import annotations

import inspect
import pickle
import random
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from tbx_keras.framework_types import Model

_GENERATORS = (np.random.Generator, np.random.RandomState, random.Random)
_METHODS = ("train_step", "compute_loss", "compute_loss_and_updates", "call")


class RandomSequences:
    """The global random sequences of Python and NumPy, where they are now.

    Args:
        more: Generators to look at too; `restore` leaves them alone.
    """

    def __init__(self, more: Iterable[Any] = ()) -> None:
        self._more = list(more)
        self._states = random.getstate(), np.random.get_state()
        self._before = self._dumped()

    def changed(self) -> bool:
        """Check whether anything was drawn since."""
        return self._before != self._dumped()

    def restore(self) -> bool:
        """Go back to that place; return whether anything was drawn since."""
        moved = self.changed()
        if moved:
            python, numpy = self._states
            random.setstate(python)
            np.random.set_state(numpy)
        return moved

    def _dumped(self) -> list[bytes]:
        return [pickle.dumps(one) for one in (random.getstate(), np.random.get_state(), *self._more)]


def generators_of(model: Model) -> list[Any]:
    """List the random generators that the steps of a model may draw from, beside the global ones."""
    layers = model._flatten_layers() if hasattr(model, "_flatten_layers") else [model]
    found: dict[int, Any] = {}
    for layer in layers:
        held = [*vars(layer).values(), *_used_by_methods(layer)]
        found.update((id(one), one) for one in held if isinstance(one, _GENERATORS))
    return list(found.values())


def _used_by_methods(layer: Any) -> Iterator[Any]:
    for name in _METHODS:
        method = getattr(type(layer), name, None)
        try:
            found = inspect.getclosurevars(inspect.unwrap(method))  # type: ignore[arg-type]
        except (TypeError, ValueError):  # not written in Python, or a closure that is not complete
            continue
        yield from (*found.globals.values(), *found.nonlocals.values())
