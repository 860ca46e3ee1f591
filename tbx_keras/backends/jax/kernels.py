"""JAX kernels: summaries of arrays that stay on the device until they are small.

Guarantees: every function works on concrete arrays and inside `jax.jit`; none reads a value back to the host.
No array is flattened, so that one which is sharded over devices is reduced where its shards lie. Statistics
are over the finite elements; sums are of values divided by their largest magnitude, since JAX has no float64
unless it is asked for.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import keras
import numpy as np

from tbx_keras.backends.buckets import BUCKET_COUNT
from tbx_keras.backends.scaled_sums import SAFE, STATISTICS, ScaledSums

LARGE, PARTS = 1 << 20, 4  # elements of an array that is split, and into how many
LONG = 1 << 14  # elements of an array for which a second pass would be felt
SHIFT = 32 - (BUCKET_COUNT - 1).bit_length()
_FLOAT32 = np.finfo(np.float32)
_LARGEST = 1e37  # whose reciprocal is no subnormal number, which a device may take for 0


class Described(NamedTuple):
    """Summaries of `n` arrays on the device.

    Args:
        counts: int32 array `(n, 4096)`.
        statistics: float array `(n, 4)`: min, max, and of the values over `scales` sum and sum of squares.
        scales: float array `(n,)`: largest magnitude of a finite element, 1 where there is none.
    """

    counts: jax.Array
    statistics: jax.Array
    scales: jax.Array

    def scaled(self) -> ScaledSums:
        """Get the statistics as they are without the scale, on the host."""
        return ScaledSums(self.statistics, self.scales, STATISTICS)


class Squares(NamedTuple):
    """Sums of squares of `n` arrays on the device.

    Args:
        sums: float array `(n,)`: of the values over `scales`.
        scales: float array `(n,)`.
    """

    sums: jax.Array
    scales: jax.Array

    def scaled(self) -> ScaledSums:
        """Get the sums as they are without the scale, on the host."""
        return ScaledSums(self.sums, self.scales)


def summarize(arrays: Sequence[jax.Array]) -> Described:
    """Count the buckets and the statistics of each array.

    Args:
        arrays: At least one array of any real dtype and any shape, also empty.
    """
    values = [as_float(array) for array in arrays]
    counts = jnp.stack([_count(one) for one in values])
    # A pass without a mask takes a fraction of the time of one with it. What is not finite shows in it.
    fast = _joined([_statistics(one) for one in values])
    clean = jnp.all(jnp.isfinite(fast[0]))
    finite_only = lambda: _joined([_finite_only_statistics(one) for one in values])  # noqa: E731
    return Described(counts, *jax.lax.cond(clean, lambda: fast, finite_only))


def sums_of_squares(arrays: Sequence[jax.Array]) -> Squares:
    """Sum the squares of each array; NaN where an element is not finite."""
    values = [as_float(array) for array in arrays]
    long = _long_square_sums([one for one in values if one.size >= LONG])
    return Squares(*_joined([next(long) if one.size >= LONG else _square_sum(one) for one in values]))


def as_real(array: jax.Array) -> jax.Array:
    """Take the parts of complex numbers for two numbers each, along a new last axis."""
    return jnp.stack([array.real, array.imag], -1) if jnp.iscomplexobj(array) else array


def as_float(array: jax.Array) -> jax.Array:
    """Cast what is neither float32 nor float64 to float32, which holds every smaller float exactly."""
    array = as_real(jnp.asarray(array))
    return array if array.dtype in (jnp.float32, jnp.float64) else array.astype(jnp.float32)


def _count(values: jax.Array) -> jax.Array:
    return functools.reduce(jnp.add, map(_count_at_once, _parts(values)))


def _parts(values: jax.Array) -> list[jax.Array]:
    """Split a large array: XLA counts on one core of a host, and several arrays on several cores.

    Not where a distribution is set: a part may lie on several devices.
    """
    small = values.size < LARGE or values.ndim == 0 or len(values) < PARTS
    if small or keras.distribution.distribution() is not None:
        return [values]
    return jnp.array_split(values, PARTS)


def _count_at_once(values: jax.Array) -> jax.Array:
    return jnp.zeros(BUCKET_COUNT, jnp.int32).at[_bucket_indices(values)].add(1, mode="drop")


def _bucket_indices(values: jax.Array) -> jax.Array:
    bits = jax.lax.bitcast_convert_type(_to_float32(values), jnp.uint32)
    return jax.lax.shift_right_logical(bits, jnp.uint32(SHIFT)).astype(jnp.int32)


def _to_float32(values: jax.Array) -> jax.Array:
    """Values beyond float32 go to its outermost finite bucket, not to that of the infinities."""
    if values.dtype == jnp.float32:
        return values
    clipped = jnp.clip(values, -float(_FLOAT32.max), float(_FLOAT32.max))
    return jnp.where(jnp.isfinite(values), clipped, values).astype(jnp.float32)


def _joined(pairs: list[tuple[jax.Array, jax.Array]]) -> tuple[jax.Array, jax.Array]:
    statistics, scales = zip(*pairs)
    return jnp.stack(statistics), jnp.stack(scales)


def _statistics(values: jax.Array) -> tuple[jax.Array, jax.Array]:
    if values.size == 0:
        return _sums(values, *jnp.zeros(2, values.dtype))
    return _sums(values, jnp.min(values), jnp.max(values))


def _finite_only_statistics(values: jax.Array) -> tuple[jax.Array, jax.Array]:
    finite = jnp.isfinite(values)
    low = jnp.min(jnp.where(finite, values, jnp.inf), initial=jnp.inf)
    high = jnp.max(jnp.where(finite, values, -jnp.inf), initial=-jnp.inf)
    none = low > high
    low, high = jnp.where(none, 0, low), jnp.where(none, 0, high)
    scale = _usable(jnp.maximum(jnp.abs(low), jnp.abs(high)))
    scaled = jnp.where(finite, values, 0) / scale  # also of values whose sum overflows
    return jnp.stack([low, high, jnp.sum(scaled), jnp.sum(scaled * scaled)]), scale


def _sums(values: jax.Array, low: jax.Array, high: jax.Array) -> tuple[jax.Array, jax.Array]:
    scale = _usable(jnp.maximum(jnp.abs(low), jnp.abs(high)))
    # Two sums that share no array: XLA would write it to memory.
    squares = jnp.sum(jnp.square(values / scale))
    return jnp.stack([low, high, jnp.sum(values) / scale, squares]), scale


def _long_square_sums(values: list[jax.Array]) -> Iterator[tuple[jax.Array, jax.Array]]:
    """Sum the squares in one pass each, and with a scale where one overflowed or nearly vanished."""
    if not values:
        return iter(())
    sums = jnp.stack([jnp.sum(jnp.square(one)) for one in values])
    safe = jnp.all((sums > SAFE[0]) & (sums < SAFE[1]))
    scaled = lambda: _joined([_square_sum(one) for one in values])  # noqa: E731
    return zip(*jax.lax.cond(safe, lambda: (sums, jnp.ones_like(sums)), scaled))


def _square_sum(values: jax.Array) -> tuple[jax.Array, jax.Array]:
    if values.size == 0:
        return jnp.zeros((), values.dtype), jnp.ones((), values.dtype)
    largest = jnp.max(jnp.abs(values))  # NaN where one of them is
    scale = jnp.where(jnp.isfinite(largest), _usable(largest), 1)
    return jnp.sum(jnp.square(values / scale)), scale


def _usable(scale: jax.Array) -> jax.Array:
    """Replace a scale that cannot be divided by, and bound it: XLA multiplies by the reciprocal."""
    return jnp.minimum(jnp.where(scale >= float(_FLOAT32.tiny), scale, 1), _LARGEST)
