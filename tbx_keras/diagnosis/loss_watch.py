"""The loss of every step, looked at without waiting for a device.

Where Keras hands losses over as numbers, they are looked at at once; where as device tensors, in bundles, on
the writer's thread.

Guarantees: no device is waited for on the training thread before something was found. On JAX and PyTorch
weights are looked at between two steps, on the training thread: while a step runs, a model on JAX has none,
and one on PyTorch changes them.
"""

from __future__ import annotations

import numpy as np

from tbx_keras.backends.base import backend_of
from tbx_keras.diagnosis.base import Concerned, Evidence
from tbx_keras.diagnosis.monitor import Monitor
from tbx_keras.framework_types import Logs, Model, Tensor
from tbx_keras.keras_model import VariablePaths, attach_weights, weights
from tbx_keras.memory import OBJECT_BYTES, held_bytes
from tbx_keras.values import (
    STEP,
    BatchWriter,
    Deferred,
    RecordBatch,
    Scalar,
)

BUNDLE = 64  # losses that are still on a device are fetched together
RUN = "train"


class LossWatch:
    """Shows a monitor the first loss that is not finite, and the weights at that moment.

    Args:
        monitor: Gets the evidence.
        writer: Fetches losses from a device.
    """

    def __init__(self, monitor: Monitor, writer: BatchWriter) -> None:
        self._monitor, self._writer = monitor, writer
        self._model: Model = None
        self._bundle: list[tuple[int, int, Tensor]] = []
        self._waiting: tuple[int, int, float] | None = None
        self._found = False

    def set_model(self, model: Model) -> None:
        """Take the model that the losses to come belong to."""
        self._model = model

    def see(self, step: int, epoch: int, logs: Logs | None) -> None:
        """Look at the loss that Keras gives for a step, now or later."""
        if self._found or not logs:
            return
        loss = logs.get("loss")
        if isinstance(loss, float):
            if loss - loss != 0.0:  # NaN or infinite
                self._show(step, epoch, loss)
        elif loss is not None:
            self._bundle.append((step, epoch, loss))
            if len(self._bundle) >= BUNDLE:
                self.end_epoch()

    def end_epoch(self) -> None:
        """Have the losses that are still on a device looked at."""
        bundle, self._bundle = self._bundle, []
        if bundle:
            size = sum(OBJECT_BYTES + held_bytes(loss) for _, _, loss in bundle)
            look = Deferred(lambda: self._look(bundle), size)
            self._writer.submit(RecordBatch(RUN, STEP, bundle[-1][0], look))

    def look_between_steps(self, step: int) -> bool:
        """On the training thread: look at the weights if a loss made them suspect.

        Args:
            step: The last one made.

        Returns:
            Whether it did.
        """
        if self._waiting is None or self._found:
            return False
        attach_weights(self._model)
        self._show_with_weights(*self._waiting, step)
        self._monitor.stop_if_asked(self._model)  # after this step rather than the next
        return True

    def _look(self, bundle: list[tuple[int, int, Tensor]]) -> list[Scalar]:
        for step, epoch, loss in bundle:
            number = float(np.mean(np.asarray(loss), dtype=np.float64))  # of several, as it is recorded
            if not np.isfinite(number):
                self._show(step, epoch, number)
                break
        return []

    def _show(self, step: int, epoch: int, loss: float) -> None:
        if backend_of(self._model).ordered_hooks:
            self._show_with_weights(step, epoch, loss, step)
        elif self._waiting is None:
            self._waiting = step, epoch, loss

    def _show_with_weights(self, step: int, epoch: int, loss: float, weights_step: int) -> None:
        self._found = True
        concerned: Concerned | None = None  # of a loop without a model there are none to look at
        try:
            concerned = None if self._model is None else nonfinite_weights(self._model)
        finally:
            found = [Scalar("loss", loss)]
            self._monitor.observe(Evidence("loss", RUN, step, epoch, found, self._model, concerned))
        if concerned:
            self._monitor.observe(Evidence("weights", RUN, weights_step, epoch, (), self._model, concerned))


def nonfinite_weights(model: Model) -> Concerned:
    """Count NaN and infinities in the weights, in the order of the model, without those that have none."""
    paths, copy = VariablePaths(model), backend_of(model).copy_to_host
    counts = [(paths(variable), _count(copy(variable))) for variable in weights(model)]
    return [(path, count) for path, count in counts if count]


def _count(array: np.ndarray) -> int:
    if array.dtype.kind in "biuSUO":
        return 0
    return int(array.size - np.isfinite(array.astype(np.float32, copy=False)).sum())
