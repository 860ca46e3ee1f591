"""State in Python that tracing a step changes, so that a second trace of it would be another one.

Such as the counter of tf_keras' Nadam, or a `self.calls += 1` in a training step.

Guarantees: only looks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tbx_keras.framework_types import Model
from tbx_keras.keras_model import all_layers, innermost, optimizers


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
        yield from _plain(layer, private=False)
    for optimizer in optimizers(model):
        yield from _plain(innermost(optimizer), private=True)


def _plain(owner: Any, private: bool) -> Iterator[tuple[tuple[int, str], Any]]:
    for name, value in list(vars(owner).items()):
        shown = private or not name.startswith("_")
        # A first trace of any model sets flags of Keras, such as `built`.
        flag = type(value) is bool and not private and name != "built"
        if shown and (flag or type(value) in (int, float)):
            yield (id(owner), name), value
