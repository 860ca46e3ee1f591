"""The loss of the very batch, from the model's `compute_loss`.

Keras's own `logs["loss"]` is a running mean over the epoch.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tbx_keras.backends.scaled_sums import OnDevice
from tbx_keras.backends.torch.kernels import as_float
from tbx_keras.framework_types import Tensor
from tbx_keras.instrumentation.base import LOSS, CaptureSchema, Tensors
from tbx_keras.instrumentation.captures import Capture, StepContext
from tbx_keras.instrumentation.replaced_attributes import replaced


class LossCapture(Capture[StepContext]):
    """Captures the result of `compute_loss`; of an object without that method, nothing."""

    kind = LOSS

    def __init__(self, context: StepContext) -> None:
        super().__init__(context)
        self._losses: list[Tensor] = []

    @contextmanager
    def intercept(self) -> Iterator[None]:
        """Keep the results of the model's `compute_loss` in the block."""
        compute_loss = getattr(self._context.model, "compute_loss", None)
        if compute_loss is None:
            yield
            return

        def compute_loss_captured(*args: Any, **kwargs: Any) -> Tensor:
            loss = compute_loss(*args, **kwargs)
            self._losses.append(loss)
            return loss

        with replaced(self._context.model, "compute_loss", compute_loss_captured):
            yield

    def reduce(self, schema: CaptureSchema) -> tuple[CaptureSchema, Tensors]:
        """Get the loss as float scalar; nothing for a step with several losses."""
        if len(self._losses) != 1 or self._losses[0] is None:
            return schema, {}
        return schema, {LOSS: OnDevice(as_float(self._losses[0].detach()).mean())}
