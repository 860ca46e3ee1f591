"""Losses, metrics, learning rates and speed, with the tags of `keras.callbacks.TensorBoard`.

Guarantees: values that are still device tensors are not fetched here; the returned `Deferred` does it.
Of an entry with several numbers, such as a loss for each example, the mean is recorded, as Keras's progress
bar shows it. Entries that are no numbers are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tbx_keras.backends.keras_model import learning_rates
from tbx_keras.values import OBJECT_BYTES, Deferred, Scalar, held_bytes

Logs = Mapping[str, Any]
STEP_OF_EPOCH = "tbx/step"  # by epoch: the steps made when it ended
OWN_LOSS = "loss_own"  # of the batch alone; `batch_loss` is Keras's running mean over the epoch


def train_epoch(logs: Logs, model: Any, steps_per_second: float | None) -> list[Scalar]:
    """`epoch_*` scalars of the training run, with the learning rates in force."""
    values: dict[str, Any] = {name: value for name, value in logs.items() if not name.startswith("val_")}
    values.update(learning_rates(model))
    if steps_per_second is not None:
        values["steps_per_second"] = steps_per_second
    return scalars("epoch_", values)


def validation_epoch(logs: Logs) -> list[Scalar]:
    """`epoch_*` scalars of the validation run: entries `val_*` without that prefix."""
    values = {name.removeprefix("val_"): value for name, value in logs.items() if name.startswith("val_")}
    return scalars("epoch_", values)


def evaluation(logs: Logs) -> list[Scalar]:
    """`evaluation_*_vs_iterations` scalars of one `evaluate` call."""
    found = scalars("evaluation_", logs)
    return [Scalar(f"{scalar.tag}_vs_iterations", scalar.value) for scalar in found]


def batch(logs: Logs | None, steps_per_second: float | None, own_loss: Any = None) -> Deferred:
    """`batch_*` scalars of one step, to be fetched later."""
    values = dict(logs) if isinstance(logs, Mapping) else {}
    if steps_per_second is not None:
        values["steps_per_second"] = steps_per_second
    if own_loss is not None:
        values[OWN_LOSS] = own_loss
    size = sum(OBJECT_BYTES + held_bytes(value) for value in values.values())
    return Deferred(lambda: scalars("batch_", values), size)


def scalars(prefix: str, values: Logs) -> list[Scalar]:
    """Those of `values` that are numbers, as scalars with `prefix` before their names."""
    numbers = {name: as_number(value) for name, value in values.items()}
    return [Scalar(prefix + name, number) for name, number in numbers.items() if number is not None]


def as_number(value: Any) -> float | None:
    """The number in a Python number, or the mean of the numbers in an array or tensor; else None."""
    if isinstance(value, (int, float)):
        return float(value)
    try:
        array = np.asarray(value)
        if array.size == 1:
            return float(array.reshape(()))
        # bfloat16 is of kind "V" to NumPy.
        return float(array.mean(dtype=np.float64)) if array.size and array.dtype.kind in "iufbV" else None
    except (TypeError, ValueError):
        return None
