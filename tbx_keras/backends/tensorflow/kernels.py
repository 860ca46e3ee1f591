"""TensorFlow kernels: summaries of tensors that stay on the device until they are small.

Guarantees: every function works eagerly, inside `tf.function` and under `jit_compile=True`; none reads a
value back to the host. Tensors are worked through one after the other and in chunks, so that the memory
added is that of two chunks, whatever the size of the model; small ones are counted together. Statistics are
over the finite elements.
"""

from __future__ import annotations

import functools
import typing
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from tbx_keras.backends.base import Summaries
from tbx_keras.backends.buckets import BUCKET_COUNT
from tbx_keras.backends.tensorflow.chunks import count, over_chunks
from tbx_keras.backends.tensorflow.float16 import describe_float16, has_a_counter_for_each_value

# Groups worked on at once: one keeps the cores busy while an operation of the other begins or ends.
MAX_CONCURRENT_GROUPS = 2
SMALL = 1 << 15  # elements: below, starting an operation costs as much as the operation
GROUP = 128  # small tensors counted at once: 2 MiB of counts
SHIFT = 20  # of the 32 bits of a float32, sign, exponent and 3 bits of mantissa remain: 4096 buckets


def summarize(tensors: Sequence[tf.Tensor], xla: bool = False) -> Summaries:
    """Count the buckets and the statistics of each tensor.

    Args:
        tensors: Dense tensors or `tf.IndexedSlices` of any real dtype and any shape, also empty.
        xla: Whether the code will be compiled by XLA, which has no `tf.unique`.

    Returns:
        `Summaries` with a row for each tensor, in their order.
    """
    flats = [_flatten(tensor, xla) for tensor in tensors]
    groups, parts = _grouped(flats), list[Summaries]()
    for group in groups:
        # Chains, for memory: without them the executor makes the indices of all tensors before it counts any.
        with tf.control_dependencies(
            list(parts[-MAX_CONCURRENT_GROUPS]) if len(parts) >= MAX_CONCURRENT_GROUPS else []
        ):
            parts.append(_of_group([flats[index] for index in group], xla))
    place = np.argsort([index for group in groups for index in group])
    counts, statistics = (tf.gather(tf.concat(column, 0), place) for column in zip(*parts))
    return _with_zeros(counts, _finite_only_if_needed(flats, statistics, xla), flats)


def sum_squares(tensor: tf.Tensor) -> tf.Tensor:
    """Sum the squares of all elements, NaN and infinities included, as float64 scalar."""
    flat = as_float(tf.reshape(tensor, [-1]))
    return 2.0 * tf.cast(tf.nn.l2_loss(flat), tf.float64)


def as_real(tensor: tf.Tensor) -> tf.Tensor:
    """Take the parts of complex numbers for two numbers each, along a new last axis."""
    return tf.stack([tf.math.real(tensor), tf.math.imag(tensor)], -1) if tensor.dtype.is_complex else tensor


def as_float(tensor: tf.Tensor) -> tf.Tensor:
    """Cast what is neither float32 nor float64 to float32, which holds every smaller float exactly."""
    tensor = as_real(tensor)
    return tensor if tensor.dtype in (tf.float32, tf.float64) else tf.cast(tensor, tf.float32)


class _Flat(typing.NamedTuple):
    """The elements of a tensor in a row; `zeros` more of them, which are zero, are not there."""

    values: tf.Tensor
    zeros: tf.Tensor | None = None

    @property
    def size(self) -> int | None:
        return self.values.shape[0]


def _flatten(tensor: tf.Tensor | tf.IndexedSlices, xla: bool) -> _Flat:
    if not isinstance(tensor, tf.IndexedSlices):
        return _Flat(tf.reshape(as_real(tensor), [-1]))
    if xla or tensor.dense_shape is None:
        return _Flat(tf.reshape(tf.convert_to_tensor(tensor), [-1]))
    # As the dense gradient, without making it: equal rows are added up, absent ones are zeros.
    rows, where = tf.unique(tensor.indices)
    values = tf.reshape(tf.math.unsorted_segment_sum(tensor.values, where, tf.size(rows)), [-1])
    size = tf.reduce_prod(tf.cast(tensor.dense_shape, tf.int64))
    return _Flat(values, tf.cast(size - tf.size(values, out_type=tf.int64), tf.int32))


def _grouped(flats: list[_Flat]) -> list[list[int]]:
    """Indices of tensors that are worked on together."""
    small = [index for index, flat in enumerate(flats) if flat.size is not None and flat.size <= SMALL]
    large = [index for index, flat in enumerate(flats) if flat.size is None or flat.size > SMALL]
    return [small[start : start + GROUP] for start in range(0, len(small), GROUP)] + [[one] for one in large]


def _of_group(flats: list[_Flat], xla: bool) -> Summaries:
    if len(flats) == 1:
        counts, statistics = _shared(_way(flats[0], xla), xla)(flats[0].values)
        return Summaries(counts[None], statistics[None])
    values = [as_float(flat.values) for flat in flats]
    indices = _bucket_indices(tf.concat([_to_float32(one) for one in values], 0))
    place = tf.repeat(tf.range(len(flats)) * BUCKET_COUNT, [flat.size for flat in flats])
    counts = count(indices + place, BUCKET_COUNT * len(flats))
    return Summaries(tf.reshape(counts, [-1, BUCKET_COUNT]), tf.stack([_statistics(one) for one in values]))


