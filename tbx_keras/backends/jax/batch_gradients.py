"""Gradients of a batch in hand, by `jax.grad`.

Guarantees: the model's state is only read: on JAX a forward pass returns the state that it would change.
"""

from __future__ import annotations

from collections.abc import Sequence
from inspect import signature
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np

from tbx_keras.framework_types import Batch, Model, Tensor


def convert(data: Batch) -> Batch:
    """Turn a structure of arrays into one of JAX arrays.

    Raises:
        TypeError, ValueError: JAX cannot.
    """
    return jax.tree.map(jnp.asarray, data)


def batch_gradients(model: Model, x: Batch, y: Batch, sample_weight: Batch) -> list[np.ndarray | None]:
    """Compute the gradients of the compiled loss by the trainable variables, in their order."""
    if not model.built:
        with keras.StatelessScope():
            model(x)
    columns = model.trainable_variables, model.non_trainable_variables, model.metrics_variables
    weights, fixed, metrics = ([one.value for one in column] for column in columns)
    # Keras's own: a model may override it, and return what its own step wants.
    compute = keras.Model.compute_loss_and_updates
    more = _optimizer_state(model) if "optimizer_variables" in signature(compute).parameters else {}

    def loss(weights: Sequence[Tensor]) -> Tensor:
        _, (unscaled, *_) = compute(
            model, weights, fixed, metrics, x, y, sample_weight, training=True, **more
        )
        return unscaled

    return [np.asarray(gradient) for gradient in jax.grad(loss)(weights)]


def _optimizer_state(model: Model) -> dict[str, Any]:
    """Get the state of a loss scale, which newer versions of Keras ask for."""
    return {"optimizer_variables": [one.value for one in getattr(model.optimizer, "variables", ())]}
