"""Calls of optimizers, as they were made.

Guarantees: only reads arguments; makes no call itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tbx_keras.framework_types import Optimizer, Tensor, Variable
from tbx_keras.keras_model import is_optimizer


@dataclass
class Update:
    """One call of an optimizer: gradients as the optimizer got them, weights as they were before.

    Args:
        optimizer: The optimizer that was called.
        gradients: Dense tensors, `tf.IndexedSlices`, or None for a variable without gradient.
        variables: The variables, in the same order.
        before: Tensors with the values of the variables before the update.
        scale: Factor by which a loss scale has multiplied the gradients, or None.
        after: Tensors with their values after it, where the call returned them.
        spread: Mean squared distances of the replicas' gradients from the reduced ones, or None for a
            variable; empty where there are no replicas.
    """

    optimizer: Optimizer
    gradients: list[Tensor | None]
    variables: list[Variable]
    before: list[Tensor] = field(default_factory=list)
    scale: Tensor | float | None = None
    after: list[Tensor] = field(default_factory=list)
    spread: list[Tensor | None] = field(default_factory=list)


def readable_twice(argument: Any) -> Any:
    """Turn a `zip` or another iterator of gradients into a list."""
    return list(argument) if hasattr(argument, "__next__") else argument


def read_update(method: str, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Update:
    """Read the arguments of an update method.

    Args:
        method: `"apply"` (gradients, and variables or None for those that the optimizer was built for) or
            `"apply_gradients"` (pairs of gradient and variable).
        optimizer: The optimizer.
        args: Positional arguments of the method.
        kwargs: Named arguments of the method.
    """
    # tf_keras has taken the loss scale out by the time it calls `apply_gradients`.
    scale = _loss_scale(optimizer) if hasattr(optimizer, "apply") else None
    if method == "apply_gradients":
        pairs = list(args[0] if args else kwargs["grads_and_vars"])
        return Update(optimizer, [pair[0] for pair in pairs], [pair[1] for pair in pairs], scale=scale)
    gradients = args[0] if args else kwargs["grads"]
    variables = args[1] if len(args) > 1 else kwargs.get("trainable_variables")
    known = optimizer._trainable_variables if variables is None else variables
    return Update(optimizer, list(gradients), list(known), scale=scale)


def _loss_scale(optimizer: Optimizer) -> Tensor | float | None:
    """Get the factor that `optimizer.scale_loss` used for this step's loss, or None."""
    inner = getattr(optimizer, "inner_optimizer", None)
    if inner is not None and is_optimizer(inner):
        # Before it is built, `scale_loss` multiplies by the plain number.
        return optimizer.dynamic_scale if optimizer.built else optimizer.initial_scale
    return getattr(optimizer, "loss_scale_factor", None)
