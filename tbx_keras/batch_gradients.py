"""Gradients of a batch in hand.

Guarantees: nothing is changed: no weight, no metric, no optimizer state (layers that update state in
training mode, such as batch normalization, are run with `training=True` as in a step, and put back).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tbx_keras.backends.base import runs_on_tensorflow
from tbx_keras.errors import ArgumentError, UsageError
from tbx_keras.framework_types import ArrayLike, Batch, Model, Module, Tensor, Variable
from tbx_keras.keras_model import VariablePaths


def gradients(model: Model, x: Batch, y: Batch = None, sample_weight: Batch = None) -> dict[str, np.ndarray]:
    """Compute the gradients of the compiled loss for one batch, by a `GradientTape`.

    Args:
        model: A compiled Keras 3 (TensorFlow backend) or tf_keras model.
        x: Inputs of a batch: array, tensor, or a structure of them, first axis the batch.
        y: Targets, likewise.
        sample_weight: Weights of the examples, shape `(batch,)`, or None.

    Returns:
        For each trainable variable, by path, its gradient as array of the variable's shape; zeros where
        the loss does not depend on it.

    Raises:
        ArgumentError: `model` is no Keras model on TensorFlow, or `x`, `y` no batch.
        UsageError: `model` is not compiled.

    Example:
    ```python
    import keras
    import numpy as np

    from tbx_keras import gradients

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, name="out")])
    model.compile("sgd", "mse")
    found = gradients(model, np.ones((2, 3), "float32"), np.zeros((2, 1), "float32"))
    for path, gradient in found.items():
        print(path, gradient.shape)
    ```
    """
    _check(model)
    import tensorflow as tf

    from tbx_keras.backends.tensorflow.variables import tensor_of

    tensors = _tensors(tf, x, y, sample_weight)
    if not model.built:
        model(tensors[0], training=False)  # outside training mode nothing is updated
    changing = [
        *model.non_trainable_variables,
        *(one for metric in model.metrics for one in metric.variables),
    ]
    state = [(variable, tf.identity(tensor_of(variable))) for variable in changing]
    try:
        with tf.GradientTape() as tape:
            loss = _loss(model, *tensors)
        found = tape.gradient(loss, [_watched(variable) for variable in model.trainable_variables])
    finally:
        for variable, value in state:
            variable.assign(value)
    paths = VariablePaths(model)
    pairs = zip(model.trainable_variables, found)
    return {paths(variable): _dense(tf, variable, gradient) for variable, gradient in pairs}


def _check(model: Model) -> None:
    if not hasattr(model, "compute_loss") or not runs_on_tensorflow(model):
        raise ArgumentError("model", model, "a compiled Keras model that runs on TensorFlow")
    if not getattr(model, "compiled", getattr(model, "_is_compiled", False)):
        raise UsageError("gradients(): `model` has no loss yet. Call model.compile(optimizer, loss) first.")


def _tensors(tf: Module, x: Batch, y: Batch, sample_weight: Batch) -> list[Any]:
    return [_tensor(tf, name, data) for name, data in (("x", x), ("y", y), ("sample_weight", sample_weight))]


def _tensor(tf: Module, name: str, data: ArrayLike) -> Any:
    if data is None and name != "x":
        return None
    try:
        return tf.nest.map_structure(tf.convert_to_tensor, _as_array(data))
    except (TypeError, ValueError) as error:
        hint = "arrays or tensors of one batch (of a dataset: `x, y = next(iter(dataset))`)"
        raise ArgumentError(name, type(data).__name__, hint) from error


def _as_array(data: ArrayLike) -> Any:
    """Turn nested lists of numbers into one array; keep a list of arrays as a structure of inputs."""
    is_nested = isinstance(data, list) and data and isinstance(data[0], (int, float, list))
    return np.asarray(data) if is_nested else data


def _loss(model: Model, x: Batch, y: Batch, sample_weight: Batch) -> Any:
    y_pred = model(x, training=True)
    return model.compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight)


def _watched(variable: Variable) -> Any:
    return getattr(variable, "value", variable) if not hasattr(variable, "handle") else variable


def _dense(tf: Module, variable: Variable, gradient: Tensor) -> np.ndarray:
    if gradient is None:
        return np.zeros(tuple(variable.shape), tf.as_dtype(variable.dtype).as_numpy_dtype)
    return tf.convert_to_tensor(gradient).numpy()
