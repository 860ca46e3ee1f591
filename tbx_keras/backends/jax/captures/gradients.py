"""The gradients that optimizers get, and the weights before and after each update.

An update by anything but a Keras optimizer, as by optax, is taken from `jax.grad`: gradients with respect to
the step's own trainable variables, and the values that the step returns for these.

Guarantees: used while a step is traced, or run eagerly, by one thread for one model. Gradients are described
as they are before clipping and free of any loss scale.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp

from tbx_keras.backends.jax import kernels
from tbx_keras.backends.jax.captures.base import Capture, Reduced, StepContext
from tbx_keras.framework_types import Optimizer, Tensor
from tbx_keras.instrumentation.base import GRADIENTS, CaptureSchema
from tbx_keras.instrumentation.gradient_rows import Row, clip_values, named, rows_of
from tbx_keras.instrumentation.optimizer_calls import OptimizerCalls
from tbx_keras.instrumentation.updates import Update, read_update, readable_twice
from tbx_keras.keras_model import VariablePaths, trainable_weights

STATELESS = "stateless_apply"
_SQUARES = ("before", "change", "clipped")
_CALLS = OptimizerCalls({"keras": (STATELESS, "apply", "apply_gradients")})


class GradientCapture(Capture):
    """Captures each call of an optimizer, whoever holds the optimizer."""

    kind = GRADIENTS

    def __init__(self, context: StepContext) -> None:
        super().__init__(context)
        self._updates: list[Update] = []
        self._unreachable = 0

    def intercept(self) -> AbstractContextManager[object]:
        """Keep the optimizer updates of the block."""
        return _CALLS.intercepted(self._handle)

    def _handle(
        self, method: str, call: Callable[..., Any], optimizer: Optimizer, *args: Any, **kwargs: Any
    ) -> Any:
        """Keep an update, and make it."""
        args = tuple(readable_twice(one) for one in args)
        kwargs = {name: readable_twice(one) for name, one in kwargs.items()}
        update = None
        with self._context.reporting("capturing the gradients of a step"):
            update = _read(method, optimizer, args, kwargs)
        result = call(optimizer, *args, **kwargs)
        if update is not None:
            with self._context.reporting("capturing the gradients of a step"):
                self._keep(update, result if method == STATELESS else None)
        return result

    def _keep(self, update: Update, result: Any) -> None:
        if not self._context.is_outermost():  # its arrays cannot leave a branch, a loop or another function
            self._unreachable += 1
            return
        update.after = _values(update) if result is None else list(result[0])
        self._updates.append(update)

    def reduce(self, schema: CaptureSchema) -> tuple[CaptureSchema, Reduced]:
        """Reduce the gradients of `n` variables to `Described` and `Squares` of `n` rows."""
        updates = self._updates or ([] if self._unreachable else self._differentiated())
        if updates and not self._updates and self._may_be_of_others(updates):
            return replace(schema, ambiguous=True), {}
        rows, unconnected = rows_of(updates, VariablePaths(self._context.model))
        schema = named(schema, rows, unconnected, len(updates), self._unreachable)
        schema = replace(schema, changed_otherwise=self._changed_without(updates))
        if not rows:
            return schema, {}
        limits = clip_values(rows)
        columns = [_unscaled(row) for row in rows], [row.before for row in rows], [row.after for row in rows]
        return schema, _reduced(*columns, limits=tuple(limits))

    def _changed_without(self, updates: list[Update]) -> int:
        """Count the weights that the step differentiates by, returns other values for, and no update had."""
        context, known = self._context, trainable_weights(self._context.model)
        if not len(context.after) == len(known) == len(context.weights):
            return 0
        updated = {id(variable) for update in updates for variable in update.variables}
        by = {id(leaf) for one in context.derivatives for leaf in jax.tree.leaves(one.arguments)}
        return sum(
            after is not before and id(before) in by and id(one) not in updated
            for one, before, after in zip(known, context.weights, context.after)
        )

    def _may_be_of_others(self, updates: list[Update]) -> bool:
        """Check whether the step's own update may be made of other derivatives too.

        Of several by the same weights, by arrays of their shapes (weights that were moved before), or of one
        in a function that is compiled apart.
        """
        shapes = [_shapes(update.before) for update in updates]
        derivatives = [_shapes(jax.tree.leaves(one.arguments)) for one in self._context.derivatives]
        several = any(derivatives.count(one) > 1 for one in shapes)
        return self._context.hidden > 0 or several or _have_common_variables(updates)

    def _differentiated(self) -> list[Update]:
        """Take the derivatives with respect to the step's own weights for updates."""
        context, known = self._context, trainable_weights(self._context.model)
        places = {id(value): place for place, value in enumerate(context.weights)}
        updates = []
        for derivative in context.derivatives:
            leaves = zip(jax.tree.leaves(derivative.arguments), jax.tree.leaves(derivative.gradients))
            found = [(places[id(leaf)], gradient) for leaf, gradient in leaves if id(leaf) in places]
            if found and len(context.after) == len(known) == len(context.weights):
                updates.append(_update(found, known, context))
        return updates

    @staticmethod
    def delivered(reduced: Reduced) -> dict[str, Tensor]:
        """Make `counts`, `statistics`, `before`, `change` and `clipped` readable for NumPy."""
        described = reduced.get("gradients")
        if described is None:
            return {}
        squares = {
            name: reduced[name].scaled() for name in ("before", "change", "clipped") if name in reduced
        }
        return {"counts": described.counts, "statistics": described.scaled(), **squares}


