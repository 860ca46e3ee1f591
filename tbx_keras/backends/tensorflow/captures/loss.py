"""The loss of the very batch, from the model's `compute_loss`.

Keras's own `logs["loss"]` is a running mean over the epoch.

Guarantees: the method is replaced while any thread captures, and belongs to no thread: replicas of a strategy
take turns in one step, each on a thread of its own, and each gets its own losses.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from tbx_keras.backends.tensorflow.captures.base import Capture, StepContext
from tbx_keras.backends.tensorflow.replicas import are_replicated, mean_loss
from tbx_keras.framework_types import Model, Tensor
from tbx_keras.instrumentation.base import LOSS, NAME_SCOPE, CaptureSchema, Tensors
from tbx_keras.instrumentation.replaced_attributes import replaced

_METHOD = "compute_loss"


class _Captured(threading.local):
    losses: list[Tensor] | None = None


_captured = _Captured()
_lock = threading.Lock()
_replacements: dict[int, tuple[int, replaced]] = {}  # by the identity of a model: captures, and their block


class LossCapture(Capture):
    """Captures the result of `compute_loss`; of an object without that method, nothing."""

    kind = LOSS
    names = frozenset({"loss"})

    def __init__(self, context: StepContext) -> None:
        super().__init__(context)
        self._losses: list[Tensor] = []

    @contextmanager
    def intercept(self) -> Iterator[None]:
        """Keep the results of the model's `compute_loss` that this thread gets in the block."""
        model = self._context.model
        if not hasattr(model, _METHOD):
            yield
            return
        before, _captured.losses = _captured.losses, self._losses
        _begin(model)
        try:
            yield
        finally:
            _end(model)
            _captured.losses = before

    def reduce(self, schema: CaptureSchema) -> tuple[CaptureSchema, Tensors]:
        """Get the loss as float32 scalar; nothing for a step with several losses."""
        if len(self._losses) != 1 or self._losses[0] is None:
            return schema, {}
        with tf.name_scope(NAME_SCOPE):
            loss = tf.convert_to_tensor(self._losses[0])
            if not tf.executing_eagerly() and loss.graph is not tf.compat.v1.get_default_graph():
                return schema, {}
            mean = loss if loss.shape.rank == 0 else tf.reduce_mean(loss)
            if are_replicated():
                mean = mean_loss(mean)
            return schema, {"loss": tf.cast(mean, tf.float32)}


def _begin(model: Model) -> None:
    with _lock:
        count, block = _replacements.get(id(model), (0, None))
        if block is None:
            block = replaced(model, _METHOD, _capturing(getattr(model, _METHOD)))
            block.__enter__()
        _replacements[id(model)] = count + 1, block


def _end(model: Model) -> None:
    with _lock:
        count, block = _replacements.pop(id(model))
        if count > 1:
            _replacements[id(model)] = count - 1, block
        else:
            block.__exit__(None, None, None)


def _capturing(compute_loss: Any) -> Any:
    def compute_loss_captured(*args: Any, **kwargs: Any) -> Tensor:
        loss = compute_loss(*args, **kwargs)
        if _captured.losses is not None:
            _captured.losses.append(loss)
        return loss

    return compute_loss_captured
