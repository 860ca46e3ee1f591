"""Hear what one training step tells its optimizers.

Guarantees: the listener forwards every call unchanged and returns what the original returned. It replaces
instance attributes for the time of a `with` block and removes them after it, also after an exception.
It is used while a step is traced (or run eagerly), by one thread for one model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from tbx_keras.backends.keras_model import is_optimizer, optimizers

_MISSING = object()


@dataclass
class Update:
    """One call of an optimizer: gradients as the optimizer got them, weights as they were before.

    Args:
        optimizer: The optimizer that was called.
        gradients: Dense tensors, `tf.IndexedSlices`, or None for a variable without gradient.
        variables: The variables, in the same order.
        before: Tensors with the values of the variables before the update.
        scale: Factor by which a loss scale has multiplied the gradients, or None.
    """

    optimizer: Any
    gradients: list[Any]
    variables: list[Any]
    before: list[Any] = field(default_factory=list)
    scale: Any = None


@dataclass
class Heard:
    """All that was heard in one step.

    Args:
        updates: Calls of optimizers, in order.
        losses: Results of the model's `compute_loss`, in order.
    """

    updates: list[Update] = field(default_factory=list)
    losses: list[Any] = field(default_factory=list)


@contextmanager
def listening(model: Any, wants_gradients: bool, on_update: Callable[[Update], None]) -> Iterator[Heard]:
    """Listen to the optimizers and to `compute_loss` of `model`.

    Args:
        model: A Keras 3 or tf_keras model on TensorFlow.
        wants_gradients: Whether to listen to the optimizers at all.
        on_update: Called with each `Update` before the optimizer is; it takes the weights of that moment.

    Yields:
        `Heard`, which fills while the block runs.
    """
    heard = Heard()
    with ExitStack() as stack:
        stack.enter_context(replaced(model, "compute_loss", _hear_loss(model.compute_loss, heard)))
        for optimizer in optimizers(model) if wants_gradients else ():
            name = "apply" if hasattr(optimizer, "apply") else "apply_gradients"
            hear = _hear_apply if name == "apply" else _hear_apply_gradients
            wrapped = hear(optimizer, getattr(optimizer, name), heard, on_update)
            stack.enter_context(replaced(optimizer, name, wrapped))
        yield heard


class replaced:  # noqa: N801  # a class since it surrounds every tapped step: a generator costs more
    """Shadow an attribute for a block, past `__setattr__`: Keras tracks what is set through it."""

    def __init__(self, owner: Any, name: str, value: Any) -> None:
        self._namespace, self._name, self._value = vars(owner), name, value

    def __enter__(self) -> None:
        self._before = self._namespace.get(self._name, _MISSING)
        self._namespace[self._name] = self._value

    def __exit__(self, *exception: object) -> None:
        if self._before is _MISSING:
            self._namespace.pop(self._name, None)
        else:
            self._namespace[self._name] = self._before


def _hear_loss(compute_loss: Callable[..., Any], heard: Heard) -> Callable[..., Any]:
    def compute_loss_heard(*args: Any, **kwargs: Any) -> Any:
        loss = compute_loss(*args, **kwargs)
        heard.losses.append(loss)
        return loss

    return compute_loss_heard


def _hear_apply(optimizer, apply, heard: Heard, on_update) -> Callable[..., Any]:
    """Keras 3: `apply(grads, trainable_variables=None)`; a loss scale has still to be taken out."""

    def apply_heard(grads: Any, trainable_variables: Any = None) -> Any:
        grads = list(grads)
        known = trainable_variables is None
        variables = list(optimizer._trainable_variables if known else trainable_variables)
        update = Update(optimizer, grads, variables, scale=_loss_scale(optimizer))
        on_update(update)
        heard.updates.append(update)
        return apply(grads) if known else apply(grads, variables)

    return apply_heard


def _hear_apply_gradients(optimizer, apply_gradients, heard: Heard, on_update) -> Callable[..., Any]:
    """tf_keras: `apply_gradients(grads_and_vars, ...)`; its loss scale is out by then."""

    def apply_gradients_heard(grads_and_vars: Any, *args: Any, **kwargs: Any) -> Any:
        pairs = list(grads_and_vars)
        update = Update(optimizer, [pair[0] for pair in pairs], [pair[1] for pair in pairs])
        on_update(update)
        heard.updates.append(update)
        return apply_gradients(pairs, *args, **kwargs)

    return apply_gradients_heard


def _loss_scale(optimizer: Any) -> Any:
    """The factor that `optimizer.scale_loss` used for this step's loss, or None."""
    inner = getattr(optimizer, "inner_optimizer", None)
    if inner is not None and is_optimizer(inner):
        # Before it is built, `scale_loss` multiplies by the plain number.
        return optimizer.dynamic_scale if optimizer.built else optimizer.initial_scale
    return getattr(optimizer, "loss_scale_factor", None)
