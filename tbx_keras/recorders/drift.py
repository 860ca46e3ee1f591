"""How far weights have moved from where they began, and which share of them trains at all.

Guarantees: the reference of a variable is its value when it was first seen as trainable; each costs one
copy on the device, made when training first changes the variable. On TensorFlow two numbers for each
variable leave the device. Layers with a LoRA adapter are described by the kernel that they act with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tbx_keras.backends.keras_model import (
    VariablePaths,
    all_layers,
    host_copy,
    runs_on_tensorflow,
    trainable_weights,
    variable_key,
    weights,
)
from tbx_keras.values import Deferred, Scalar, held_bytes

# Of a LoRA layer: the frozen variable is an attribute of this name after a `_`, the whole kernel a property.
_ADAPTED = ("kernel", "embeddings")
Pair = tuple[str, Callable[[], Any], Any]  # tag, the value now, the value at the beginning


def trainable_share(model: Any) -> list[Scalar]:
    """`trainable_share`: elements of the trainable weights over elements of all weights, 0 to 1.

    Args:
        model: A Keras 3 or tf_keras model.

    Returns:
        One scalar; none for a model without weights.
    """
    total = sum(_size(variable) for variable in weights(model))
    trainable = sum(_size(variable) for variable in trainable_weights(model))
    return [Scalar("trainable_share", trainable / total)] if total else []


class Drift:
    """Relative L2 distance of each weight from its reference: `|w - w0| / |w0|`.

    A reference of zeros, as of a fresh bias, has no relative distance and is left out.

    Args:
        model: A Keras 3 or tf_keras model.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._on_device = runs_on_tensorflow(model)
        self._pairs: dict[int, Pair] = {}
        self._squares: Callable[[list[Any]], Any] | None = None

    def begin(self) -> None:
        """Keep the values of the variables that train and are not yet known."""
        paths, known = VariablePaths(self._model), len(self._pairs)
        factors: set[int] = set()
        for layer, name in _adapted(self._model):
            factors.update(_factors(layer, name))
            self._add(paths, getattr(layer, f"_{name}"), _reader(layer, name), frozen=True)
        for variable in trainable_weights(self._model):
            if variable_key(variable) not in factors:
                self._add(paths, variable, _itself(variable), frozen=False)
        if len(self._pairs) != known:
            self._squares = None

    def _add(self, paths: VariablePaths, variable: Any, read: Callable[[], Any], frozen: bool) -> None:
        key = variable_key(variable)
        if key not in self._pairs:
            self._pairs[key] = (paths(variable), read, variable if frozen else self._copy(variable))
        elif frozen:  # an adapter came after training began: the reference stays
            self._squares = None
            self._pairs[key] = (paths(variable), read, self._pairs[key][2])

    def will_trace(self) -> bool:
        """Whether the next call traces, which takes longer than the call itself."""
        return bool(self._pairs) and self._squares is None

    def __call__(self) -> Deferred:
        """Measure the weights as they are now; the values are made later, on the host."""
        paths = [path for path, _, _ in self._pairs.values()]
        if not paths:
            return Deferred(list, 0)
        if self._squares is None:
            self._squares = self._measure()
        squares = self._squares([reference for _, _, reference in self._pairs.values()])
        return Deferred(lambda: distances(paths, np.asarray(squares, np.float64)), held_bytes(squares))

    def _copy(self, variable: Any) -> Any:
        if not self._on_device:
            return host_copy(variable)
        from tbx_keras.backends.tensorflow_variables import device_copy

        return device_copy(variable)

    def _measure(self) -> Callable[[list[Any]], Any]:
        now = [read for _, read, _ in self._pairs.values()]
        if not self._on_device:
            return lambda references: [_squares(read(), one) for read, one in zip(now, references)]
        from tbx_keras.backends.tensorflow_variables import squared_distances

        return squared_distances(now)


def distances(paths: list[str], squares: np.ndarray) -> list[Scalar]:
    """Turn sums of squares into relative distances.

    Args:
        paths: Variable path of each row.
        squares: float64 array `(n, 2)`: sum of squares of the difference, and of the reference.

    Returns:
        `drift/<path>` for each row with a reference that is not zero, and `drift/global` over all rows.
    """
    found = [Scalar(f"drift/{path}", _ratio(row)) for path, row in zip(paths, squares) if row[1] != 0]
    total = squares.sum(axis=0)
    return [*found, Scalar("drift/global", _ratio(total))] if total[1] != 0 else found


def _ratio(squares: np.ndarray) -> float:
    return float(np.sqrt(squares[0] / squares[1]))


def _squares(now: Any, reference: Any) -> tuple[float, float]:
    before = np.asarray(reference, np.float64)
    return float(np.sum((np.asarray(now, np.float64) - before) ** 2)), float(np.sum(before**2))


def _adapted(model: Any) -> Iterator[tuple[Any, str]]:
    """Each layer with a LoRA adapter, and the name of its whole kernel."""
    for layer in all_layers(model):
        if getattr(layer, "lora_enabled", False) is True:
            yield from ((layer, name) for name in _ADAPTED if _is_float(getattr(layer, f"_{name}", None)))


def _is_float(variable: Any) -> bool:
    return variable is not None and "float" in str(variable.dtype)  # a quantized kernel has a scale beside it


def _factors(layer: Any, name: str) -> list[int]:
    return [variable_key(getattr(layer, f"lora_{name}_{side}")) for side in "ab"]


def _reader(layer: Any, name: str) -> Callable[[], Any]:
    return lambda: getattr(layer, name)


def _itself(variable: Any) -> Callable[[], Any]:
    return lambda: variable


def _size(variable: Any) -> int:
    return int(np.prod([int(length) for length in variable.shape], dtype=np.int64))
