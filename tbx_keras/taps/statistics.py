"""Reduction of a captured step to a few small tensors, on the device.

Guarantees: called inside the step (traced or eager), after the optimizers. Gradients are described as they
are before clipping and free of any loss scale; nothing here writes to a variable.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from tbx_keras.backends import tensorflow as kernels
from tbx_keras.backends.keras_model import VariablePaths, innermost
from tbx_keras.backends.tensorflow_variables import tensor_of
from tbx_keras.taps.capture import CapturedStep, Update

Tensors = dict[str, Any]
SNAPSHOTS = "snapshots"
NAME_SCOPE = "tbx_keras"


@dataclass(frozen=True)
class Layout:
    """Names for the rows of the tensors; known when the step is traced, the same for each run of it.

    Args:
        paths: Variable paths of the rows.
        variables: The variables of the rows.
        missing: Paths of variables that got no gradient.
        updates: Calls of optimizers that the step made, those out of reach included.
        unreachable: Those made inside a `tf.cond`, a loop or a `tf.function` of the training step.
        clipnorm: For each row the `clipnorm` of its optimizer, or None.
        global_clipnorm: The `global_clipnorm` of the optimizer, or None.
        graph: The traced graph of the step, or None where it runs eagerly.
    """

    paths: tuple[str, ...] = ()
    variables: tuple[Any, ...] = ()
    missing: tuple[str, ...] = ()
    updates: int = 0
    unreachable: int = 0
    clipnorm: tuple[float | None, ...] = ()
    global_clipnorm: float | None = None
    graph: Any = None


@dataclass(frozen=True)
class _Row:
    path: str
    gradient: Any
    variable: Any
    before: Any
    update: Update


def take_before(update: Update, sampled: tf.Tensor | None = None) -> None:
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
            lambda: [_nothing(tensor_of(variable).dtype, len(variable.shape)) for variable in variables],
        )
        if update.scale is not None:
            update.scale = tf.identity(tf.convert_to_tensor(update.scale))


def when(sampled: tf.Tensor | None, full: Callable[[], Any], empty: Callable[[], Any]) -> Any:
    """`full()` where sampled, else `empty()`; without a condition no branch is made."""
    return full() if sampled is None else tf.cond(sampled, full, empty)


def _nothing(dtype: tf.DType, rank: int) -> tf.Tensor:
    return tf.zeros([0] * rank, dtype)


def gather(
    captured: CapturedStep, paths: VariablePaths, xla: bool, sampled: tf.Tensor | None = None
) -> tuple[Layout, Tensors]:
    """Describe everything that was captured.

    Args:
        captured: The calls of one step.
        paths: Names of the model's variables.
        xla: Whether the step is compiled by XLA.
        sampled: Boolean scalar: whether anybody will look; None for always.

    Returns:
        A `Layout` of `n` rows and the tensors: `counts` int32 `(n, 4096)`, `moments` float64 `(n, 4)`,
        `clipped` float64 `(n,)` where an optimizer clips by value; `loss` float32 scalar; under `SNAPSHOTS`
        the weights of the rows as they were before the update, for `UpdateNorms`. Those that were not
        captured are absent.
    """
    with tf.name_scope(NAME_SCOPE):
        rows, layout = _rows(captured, paths)
        tensors = when(sampled, lambda: _describe(rows, xla), lambda: _empty(rows)) if rows else {}
        snapshots = {SNAPSHOTS: tuple(row.before for row in rows)} if rows else {}
        return layout, {**tensors, **snapshots, **_loss(captured)}


def _rows(captured: CapturedStep, paths: VariablePaths) -> tuple[list[_Row], Layout]:
    rows: dict[str, _Row] = {}
    missing: dict[str, None] = {}
    for update in captured.updates:
        for gradient, variable, before in zip(update.gradients, update.variables, update.before):
            path = paths(variable)
            if gradient is None:
                missing[path] = None
            else:
                rows[path] = _Row(path, gradient, variable, before, update)
    return list(rows.values()), _layout(list(rows.values()), tuple(missing), captured)


def _layout(rows: list[_Row], missing: tuple[str, ...], captured: CapturedStep) -> Layout:
    inner = [innermost(row.update.optimizer) for row in rows]
    limits = {getattr(optimizer, "global_clipnorm", None) for optimizer in inner}
    return Layout(
        paths=tuple(row.path for row in rows),
        variables=tuple(row.variable for row in rows),
        missing=missing,
        updates=len(captured.updates) + captured.unreachable,
        unreachable=captured.unreachable,
        clipnorm=tuple(getattr(optimizer, "clipnorm", None) for optimizer in inner),
        global_clipnorm=limits.pop() if len(limits) == 1 else None,
        graph=traced_graph(),
    )


def traced_graph() -> Any:
    """The graph that is being traced; None where operations run eagerly."""
    return None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()


def _describe(rows: list[_Row], xla: bool) -> Tensors:
    gradients = [_unscaled(row) for row in rows]
    counts, moments = kernels.summarize(gradients, xla=xla)
    tensors = {"counts": counts, "moments": moments}
    limits = _clip_values(rows)
    if any(limit is not None for limit in limits):
        tensors["clipped"] = tf.stack([_clipped(*pair) for pair in zip(gradients, limits)])
    return tensors


def _empty(rows: list[_Row]) -> Tensors:
    """The structure of `_describe`, without rows."""
    tensors = {"counts": _nothing(tf.int32, 2), "moments": _nothing(tf.float64, 2)}
    if any(limit is not None for limit in _clip_values(rows)):
        tensors["clipped"] = _nothing(tf.float64, 1)
    return tensors


def _clip_values(rows: list[_Row]) -> list[float | None]:
    return [getattr(innermost(row.update.optimizer), "clipvalue", None) for row in rows]


def _unscaled(row: _Row) -> Any:
    scale = row.update.scale
    if scale is None:
        return row.gradient
    if isinstance(row.gradient, tf.IndexedSlices):
        values = kernels.as_float(row.gradient.values)
        values = values / tf.cast(scale, values.dtype)
        return tf.IndexedSlices(values, row.gradient.indices, row.gradient.dense_shape)
    gradient = kernels.as_float(row.gradient)
    return gradient / tf.cast(scale, gradient.dtype)


def _clipped(gradient: Any, limit: float | None) -> tf.Tensor:
    dense = kernels.as_float(tf.convert_to_tensor(gradient))
    return kernels.sum_squares(dense if limit is None else tf.clip_by_value(dense, -limit, limit))


def _loss(captured: CapturedStep) -> Tensors:
    """The loss of this very batch; with several losses in a step none of them is it."""
    if len(captured.losses) != 1 or captured.losses[0] is None:
        return {}
    loss = tf.convert_to_tensor(captured.losses[0])
    if not tf.executing_eagerly() and loss.graph is not tf.compat.v1.get_default_graph():
        return {}
    mean = loss if loss.shape.rank == 0 else tf.reduce_mean(loss)
    return {"loss": tf.cast(mean, tf.float32)}