def _shapes(arrays: Sequence[Tensor]) -> list[tuple[int, ...]]:
    return sorted(getattr(one, "shape", ()) for one in arrays)


def _have_common_variables(updates: Sequence[Update]) -> bool:
    variables = [id(one) for update in updates for one in update.variables]
    return len(set(variables)) < len(variables)


def _update(found: list[tuple[int, Tensor]], known: Sequence[Any], context: StepContext) -> Update:
    places, gradients = zip(*found)
    columns = ([column[place] for place in places] for column in (known, context.weights, context.after))
    variables, before, after = columns
    return Update(None, list(gradients), variables, before, after=after)


def _read(method: str, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Update:
    if method != STATELESS:
        update = read_update(method, optimizer, args, kwargs)
        update.before = _values(update)
        if update.scale is not None:
            update.scale = jnp.asarray(getattr(update.scale, "value", update.scale))
        return update
    names = ("optimizer_variables", "grads", "trainable_variables")
    given = {**dict(zip(names, args)), **kwargs}
    state, gradients, weights = (given[name] for name in names)
    known = list(optimizer._trainable_variables)
    return Update(optimizer, list(gradients), known, list(weights), scale=_scale(optimizer, state))


def _scale(optimizer: Optimizer, state: Sequence[Tensor]) -> Tensor | float | None:
    """Get the factor of a loss scale from the state that the optimizer was called with."""
    variable = getattr(optimizer, "dynamic_scale", None)
    if getattr(optimizer, "inner_optimizer", None) is None or variable is None:
        return getattr(optimizer, "loss_scale_factor", None)
    return next(value for one, value in zip(optimizer.variables, state) if one is variable)


def _values(update: Update) -> list[Tensor]:
    return [getattr(variable, "value", variable) for variable in update.variables]


def _unscaled(row: Row) -> Tensor:
    scale = row.update.scale
    if scale is None:
        return row.gradient
    gradient = kernels.as_float(row.gradient)
    return gradient / jnp.asarray(scale, gradient.dtype)


def _reduce(gradients: Any, before: Any, after: Any, limits: tuple[float | None, ...]) -> Reduced:
    change = [kernels.as_float(new) - kernels.as_float(old) for old, new in zip(before, after)]
    reduced: dict[str, Any] = {
        "gradients": kernels.summarize(gradients),
        "before": kernels.sums_of_squares(before),
        "change": kernels.sums_of_squares(change),
    }
    if any(limit is not None for limit in limits):
        pairs = zip(map(kernels.as_float, gradients), limits)
        # Of finite elements: with `jax_debug_nans` a NaN in what the step returns would end the training.
        finite = [(jnp.where(jnp.isfinite(one), one, 0), limit) for one, limit in pairs]
        clipped = [one if limit is None else jnp.clip(one, -limit, limit) for one, limit in finite]
        reduced["clipped"] = kernels.sums_of_squares(clipped)
    return reduced


_reduced = jax.jit(_reduce, static_argnames="limits")
