"""Long tensors, worked through chunk by chunk, and the counting in it.

Guarantees: works eagerly, traced and under XLA; the memory added is that of one chunk.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

CHUNK = 1 << 20  # elements: 4 MiB of float32, small enough to stay in a cache, large enough for all cores


def over_chunks(
    values: tf.Tensor, describe: Callable[[tf.Tensor], Any], join: Callable[[Any, Any], Any], start: Any
) -> Any:
    """Describe a tensor chunk by chunk, or at once where it is known to be short.

    Args:
        values: 1-D tensor.
        describe: From a chunk to a tensor, or a tuple of tensors.
        join: From two of these to one.
        start: What no elements are described as.

    Returns:
        What `join` made of all.
    """
    if values.shape[0] is not None and values.shape[0] <= CHUNK:
        return describe(values)
    size = tf.size(values)

    def add(index: tf.Tensor, before: Any) -> tuple[tf.Tensor, Any]:
        begin = index * CHUNK
        more = describe(tf.slice(values, [begin], [tf.minimum(CHUNK, size - begin)]))
        return index + 1, join(before, more)

    return tf.while_loop(lambda index, _: index * CHUNK < size, add, (0, start), parallel_iterations=1)[1]


def count(indices: tf.Tensor, size: int) -> tf.Tensor:
    """Count how often each bucket index occurs.

    Args:
        indices: int32 tensor, 1-D, none negative.
        size: Number of buckets.

    Returns:
        int32 tensor `(size,)`.
    """
    # The raw operation with a constant size: `tf.math.bincount` has a dynamic one, which XLA refuses.
    return tf.raw_ops.DenseBincount(
        input=indices, size=size, weights=tf.zeros([0], tf.int32), binary_output=False
    )
