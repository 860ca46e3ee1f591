"""The loss of the very batch, from the differentiation of the loss.

Keras's own `logs["loss"]` is a running mean over the epoch.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import jax.numpy as jnp

from tbx_keras.backends.jax.captures.base import Capture, Reduced
from tbx_keras.backends.jax.differentiation import Derivative
from tbx_keras.framework_types import Model, Tensor
from tbx_keras.instrumentation.base import LOSS, CaptureSchema
from tbx_keras.keras_model import scales_loss

_METHOD = "compute_loss_and_updates"


class LossCapture(Capture):
    """Captures the value of the one function that a step differentiates."""

    kind = LOSS

    def intercept(self) -> AbstractContextManager[object]:
        """Do nothing: derivatives are kept for all captures."""
        return nullcontext()

    def reduce(self, schema: CaptureSchema) -> tuple[CaptureSchema, Reduced]:
        """Get the loss as float32 scalar; nothing for a step with several losses."""
        found = [one for one in self._context.derivatives if one.value is not None]
        loss = _loss(self._context.model, found[0]) if len(found) == 1 else None
        return schema, {} if loss is None else {LOSS: jnp.mean(loss).astype(jnp.float32)}

    @staticmethod
    def delivered(reduced: Reduced) -> dict[str, Tensor]:
        """Hand the scalar on."""
        return {LOSS: reduced[LOSS]} if LOSS in reduced else {}


def _loss(model: Model, derivative: Derivative) -> Tensor:
    """Get the loss without the factor of a loss scale; None where that cannot be had."""
    if _is_of_keras(model, derivative):
        return derivative.aux[0]
    return None if scales_loss(model) else derivative.value


def _is_of_keras(model: Model, derivative: Derivative) -> bool:
    """Check for the method of Keras, which returns the unscaled loss beside."""
    owners = [kind for kind in type(model).__mro__ if _METHOD in vars(kind)]
    method = getattr(model, _METHOD, None)
    return bool(owners) and owners[0].__module__.startswith("keras.") and derivative.function == method
