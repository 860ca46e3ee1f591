"""Losses, metrics, learning rates and speed, with the tags of `keras.callbacks.TensorBoard`.

Guarantees: values of a batch that are still device tensors are not fetched here; the returned `Deferred` does
it. Of an entry with several numbers, such as a loss for each example, the mean is recorded, as Keras's
progress bar shows it. Entries that are no numbers are left out.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from tbx_keras.framework_types import Logs
from tbx_keras.instrumentation.base import LOSS
from tbx_keras.keras_model import learning_rates
from tbx_keras.memory import OBJECT_BYTES, held_bytes
from tbx_keras.recorders.base import VALIDATION, Moment, Recorder
from tbx_keras.scheduling.triggers import StepTrigger
from tbx_keras.values import Deferred, Scalar

STEP_LOSS = "step_loss"  # of the batch alone; `batch_loss` is Keras's running mean over the epoch


class EpochMetrics(Recorder):
    """Records `epoch_*` of the training run, with the learning rates in force.

    Args:
        speed: Whether to record steps per second.
    """

    name = "metrics"
    sampled, droppable = False, False

    def __init__(self, speed: bool) -> None:
        self._speed = speed

    def record(self, moment: Moment) -> list[Scalar]:
        """Make the scalars of an epoch."""
        logs = {name: value for name, value in moment.logs.items() if not name.startswith("val_")}
        values: dict[str, Any] = {**logs, **learning_rates(moment.model)}
        if self._speed:
            values["steps_per_second"] = moment.steps_per_second
        return scalars("epoch_", values)


class ValidationMetrics(Recorder):
    """Records `epoch_*` of the validation run: entries `val_*` without that prefix."""

    name = "validation metrics"
    sampled, droppable, run = False, False, VALIDATION

    def record(self, moment: Moment) -> list[Scalar]:
        """Make the scalars of an epoch's validation."""
        logs = {name: value for name, value in moment.logs.items() if name.startswith("val_")}
        return scalars("epoch_", {name.removeprefix("val_"): value for name, value in logs.items()})


class BatchMetrics(Recorder):
    """Records `batch_*` and `step_loss` of single steps.

    Args:
        trigger: When to record.
    """

    name = "batch metrics"
    sampled = False
    captures = frozenset({LOSS})

    def __init__(self, trigger: StepTrigger) -> None:
        self.trigger = trigger

    def record(self, moment: Moment) -> Deferred:
        """Keep the metrics of a step, to be fetched later."""
        values = {f"batch_{name}": value for name, value in moment.logs.items()}
        if moment.steps_per_second is not None:
            values["batch_steps_per_second"] = moment.steps_per_second
        if moment.captured is not None and LOSS in moment.captured.tensors:
            values[STEP_LOSS] = moment.captured.tensors[LOSS]
        size = sum(OBJECT_BYTES + held_bytes(value) for value in values.values())
        return Deferred(functools.partial(scalars, "", values), size)


def as_logs(received: object) -> Logs:
    """Make a read-only view of what a hook got as `logs`; empty where it is no mapping, as Keras's are."""
    return MappingProxyType(received) if isinstance(received, Mapping) else {}


def evaluation(logs: Logs) -> list[Scalar]:
    """Make `evaluation_*_vs_iterations` scalars of one `evaluate` call."""
    found = scalars("evaluation_", logs)
    return [Scalar(f"{scalar.tag}_vs_iterations", scalar.value) for scalar in found]


def scalars(prefix: str, values: Logs) -> list[Scalar]:
    """Make scalars of those `values` that are numbers, with `prefix` before their names."""
    numbers = {name: as_number(value) for name, value in values.items()}
    return [Scalar(prefix + name, number) for name, number in numbers.items() if number is not None]


def as_number(value: Any) -> float | None:
    """Read a Python number, or the mean of the numbers in an array or tensor; None of anything else."""
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
