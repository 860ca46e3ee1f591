"""TensorFlow kernels: summaries of tensors that stay on the device until they are small.

Guarantees: every function works eagerly, inside `tf.function` and under `jit_compile=True`; none reads a
value back to the host. Tensors are worked through one after the other and in chunks, so that the memory
added is that of one chunk, whatever the size of the model. Statistics are over the finite elements.
"""

from __future__ import annotations

import functools
import typing
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tbx_keras.backends.buckets import KEY_COUNT

CHUNK = 1 << 21  # elements: 8 MiB of float32, small enough to stay in a cache, large enough to use all cores
SHIFT = 20  # of the 32 bits of a float32, sign, exponent and 3 bits of mantissa remain: 4096 keys


class Summaries(typing.NamedTuple):
    """What is kept of `n` tensors; row `i` belongs to tensor `i`.

    Args:
        counts: int32 tensor `(n, 4096)`, elements in each float-bits bucket, NaN and infinities too.
        moments: float64 tensor `(n, 4)`: min, max, sum, sum of squares of the finite elements.
    """

    counts: tf.Tensor
    moments: tf.Tensor


def summarize(tensors: Sequence[tf.Tensor], xla: bool = False) -> Summaries:
    """Count the buckets and the moments of each tensor.

    Args:
        tensors: Dense tensors or `tf.IndexedSlices` of any real dtype and any shape, also empty.
        xla: Whether the code will be compiled by XLA, which has no `tf.unique`.

    Returns:
        `Summaries` with a row for each tensor, in their order.
    """
    rows: list[tuple[tf.Tensor, tf.Tensor]] = []
    for tensor in tensors:
        # A chain, for memory: without it the executor makes the keys of all tensors before it counts any.
        with tf.control_dependencies(list(rows[-1]) if rows else []):
            rows.append(_summarize_any(tensor, xla))
    counts, moments = zip(*rows)
    return Summaries(tf.stack(counts), tf.stack(moments))


def sum_squares(tensor: tf.Tensor) -> tf.Tensor:
    """Sum of the squares of all elements, as float64 scalar (NaN and infinities included)."""
    flat = as_float(tf.reshape(tensor, [-1]))
    return 2.0 * tf.cast(tf.nn.l2_loss(flat), tf.float64)


def as_float(tensor: tf.Tensor) -> tf.Tensor:
    """Cast what is neither float32 nor float64 to float32, which holds every smaller float exactly."""
    return tensor if tensor.dtype in (tf.float32, tf.float64) else tf.cast(tensor, tf.float32)


def _summarize_any(tensor, xla: bool) -> tuple[tf.Tensor, tf.Tensor]:
    if not isinstance(tensor, tf.IndexedSlices):
        return _summarize_flat(tf.reshape(tensor, [-1]))
    if xla or tensor.dense_shape is None:
        return _summarize_flat(tf.reshape(tf.convert_to_tensor(tensor), [-1]))
    return _summarize_slices(tensor)


def _summarize_slices(slices: tf.IndexedSlices) -> tuple[tf.Tensor, tf.Tensor]:
    """As of the dense gradient, without making it: equal rows are added up, absent ones are zeros."""
    rows, where = tf.unique(slices.indices)
    values = tf.math.unsorted_segment_sum(slices.values, where, tf.size(rows))
    counts, moments = _summarize_flat(tf.reshape(values, [-1]))
    size = tf.reduce_prod(tf.cast(slices.dense_shape, tf.int64))
    absent = tf.cast(size - tf.size(values, out_type=tf.int64), tf.int32)
    zero = tf.zeros([], tf.float64)
    low = tf.where(absent > 0, tf.minimum(moments[0], zero), moments[0])
    high = tf.where(absent > 0, tf.maximum(moments[1], zero), moments[1])
    counts = tf.tensor_scatter_nd_add(counts, [[0]], [absent])
    return counts, tf.stack([low, high, moments[2], moments[3]])


def _summarize_flat(flat: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    if flat.shape[0] is not None and flat.shape[0] <= CHUNK:
        return _finish(*_summarize_chunk(flat))
    size = tf.size(flat)
    start = (tf.zeros([KEY_COUNT], tf.int32), _no_moments())

    def add(index, counts, moments):
        begin = index * CHUNK
        chunk = tf.slice(flat, [begin], [tf.minimum(CHUNK, size - begin)])
        more_counts, more_moments = _summarize_chunk(chunk)
        return index + 1, counts + more_counts, _join(moments, more_moments)

    _, counts, moments = tf.while_loop(
        lambda index, *_: index * CHUNK < size, add, (0, *start), parallel_iterations=1
    )
    return _finish(counts, moments)


def _summarize_chunk(chunk: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    chunk = as_float(chunk)
    return _count_keys(_to_float32(chunk)), _moments(chunk)


def _count_keys(chunk: tf.Tensor) -> tf.Tensor:
    bits = tf.bitwise.right_shift(tf.bitcast(chunk, tf.uint32), tf.constant(SHIFT, tf.uint32))
    # The raw operation with a constant size: `tf.math.bincount` has a dynamic one, which XLA refuses.
    return tf.raw_ops.DenseBincount(
        input=tf.bitcast(bits, tf.int32), size=KEY_COUNT, weights=tf.zeros([0], tf.int32), binary_output=False
    )


def _to_float32(chunk: tf.Tensor) -> tf.Tensor:
    """Values beyond float32 go to its outermost finite bucket, not to that of the infinities."""
    if chunk.dtype == tf.float32:
        return chunk
    limit = tf.constant(np.finfo(np.float32).max, tf.float64)
    clipped = tf.clip_by_value(chunk, -limit, limit)
    return tf.cast(tf.where(tf.math.is_finite(chunk), clipped, chunk), tf.float32)


def _moments(chunk: tf.Tensor) -> tf.Tensor:
    total, squares = tf.reduce_sum(chunk), 2.0 * tf.nn.l2_loss(chunk)
    # Any NaN or infinity shows in the sums, and so does an overflow of finite values: one scalar test
    # replaces a pass over the data, and the slow road is taken only when it is needed.
    return tf.cond(
        tf.math.is_finite(total) & tf.math.is_finite(squares),
        lambda: _pack(tf.reduce_min(chunk), tf.reduce_max(chunk), total, squares),
        functools.partial(_careful_moments, chunk),
    )


def _careful_moments(chunk: tf.Tensor) -> tf.Tensor:
    finite = tf.math.is_finite(chunk)
    wide = tf.cast(tf.where(finite, chunk, tf.zeros_like(chunk)), tf.float64)
    infinity = tf.constant(np.inf, chunk.dtype)
    low = tf.reduce_min(tf.where(finite, chunk, infinity))
    high = tf.reduce_max(tf.where(finite, chunk, -infinity))
    return _pack(low, high, tf.reduce_sum(wide), tf.reduce_sum(tf.square(wide)))


def _pack(*scalars: tf.Tensor) -> tf.Tensor:
    return tf.stack([tf.cast(scalar, tf.float64) for scalar in scalars])


def _no_moments() -> tf.Tensor:
    return tf.constant([np.inf, -np.inf, 0.0, 0.0], tf.float64)


def _join(one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    return tf.stack(
        [tf.minimum(one[0], other[0]), tf.maximum(one[1], other[1]), one[2] + other[2], one[3] + other[3]]
    )


def _finish(counts: tf.Tensor, moments: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Without a finite element there is no least one: say 0, as the reference does."""
    return counts, tf.where(tf.math.is_finite(moments), moments, tf.zeros_like(moments))
