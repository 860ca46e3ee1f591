"""Conversion of anything that holds numbers to NumPy, without importing the framework that made it.

Guarantees: imports nothing; copies only where the framework has to. Ragged and sparse tensors give their
stored values.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tbx_keras.errors import UnsupportedValueError
from tbx_keras.framework_types import ArrayLike, Tensor


def to_numpy(data: ArrayLike) -> np.ndarray:
    """Convert an array, a number, a list, or a tensor or variable of any framework.

    Args:
        data: NumPy array, Python number or nested list, TensorFlow tensor (dense, ragged or sparse), Keras
            or tf_keras variable, PyTorch tensor (on any device, with or without gradient), JAX array.

    Returns:
        The array; bfloat16 and float8 keep their dtype where NumPy knows it.
    """
    if isinstance(data, np.ndarray):
        return data
    if _comes_from(data, "torch"):
        return _from_torch(data)
    for name in ("flat_values", "values"):  # ragged, sparse and indexed slices
        inner = getattr(data, name, None)
        if inner is not None and not callable(inner) and not hasattr(data, "__array__"):
            return to_numpy(inner)
    numpy = getattr(data, "numpy", None)
    return np.asarray(numpy() if callable(numpy) else data)


def tagged_numpy(tag: object, data: ArrayLike) -> np.ndarray:
    """Convert the array of a value to NumPy, and name its tag in errors.

    Raises:
        UnsupportedValueError: No array can be made of it; the message names the tag.
    """
    try:
        return to_numpy(data)
    except (TypeError, ValueError) as error:
        raise UnsupportedValueError(
            f"The value of {tag!r} is no array ({error}). Pass numbers of one shape."
        ) from error


def to_host(data: ArrayLike) -> Any:
    """Convert a framework's tensor to NumPy, and leave anything else as it is."""
    return to_numpy(data) if any(_comes_from(data, name) for name in _FRAMEWORKS) else data


_FRAMEWORKS = ("tensorflow", "keras", "tf_keras", "torch", "jax", "jaxlib")


def _comes_from(data: ArrayLike, package: str) -> bool:
    return any(kind.__module__.split(".")[0] == package for kind in type(data).__mro__)


def _from_torch(tensor: Tensor) -> np.ndarray:
    tensor = tensor.detach().cpu()
    try:
        return tensor.numpy()
    except TypeError:  # bfloat16 and float8, which NumPy has not
        return tensor.float().numpy()
