"""Gradients of a batch in hand, by a `GradientTape`.

Guarantees: non-trainable state and metrics are as before, also after an error.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tbx_keras.backends.tensorflow.variables import tensor_of
from tbx_keras.framework_types import Batch, Model, Tensor, Variable


def convert(data: Batch) -> Batch:
    """Turn a structure of arrays into one of tensors.

    Raises:
        TypeError, ValueError: TensorFlow cannot.
    """
    return tf.nest.map_structure(tf.convert_to_tensor, data)


def batch_gradients(model: Model, x: Batch, y: Batch, sample_weight: Batch) -> list[np.ndarray | None]:
    """Compute the gradients of the compiled loss by the trainable variables, in their order."""
    if not model.built:
        model(x, training=False)  # outside training mode nothing is updated
    metrics = [variable for metric in model.metrics for variable in metric.variables]
    state = [(one, tf.identity(tensor_of(one))) for one in (*model.non_trainable_variables, *metrics)]
    try:
        with tf.GradientTape() as tape:
            y_pred = model(x, training=True)
            loss = model.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight)
        found = tape.gradient(loss, [_watched(variable) for variable in model.trainable_variables])
    finally:
        for variable, value in state:
            variable.assign(value)
    return [_dense(gradient) for gradient in found]


def _watched(variable: Variable) -> Any:
    return getattr(variable, "value", variable) if not hasattr(variable, "handle") else variable


def _dense(gradient: Tensor | None) -> np.ndarray | None:
    return None if gradient is None else tf.convert_to_tensor(gradient).numpy()
