"""Distance of the weights from where they began, and the fraction of them that trains at all.

Guarantees: the reference of a variable is its value when it was first seen as trainable; each costs one
copy on the device, made when training first changes the variable. On TensorFlow two numbers for each
variable leave the device. Layers with a LoRA adapter are described by the kernel that they act with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import numpy as np

from tbx_keras.backends.base import Distances, backend_of
from tbx_keras.framework_types import Layer, Model, Tensor, Variable
from tbx_keras.keras_model import VariablePaths, all_layers, trainable_weights, variable_key, weights
from tbx_keras.memory import held_bytes
from tbx_keras.recorders.base import Moment, Recorder
from tbx_keras.scheduling.triggers import EveryNEpochs
from tbx_keras.values import Deferred, Scalar

# Of a LoRA layer: the frozen variable is an attribute of this name after a `_`, the whole kernel a property.
_ADAPTED = ("kernel", "embeddings")
Pair: TypeAlias = tuple[str, Callable[[], Tensor], Tensor]  # path, the value now, the value at the beginning


class TrainableFraction(Recorder):
    """Records `trainable_fraction`: elements of the trainable weights over elements of all weights."""

    name = "trainable fraction"
    sampled = False
    hint = "write_graph=False turns it off."

    def record(self, moment: Moment) -> list[Scalar]:
        """Count the weights."""
        return [] if moment.model is None else trainable_fraction(moment.model)


def trainable_fraction(model: Model) -> list[Scalar]:
    """Compute the fraction of the elements of all weights that train, 0 to 1.

    Args:
        model: A Keras 3 or tf_keras model.

    Returns:
        One scalar; none for a model without weights.
    """
    total = sum(_size(variable) for variable in weights(model))
    trainable = sum(_size(variable) for variable in trainable_weights(model))
    return [Scalar("trainable_fraction", trainable / total)] if total else []


class WeightDistance(Recorder):
    """Records `weight_distance/<path>` and `weight_distance/global`.

    Args:
        trigger: When to record.
    """

    name = "weight distance"
    hint = "distance_freq=0 turns it off."

    def __init__(self, trigger: EveryNEpochs) -> None:
        self.trigger = trigger
        self._meter: DistanceMeter | None = None

    def set_model(self, model: Model) -> None:
        """Take the model."""
        self._meter = DistanceMeter(model)

    def begin_fit(self) -> None:
        """Keep the weights that were not seen before as the reference."""
        if self._meter is not None:
            self._meter.begin()

    def will_trace(self) -> bool:
        """Check whether there are variables that were not measured before."""
        return self._meter is not None and self._meter.will_trace()

    def record(self, moment: Moment) -> Deferred:
        """Measure the weights as they are now."""
        return self._meter() if self._meter is not None else Deferred(list, 0)


class DistanceMeter:
    """Relative L2 distance of each weight from its reference: `|w - w0| / |w0|`.

    A reference of zeros, as of a fresh bias, has no relative distance and is left out.

    Args:
        model: A Keras 3 or tf_keras model.
    """

    def __init__(self, model: Model) -> None:
        self._model, self._backend = model, backend_of(model)
        self._pairs: dict[int, Pair] = {}
        self._squares: Distances | None = None

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

    def _add(
        self, paths: VariablePaths, variable: Variable, read: Callable[[], Tensor], frozen: bool
    ) -> None:
        key = variable_key(variable)
        if key not in self._pairs:
            self._pairs[key] = (
                paths(variable),
                read,
                variable if frozen else self._backend.device_copy(variable),
            )
        elif frozen:  # an adapter came after training began: the reference stays
            self._squares = None
            self._pairs[key] = (paths(variable), read, self._pairs[key][2])

    def will_trace(self) -> bool:
        """Check whether the next call traces, which takes longer than the call itself."""
        return bool(self._pairs) and self._squares is None

    def __call__(self) -> Deferred:
        """Measure the weights as they are now; the values are made later, on the host."""
        paths = [path for path, _, _ in self._pairs.values()]
        if not paths:
            return Deferred(list, 0)
        if self._squares is None:
            self._squares = self._backend.distances([read for _, read, _ in self._pairs.values()])
        squares = self._squares([reference for _, _, reference in self._pairs.values()])
        return Deferred(lambda: distances(paths, np.asarray(squares, np.float64)), held_bytes(squares))


def distances(paths: list[str], squares: np.ndarray) -> list[Scalar]:
    """Turn sums of squares into relative distances.

    Args:
        paths: Variable path of each row.
        squares: float64 array `(n, 2)`: sum of squares of the difference, and of the reference.

    Returns:
        `weight_distance/<path>` for each row with a reference that is not zero, and `weight_distance/global`
        over all rows.
    """
    found = [
        Scalar(f"weight_distance/{path}", _ratio(row)) for path, row in zip(paths, squares) if row[1] != 0
    ]
    total = squares.sum(axis=0)
    return [*found, Scalar("weight_distance/global", _ratio(total))] if total[1] != 0 else found


def _ratio(squares: np.ndarray) -> float:
    return float(np.sqrt(squares[0] / squares[1]))


def _adapted(model: Model) -> Iterator[tuple[Layer, str]]:
    """Find the layers with a LoRA adapter, each with the name of its whole kernel."""
    for layer in all_layers(model):
        if getattr(layer, "lora_enabled", False) is True:
            yield from ((layer, name) for name in _ADAPTED if _is_float(getattr(layer, f"_{name}", None)))


def _is_float(variable: Variable) -> bool:
    return variable is not None and "float" in str(variable.dtype)  # a quantized kernel has a scale beside it


def _factors(layer: Layer, name: str) -> list[int]:
    return [variable_key(getattr(layer, f"lora_{name}_{side}")) for side in "ab"]


def _reader(layer: Layer, name: str) -> Callable[[], Tensor]:
    return lambda: getattr(layer, name)


def _itself(variable: Variable) -> Callable[[], Tensor]:
    return lambda: variable


def _size(variable: Variable) -> int:
    return int(np.prod([int(length) for length in variable.shape], dtype=np.int64))