def _way(flat: _Flat, xla: bool) -> Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
    return describe_float16 if has_a_counter_for_each_value(flat.values.dtype, flat.size, xla) else _describe


@functools.cache
def _shared(describe: Callable[..., typing.Any], xla: bool) -> Callable[..., typing.Any]:
    """Make a function that is traced once for all tensors of a dtype.

    It is called, not copied, for each: tracing takes longer than the work. XLA compiles one for each shape.
    """
    if xla:
        return describe
    attributes = {"_noinline": True}
    signatures = {}

    def call(values: tf.Tensor) -> typing.Any:
        if values.dtype not in signatures:
            spec = tf.TensorSpec([None], values.dtype)
            signatures[values.dtype] = tf.function(
                describe, input_signature=[spec], autograph=False, experimental_attributes=attributes
            )
        return signatures[values.dtype](values)

    return call


def _describe(values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    return over_chunks(values, _of_chunk, _add, (tf.zeros([BUCKET_COUNT], tf.int32), _no_statistics()))


def _add(one: tuple[tf.Tensor, ...], other: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
    return one[0] + other[0], _join(one[1], other[1])


def _of_chunk(chunk: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    chunk = as_float(chunk)
    return count(_bucket_indices(_to_float32(chunk)), BUCKET_COUNT), _statistics(chunk)


def _bucket_indices(chunk: tf.Tensor) -> tf.Tensor:
    bits = tf.bitwise.right_shift(tf.bitcast(chunk, tf.uint32), tf.constant(SHIFT, tf.uint32))
    return tf.bitcast(bits, tf.int32)


def _to_float32(chunk: tf.Tensor) -> tf.Tensor:
    """Values beyond float32 go to its outermost finite bucket, not to that of the infinities."""
    if chunk.dtype == tf.float32:
        return chunk
    limit = tf.constant(np.finfo(np.float32).max, tf.float64)
    clipped = tf.clip_by_value(chunk, -limit, limit)
    return tf.cast(tf.where(tf.math.is_finite(chunk), clipped, chunk), tf.float32)


def _statistics(chunk: tf.Tensor) -> tf.Tensor:
    if chunk.shape[0] == 0:
        return tf.zeros([4], tf.float64)
    squares = 2.0 * tf.nn.l2_loss(chunk)
    return _pack(tf.reduce_min(chunk), tf.reduce_max(chunk), tf.reduce_sum(chunk), squares)


def _finite_only_if_needed(flats: list[_Flat], statistics: tf.Tensor, xla: bool) -> tf.Tensor:
    """Take the statistics over the finite elements alone where there are others.

    Any NaN or infinity shows in the statistics, and so does an overflow of finite values: one test for all
    tensors replaces a pass over the data, and the slow way is taken only when it is needed.
    """
    return tf.cond(
        tf.reduce_all(tf.math.is_finite(statistics)),
        lambda: statistics,
        lambda: tf.stack([_shared(_finite_only, xla)(flat.values) for flat in flats]),
    )


def _finite_only(values: tf.Tensor) -> tf.Tensor:
    statistics = over_chunks(values, _finite_only_statistics, _join, _no_statistics())
    # Without a finite element there is no least one: say 0, as the reference does.
    return tf.where(tf.math.is_finite(statistics[0]), statistics, tf.zeros_like(statistics))


def _finite_only_statistics(chunk: tf.Tensor) -> tf.Tensor:
    chunk = as_float(chunk)
    finite = tf.math.is_finite(chunk)
    wide = tf.cast(tf.where(finite, chunk, tf.zeros_like(chunk)), tf.float64)
    infinity = tf.constant(np.inf, chunk.dtype)
    low = tf.cast(tf.reduce_min(tf.where(finite, chunk, infinity)), tf.float64)
    high = tf.cast(tf.reduce_max(tf.where(finite, chunk, -infinity)), tf.float64)
    return _pack(low, high, tf.reduce_sum(wide), tf.reduce_sum(tf.square(wide)))


def _pack(*scalars: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.stack(scalars), tf.float64)


def _no_statistics() -> tf.Tensor:
    return tf.constant([np.inf, -np.inf, 0.0, 0.0], tf.float64)


def _join(one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    return tf.stack(
        [tf.minimum(one[0], other[0]), tf.maximum(one[1], other[1]), one[2] + other[2], one[3] + other[3]]
    )


def _with_zeros(counts: tf.Tensor, statistics: tf.Tensor, flats: list[_Flat]) -> Summaries:
    """Add the zeros that are not there."""
    if all(flat.zeros is None for flat in flats):
        return Summaries(counts, statistics)
    zeros = tf.stack([tf.zeros([], tf.int32) if flat.zeros is None else flat.zeros for flat in flats])
    some, low, high = zeros > 0, statistics[:, 0], statistics[:, 1]
    low = tf.where(some, tf.minimum(low, 0.0), low)
    high = tf.where(some, tf.maximum(high, 0.0), high)
    first = tf.one_hot(0, BUCKET_COUNT, dtype=tf.int32)
    return Summaries(
        counts + zeros[:, None] * first, tf.stack([low, high, statistics[:, 2], statistics[:, 3]], 1)
    )
