"""PyTorch kernels: summaries of tensors that stay on the device until they are small.

Guarantees: no value is read back to the host, but where PyTorch's `bincount` does so itself. Tensors are not
changed, and nothing is recorded for differentiation. Statistics are over the finite elements; sums are of
values divided by their largest magnitude, since not every device has float64. Large tensors in the host's
memory are counted there, by kernels that Numba compiles, where it is installed.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import torch

from tbx_keras.backends.base import Summaries
from tbx_keras.backends.buckets import BUCKET_COUNT
from tbx_keras.backends.numpy import cpu
from tbx_keras.backends.scaled_sums import SAFE, STATISTICS, OnDevice, ScaledSums
from tbx_keras.framework_types import Tensor

SHIFT = 32 - (BUCKET_COUNT - 1).bit_length()
LARGE = 1 << 22  # elements: below, Numba takes longer to compile than it saves in hundreds of records
_LIMIT = float(np.finfo(np.float32).max)
_TINY = float(np.finfo(np.float32).tiny)


@torch.no_grad()
def summarize(tensors: Sequence[Tensor]) -> Summaries:
    """Count the buckets and the statistics of each tensor.

    Args:
        tensors: Tensors of any real dtype and any shape, also empty, dense or sparse.
    """
    flats = [_flat(tensor) for tensor in tensors]
    if not flats:
        return Summaries(np.zeros((0, BUCKET_COUNT), np.int64), np.zeros((0, 4)))
    if _is_worth_compiling(flats):
        return Summaries(*cpu.summarize([flat.numpy() for flat in flats]))
    counts = _stacked([_count(as_float(flat)) for flat in flats])
    statistics, scales = zip(*[_statistics(as_float(flat)) for flat in flats])
    return Summaries(OnDevice(counts), ScaledSums(_stacked(statistics), _stacked(scales), STATISTICS))


@torch.no_grad()
def sums_of_squares(tensors: Sequence[Tensor]) -> ScaledSums:
    """Sum the squares of each tensor; NaN where an element is not finite."""
    sums, scales = zip(*[_square_sum(as_float(_flat(tensor))) for tensor in tensors])
    return ScaledSums(_stacked(sums), _stacked(scales))


def as_real(tensor: Tensor) -> Tensor:
    """Take the parts of complex numbers for two numbers each, along a new last axis."""
    return torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor


def as_float(tensor: Tensor) -> Tensor:
    """Cast what is neither float32 nor float64 to float32, which holds every smaller float exactly."""
    tensor = as_real(tensor)
    return tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.to(torch.float32)


def _flat(tensor: Tensor) -> Tensor:
    tensor = tensor.detach()
    dense = tensor.to_dense() if tensor.layout != torch.strided else tensor
    return as_real(dense).reshape(-1)


def _is_worth_compiling(flats: Sequence[Tensor]) -> bool:
    if sum(flat.numel() for flat in flats) < LARGE:
        return False
    return (
        all(flat.device.type == "cpu" and flat.dtype == torch.float32 for flat in flats) and cpu.is_compiled()
    )


def _count(values: Tensor) -> Tensor:
    bits = _to_float32(values).view(torch.int32)
    # A signed shift: the sign goes into the bits above, which are cut off.
    return torch.bincount((bits >> SHIFT) & (BUCKET_COUNT - 1), minlength=BUCKET_COUNT)


def _to_float32(values: Tensor) -> Tensor:
    """Values beyond float32 go to its outermost finite bucket, not to that of the infinities."""
    if values.dtype == torch.float32:
        return values
    return torch.where(torch.isfinite(values), values.clamp(-_LIMIT, _LIMIT), values).to(torch.float32)


def _statistics(values: Tensor) -> tuple[Tensor, Tensor]:
    if values.numel() == 0:
        return values.new_zeros(4), values.new_ones(())
    finite = torch.isfinite(values)
    low = torch.where(finite, values, torch.inf).amin()
    high = torch.where(finite, values, -torch.inf).amax()
    none = low > high
    low, high = torch.where(none, 0.0, low), torch.where(none, 0.0, high)
    scale = _usable(torch.maximum(low.abs(), high.abs()))
    scaled = torch.where(finite, values, 0.0) / scale
    return torch.stack([low, high, scaled.sum(), (scaled * scaled).sum()]), scale


def _square_sum(values: Tensor) -> tuple[Tensor, Tensor]:
    if values.numel() == 0:
        return values.new_zeros(()), values.new_ones(())
    if values.device.type == "cpu":  # where nothing waits for a device to look at a value
        squares = torch.dot(values, values)
        if SAFE[0] < float(squares) < SAFE[1]:
            return squares, values.new_ones(())
    low, high = torch.aminmax(values)  # NaN where an element is
    largest = torch.maximum(low.abs(), high.abs())
    scale = torch.where(torch.isfinite(largest), _usable(largest), 1.0)
    scaled = values / scale
    return torch.dot(scaled, scaled), scale


def _usable(scale: Tensor) -> Tensor:
    """Replace a scale that cannot be divided by."""
    return torch.where(scale >= _TINY, scale, 1.0)


def _stacked(tensors: Sequence[Tensor]) -> Tensor:
    """Stack tensors of several dtypes, perhaps of several devices."""
    dtype = functools.reduce(torch.promote_types, (one.dtype for one in tensors))
    return torch.stack([one.to(tensors[0].device, dtype) for one in tensors])
