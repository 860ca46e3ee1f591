"""The gradients that optimizers get, and the weights as they are before each update.

Guarantees: used while a step is traced, or run eagerly, by one thread for one model. Gradients are described
as they are before clipping and free of any loss scale.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import tensorflow as tf

from tbx_keras.backends.tensorflow.captures.base import Capture, StepContext
from tbx_keras.backends.tensorflow.optimizer_calls import intercepted
from tbx_keras.backends.tensorflow.reduction import describe, describe_replicas, empty, snapshot_weights
from tbx_keras.backends.tensorflow.replicas import Reduction, are_replicated
from tbx_keras.backends.tensorflow.sampling import traced_graph, when
from tbx_keras.framework_types import Optimizer
from tbx_keras.instrumentation.base import GRADIENTS, NAME_SCOPE, CaptureSchema, Tensors
from tbx_keras.instrumentation.gradient_rows import named, rows_of
from tbx_keras.instrumentation.updates import Update, read_update, readable_twice
from tbx_keras.keras_model import VariablePaths

SNAPSHOTS = "snapshots"


class GradientCapture(Capture):
    """Captures each call of an optimizer, whoever holds the optimizer."""

    kind = GRADIENTS
    names = frozenset({"counts", "statistics", "clipped", "before", "change", "spread", SNAPSHOTS})

    def __init__(self, context: StepContext) -> None:
        super().__init__(context)
        self._graph = traced_graph()
        self._updates: list[Update] = []
        self._unreachable = 0

    def intercept(self) -> AbstractContextManager[None]:
        """Keep the optimizer updates of the block."""
        return intercepted(self._handle)

    def _handle(
        self, method: str, call: Callable[..., Any], optimizer: Optimizer, *args: Any, **kwargs: Any
    ) -> Any:
        """Keep an update, then make it."""
        args = tuple(readable_twice(one) for one in args)
        kwargs = {name: readable_twice(one) for name, one in kwargs.items()}
        failed: Exception | None = None
        reduction: Reduction | None = None
        try:
            reduction = self._keep(read_update(method, optimizer, args, kwargs))
        except Exception as error:
            failed = error
        with nullcontext() if reduction is None else reduction.observed():
            result = call(optimizer, *args, **kwargs)
        if failed is not None:  # else the call itself fails, and says why
            self._context.report("capturing the gradients of a step", failed)
        if reduction is not None:
            with self._context.reporting("reducing the gradients of replicas"), tf.name_scope(NAME_SCOPE):
                reduction.finish()
        return result

    def _keep(self, update: Update) -> Reduction | None:
        if traced_graph() is not self._graph:
            # A tensor made inside a branch, a loop or another function cannot leave it.
            self._unreachable += 1
            return None
        snapshot_weights(update, self._context.sampled())
        self._updates.append(update)
        return Reduction(update) if are_replicated() else None

    def reduce(self, schema: CaptureSchema) -> tuple[CaptureSchema, Tensors]:
        """Reduce the gradients of `n` variables.

        Returns:
            The schema with a row for each, and the tensors: `counts` int32 `(n, 4096)`, `statistics` float64
            `(n, 4)`, `clipped` float64 `(n,)` where an optimizer clips by value, and under `SNAPSHOTS` the
            weights of the rows as they were before the update, for `UpdateNorms`. Of several replicas in one
            process `spread`, float64 `(n,)`, too.
        """
        with tf.name_scope(NAME_SCOPE):
            rows, unconnected = rows_of(self._updates, VariablePaths(self._context.model))
            schema = named(schema, rows, unconnected, len(self._updates), self._unreachable)
            if not rows:
                return schema, {}
            xla = self._context.xla
            tensors = when(self._context.sampled(), lambda: describe(rows, xla), lambda: empty(rows))
            snapshots = tuple(row.before for row in rows)
            return schema, {**tensors, **describe_replicas(rows), SNAPSHOTS: snapshots}
