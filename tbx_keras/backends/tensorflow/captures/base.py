"""The interface of a capture on TensorFlow, and what it gets to know of the step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import tensorflow as tf

from tbx_keras.backends.tensorflow.replicas import strategy_of
from tbx_keras.instrumentation import captures
from tbx_keras.keras_model import uses_xla


@dataclass
class StepContext(captures.StepContext):
    """The step that is captured.

    Args:
        model: The model.
        report: Called with a place and an exception.
        switch: Boolean variable: whether this run of the step is sampled; None for always.
    """

    switch: tf.Variable | None = None

    @property
    def xla(self) -> bool:
        """Check whether XLA compiles the step."""
        return uses_xla(self.model) or isinstance(strategy_of(self.model), tf.distribute.TPUStrategy)

    def sampled(self) -> tf.Tensor | None:
        """Read the switch, where there is one."""
        return None if self.switch is None else self.switch.read_value()


class Capture(captures.Capture[StepContext]):
    """Captures one kind of thing in one run of a step."""

    names: ClassVar[frozenset[str]]  # of the tensors that it can give
