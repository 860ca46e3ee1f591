"""Sums over tensors of a device that has no float64, kept exact enough by a scale.

The sum of the squares of float32 values overflows at 1e19 and vanishes at 1e-23. So a device divides the
values by their largest magnitude first, and the host multiplies the sum in float64. Between `SAFE` a plain
sum of squares is as good, and takes one pass: no square overflowed, and those that vanished do not count.

Guarantees: pure NumPy; the device is read when an array is asked for, on the thread that asks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tbx_keras.framework_types import Tensor
from tbx_keras.memory import held_bytes

STATISTICS = (0, 0, 1, 2)  # powers of the scale in min, max, sum and sum of squares
SQUARES = 2
SAFE = (1e-25, 1e37)


@dataclass(frozen=True)
class OnDevice:
    """A tensor of a framework, turned into an array when it is needed.

    Args:
        tensor: The tensor.
    """

    tensor: Tensor

    @property
    def nbytes(self) -> int:
        """Count the bytes that the tensor holds."""
        return held_bytes(self.tensor)

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        return to_array(self.tensor).astype(dtype or None, copy=False)


@dataclass(frozen=True)
class ScaledSums:
    """Sums of powers of values that were divided by a scale.

    Args:
        sums: Tensor `(n, ...)`.
        scales: Tensor `(n,)`, or of the shape of `sums`.
        powers: Power of the scale to multiply with, for all sums or for each column.
    """

    sums: Tensor
    scales: Tensor
    powers: int | tuple[int, ...] = SQUARES

    @property
    def nbytes(self) -> int:
        """Count the bytes that the tensors hold."""
        return held_bytes(self.sums) + held_bytes(self.scales)

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        sums, scales = (to_array(one).astype(np.float64) for one in (self.sums, self.scales))
        scales = scales.reshape(scales.shape + (1,) * (sums.ndim - scales.ndim))
        return (sums * scales ** np.array(self.powers)).astype(dtype or np.float64, copy=False)


def to_array(tensor: Tensor) -> np.ndarray:
    """Copy a tensor of any framework to the host."""
    detached = tensor.detach().cpu() if hasattr(tensor, "detach") else tensor
    return np.asarray(detached)
