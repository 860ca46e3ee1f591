"""Gradients of a batch in hand.

Guarantees: nothing is changed: no weight, no metric, no optimizer state (layers that update state in
training mode, such as batch normalization, are run with `training=True` as in a step, and put back).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tbx_keras.backends.base import backend_of
from tbx_keras.errors import ArgumentError, UsageError
from tbx_keras.framework_types import ArrayLike, Batch, Model, Variable
from tbx_keras.keras_model import VariablePaths


def gradients(model: Model, x: Batch, y: Batch = None, sample_weight: Batch = None) -> dict[str, np.ndarray]:
    """Compute the gradients of the compiled loss for one batch.

    Args:
        model: A compiled Keras 3 model on TensorFlow, JAX or PyTorch, or a tf_keras model.
        x: Inputs of a batch: array, tensor, or a structure of them, first axis the batch.
        y: Targets, likewise.
        sample_weight: Weights of the examples, shape `(batch,)`, or None.

    Returns:
        For each trainable variable, by path, its gradient as array of the variable's shape; zeros where
        the loss does not depend on it.

    Raises:
        ArgumentError: `model` is no Keras model that trains, or `x`, `y` no batch of one example or more
            that the model and its loss accept.
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
    backend = backend_of(model)
    _check(model, backend.instruments)
    named = {"x": x, "y": y, "sample_weight": sample_weight}
    batch = {name: _converted(backend.convert, name, data) for name, data in named.items()}
    _check_sizes(batch)
    try:
        found = backend.batch_gradients(model, **batch)
    except Exception as error:
        if not _is_about_data(error):
            raise
        raise _refused(batch, error) from error
    paths = VariablePaths(model)
    pairs = zip(model.trainable_variables, found)
    return {paths(variable): _zeros(variable) if one is None else one for variable, one in pairs}


def _check(model: Model, differentiates: bool) -> None:
    if not hasattr(model, "compute_loss") or not differentiates:
        raise ArgumentError("model", model, "a compiled Keras model that runs on TensorFlow, JAX or PyTorch")
    if not getattr(model, "compiled", getattr(model, "_is_compiled", False)):
        raise UsageError("gradients(): `model` has no loss yet. Call model.compile(optimizer, loss) first.")


def _converted(convert: Callable[[Batch], Batch], name: str, data: ArrayLike) -> Batch:
    if data is None and name != "x":
        return None
    try:
        if data is None:
            raise TypeError("nothing to compute gradients for")
        return convert(_as_array(data))
    except (TypeError, ValueError) as error:
        hint = "arrays or tensors of one batch (of a dataset: `x, y = next(iter(dataset))`)"
        raise ArgumentError(name, type(data).__name__, hint) from error


def _check_sizes(batch: dict[str, Batch]) -> None:
    for name, data in batch.items():
        empty = [shape for shape in _shapes(data) if shape[:1] == (0,)]
        if empty:
            raise ArgumentError(name, empty[0], "a batch of one example or more")


def _is_about_data(error: Exception) -> bool:
    """Check for an error by which a framework refuses shapes and dtypes, not one of memory or of code."""
    of_tensorflow = type(error).__name__ in ("InvalidArgumentError", "UnimplementedError")
    return of_tensorflow or isinstance(error, (TypeError, ValueError)) or type(error) is RuntimeError


def _refused(batch: dict[str, Batch], error: Exception) -> ArgumentError:
    shapes = {name: _shapes(data) for name, data in batch.items() if data is not None}
    lengths = [{shape[:1] for shape in shapes.get(one, ())} for one in ("x", "y")]
    name = "y" if lengths[0] != lengths[1] else "x"
    hint = f"a batch that the model and its loss accept (shapes: {shapes}; {type(error).__name__}: {error})"
    return ArgumentError(name, shapes.get(name), hint)


def _shapes(data: Batch) -> list[tuple[int, ...]]:
    if isinstance(data, Mapping):
        data = list(data.values())
    if isinstance(data, (list, tuple)):
        return [shape for one in data for shape in _shapes(one)]
    return [tuple(data.shape)] if hasattr(data, "shape") else []


def _as_array(data: ArrayLike) -> Any:
    """Turn nested lists of numbers into one array; keep a list of arrays as a structure of inputs."""
    is_nested = isinstance(data, list) and data and isinstance(data[0], (int, float, list))
    return np.asarray(data) if is_nested else data


def _zeros(variable: Variable) -> np.ndarray:
    name = str(getattr(variable.dtype, "name", variable.dtype))
    return np.zeros(tuple(variable.shape), name if name != "bfloat16" else "float32")
