"""State in Python that tracing a step changes, so that a second trace of it would be another one.

Such as the counter of tf_keras' Nadam, or a `self.calls += 1` in a training step.

Guarantees: only looks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tbx_keras.framework_types import Model
from tbx_keras.keras_model import all_layers, innermost, optimizers

_NUMBERS = (int, float, np.integer, np.floating)


class PythonState:
    """Numbers and flags in the attributes of a model, its layers and its optimizers.

    Args:
        model: The model as it is before a trace.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._before = dict(_attributes(model))

    def changed(self) -> bool:
        """Check whether any of them has another value now; new attributes do not count."""
        now = dict(_attributes(self._model))
        return any(now.get(key, value) != value for key, value in self._before.items())


def _attributes(model: Model) -> Iterator[tuple[tuple[int, str], Any]]:
    for layer in {id(one): one for one in (model, *all_layers(model))}.values():
        yield from _plain(layer, flags=True)
    for optimizer in optimizers(model):
        yield from _plain(innermost(optimizer), flags=False)


def _plain(owner: Any, flags: bool) -> Iterator[tuple[tuple[int, str], Any]]:
    for name, value in list(vars(owner).items()):
        # A first trace of any model sets flags of Keras, such as `built`.
        flag = flags and type(value) is bool and name != "built" and not name.startswith("_")
        if flag or (isinstance(value, _NUMBERS) and not isinstance(value, bool)):
            yield (id(owner), name), value
