"""Gradients of a batch in hand, by PyTorch's differentiation.

Guarantees: non-trainable state, metrics, the gradients kept in parameters and the mode of modules are as
before, also after an error.
"""

from __future__ import annotations

import keras
import numpy as np
import torch

from tbx_keras.backends.scaled_sums import to_array
from tbx_keras.framework_types import Batch, Model, Tensor


def convert(data: Batch) -> Batch:
    """Turn a structure of arrays into one of tensors on Keras's device.

    Raises:
        TypeError, ValueError: PyTorch cannot.
    """
    return keras.tree.map_structure(keras.ops.convert_to_tensor, data)


def batch_gradients(model: Model, x: Batch, y: Batch, sample_weight: Batch) -> list[np.ndarray | None]:
    """Compute the gradients of the compiled loss by the trainable variables, in their order."""
    if not model.built:
        model(x, training=False)
    kept = [(one, one.value.detach().clone()) for one in _changing(model)]
    try:
        y_pred = model(x, training=True)
        loss = model.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight)
        parameters = [variable.value for variable in model.trainable_variables]
        found = torch.autograd.grad(loss, parameters, allow_unused=True)
    finally:
        for variable, value in kept:
            variable.assign(value)
    return [_array(gradient) for gradient in found]


def _changing(model: Model) -> list[Tensor]:
    metrics = [variable for metric in model.metrics for variable in metric.variables]
    return [*model.non_trainable_variables, *metrics]


def _array(gradient: Tensor | None) -> np.ndarray | None:
    return None if gradient is None else to_array(gradient)
