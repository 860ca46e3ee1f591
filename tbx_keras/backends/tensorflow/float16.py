"""Half precision: each of the 65536 values that 16 bits can hold has a counter of its own.

One pass over the data counts; buckets and exact statistics follow from the counts, whatever the size of the
tensor. Widening to float32 first would cost a pass more than the narrow type saves.

Guarantees: as those of `tensorflow`; the finite elements alone make the statistics, and there is no overflow.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tbx_keras.backends.float16 import BIT_PATTERNS, bit_pattern_table
from tbx_keras.backends.tensorflow.chunks import count, over_chunks

LARGE = (
    1 << 20
)  # elements: 16 for each counter; below, what follows from the counts takes longer than widening


def has_a_counter_for_each_value(dtype: tf.DType, size: int | None, xla: bool) -> bool:
    """Check that `describe_float16` is the fast way for a tensor.

    Args:
        dtype: Type of the tensor.
        size: Its elements, where known.
        xla: Whether the code will be compiled by XLA, which has no sorted segment sum that is fast. Nor has a
            GPU one of integers, while widening costs nothing there.
    """
    if dtype not in (tf.float16, tf.bfloat16) or size is None or size < LARGE:
        return False
    return not xla and not tf.config.list_physical_devices("GPU")


def describe_float16(values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Count and sum up a float16 or bfloat16 tensor.

    Args:
        values: 1-D tensor.

    Returns:
        int32 tensor `(4096,)`, elements in each float-bits bucket, and float64 tensor `(4,)`: min, max, sum,
        sum of squares of the finite elements; all 0 without any.
    """
    patterns = over_chunks(values, _count_bit_patterns, tf.add, tf.zeros([BIT_PATTERNS], tf.int32))
    indices, wide = bit_pattern_table(values.dtype.as_numpy_dtype)
    return tf.math.segment_sum(patterns, indices), _statistics(patterns, wide)


def _count_bit_patterns(chunk: tf.Tensor) -> tf.Tensor:
    return count(tf.cast(tf.bitcast(chunk, tf.uint16), tf.int32), BIT_PATTERNS)


def _statistics(patterns: tf.Tensor, wide: np.ndarray) -> tf.Tensor:
    finite = np.isfinite(wide)
    there = tf.logical_and(patterns > 0, finite)
    low = tf.reduce_min(tf.where(there, wide, np.float32(np.inf)))
    high = tf.reduce_max(tf.where(there, wide, np.float32(-np.inf)))
    values = np.where(finite, wide, 0).astype(np.float64)
    sums = tf.linalg.matvec(np.stack([values, values**2]), tf.cast(patterns, tf.float64))
    statistics = tf.concat([tf.cast(tf.stack([low, high]), tf.float64), sums], 0)
    return tf.where(low <= high, statistics, tf.zeros_like(statistics))
