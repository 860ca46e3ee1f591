"""Bytes of memory that values and tensors keep alive.

Guarantees: estimates, of the right order; no device is asked or waited for.
"""

from __future__ import annotations

import math
import re
import sys
from typing import Any

import numpy as np

OBJECT_BYTES = 256  # of a small Python object with its fields, such as a scalar; also of a tensor's handle
LARGEST_ITEM = 16  # bytes of a complex128


def held_bytes(data: Any) -> int:
    """Estimate the bytes of memory that a reference to an array, a tensor, a text or a number keeps alive.

    A view keeps the whole array alive that it looks into. The bytes of a tensor come from its shape and
    dtype, so that no device is waited for.

    Args:
        data: NumPy array, string, bytes, or tensor or variable of any framework; anything else is small.
    """
    if isinstance(data, float):  # metrics of each batch
        return sys.getsizeof(data)
    if isinstance(data, np.ndarray):
        while isinstance(data.base, np.ndarray):
            data = data.base
        return int(data.nbytes)
    shape, dtype = getattr(data, "shape", None), getattr(data, "dtype", None)
    if shape is None or dtype is None:
        return sys.getsizeof(data)
    if not len(shape):  # metrics of each batch, where they are still on a device
        return OBJECT_BYTES + LARGEST_ITEM
    return OBJECT_BYTES + math.prod(int(length or 1) for length in shape) * _item_bytes(dtype)


def _item_bytes(dtype: Any) -> int:
    size = getattr(dtype, "itemsize", getattr(dtype, "size", None))  # NumPy, JAX and PyTorch; TensorFlow
    if isinstance(size, int) and size > 0:
        return size
    bits = re.search(r"\d+", str(dtype))  # a Keras variable names its dtype, such as "bfloat16"
    return max(1, int(bits.group()) // 8) if bits else 1
