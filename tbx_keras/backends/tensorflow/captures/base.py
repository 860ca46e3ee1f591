"""The interface of a capture: one object for one run of a step, traced or eager.

Guarantees: every intercepted call is forwarded unchanged and returns what the original returned. An error of
a capture is reported and the call is made all the same.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import ClassVar

import tensorflow as tf

from tbx_keras.backends.tensorflow.replicas import strategy_of
from tbx_keras.framework_types import Model
from tbx_keras.instrumentation.base import CaptureSchema, Report, Tensors
from tbx_keras.keras_model import uses_xla


@dataclass(frozen=True)
class StepContext:
    """The step that is captured.

    Args:
        model: The model.
        report: Called with a place and an exception.
        switch: Boolean variable: whether this run of the step is sampled; None for always.
    """

    model: Model
    report: Report
    switch: tf.Variable | None = None

    @property
    def xla(self) -> bool:
        """Check whether XLA compiles the step."""
        return uses_xla(self.model) or isinstance(strategy_of(self.model), tf.distribute.TPUStrategy)

    def sampled(self) -> tf.Tensor | None:
        """Read the switch, where there is one."""
        return None if self.switch is None else self.switch.read_value()

    @contextlib.contextmanager
    def reporting(self, where: str) -> Iterator[None]:
        """Report an error of the block and go on after it."""
        try:
            yield
        except Exception as error:
            self.report(where, error)


class Capture(ABC):
    """Captures one kind of thing in one run of a step.

    Args:
        context: The step.
    """

    kind: ClassVar[str]
    names: ClassVar[frozenset[str]]  # of the tensors that it can give

    def __init__(self, context: StepContext) -> None:
        self._context = context

    @abstractmethod
    def intercept(self) -> AbstractContextManager[None]:
        """Keep what the step computes inside the block."""

    @abstractmethod
    def reduce(self, schema: CaptureSchema) -> tuple[CaptureSchema, Tensors]:
        """Reduce what was kept to a few small tensors, on the device.

        Args:
            schema: Names known so far.

        Returns:
            The schema with the names of these rows, and the tensors by name.
        """
