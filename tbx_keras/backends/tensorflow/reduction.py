"""Reduction of captured gradients to a few small tensors, on the device.

Guarantees: called inside the step (traced or eager), after the optimizers; nothing here writes to a variable.
"""

from __future__ import annotations

import tensorflow as tf

from tbx_keras.backends.tensorflow import kernels
from tbx_keras.backends.tensorflow.sampling import nothing, when
from tbx_keras.backends.tensorflow.variables import tensor_of
from tbx_keras.framework_types import Tensor
from tbx_keras.instrumentation.base import NAME_SCOPE, Tensors
from tbx_keras.instrumentation.gradient_rows import Row, clip_values
from tbx_keras.instrumentation.updates import Update


def snapshot_weights(update: Update, sampled: tf.Tensor | None = None) -> None:
    """Keep the weights and the loss scale as they are before the optimizer changes them.

    Args:
        update: The call that is about to be made; its `before` and `scale` are filled in.
        sampled: Boolean scalar: whether anybody will look; None for always.
    """
    with tf.name_scope(NAME_SCOPE):
        variables = update.variables
        update.before = when(
            sampled,
            lambda: [tf.identity(tensor_of(variable)) for variable in variables],
            lambda: [nothing(tensor_of(variable).dtype, len(variable.shape)) for variable in variables],
        )
        if update.scale is not None:
            update.scale = tf.identity(tf.convert_to_tensor(update.scale))


def describe(rows: list[Row], xla: bool) -> Tensors:
    """Count and sum up the gradients of some rows.

    Args:
        rows: The gradients.
        xla: Whether the step is compiled by XLA.

    Returns:
        `counts`, `statistics` and, where an optimizer clips by value, `clipped`; see
        `GradientCapture.reduce`.
    """
    gradients = [_unscaled(row) for row in rows]
    counts, statistics = kernels.summarize(gradients, xla=xla)
    tensors = {"counts": counts, "statistics": statistics}
    limits = clip_values(rows)
    if any(limit is not None for limit in limits):
        tensors["clipped"] = tf.stack([_clipped(*pair) for pair in zip(gradients, limits)])
    return tensors


def describe_replicas(rows: list[Row]) -> Tensors:
    """Collect how far the gradients of replicas lie apart.

    Args:
        rows: The gradients.

    Returns:
        `spread`: float64 `(n,)`, for each row the mean squared distance of the gradient of a replica from
        that of all; nothing without replicas, or where they are in several processes.
    """
    spread = [row.spread for row in rows if row.spread is not None]
    return {"spread": tf.stack(spread)} if len(spread) == len(rows) else {}


def empty(rows: list[Row]) -> Tensors:
    """Make the tensors of `describe` without elements."""
    tensors = {"counts": nothing(tf.int32, 2), "statistics": nothing(tf.float64, 2)}
    if any(limit is not None for limit in clip_values(rows)):
        tensors["clipped"] = nothing(tf.float64, 1)
    return tensors


def _unscaled(row: Row) -> Tensor:
    scale = row.update.scale
    if scale is None:
        return row.gradient
    if isinstance(row.gradient, tf.IndexedSlices):
        values = kernels.as_float(row.gradient.values)
        values = values / tf.cast(scale, values.dtype)
        return tf.IndexedSlices(values, row.gradient.indices, row.gradient.dense_shape)
    gradient = kernels.as_float(row.gradient)
    return gradient / tf.cast(scale, gradient.dtype)


def _clipped(gradient: Tensor, limit: float | None) -> tf.Tensor:
    dense = kernels.as_float(tf.convert_to_tensor(gradient))
    return kernels.sum_squares(dense if limit is None else tf.clip_by_value(dense, -limit, limit))
