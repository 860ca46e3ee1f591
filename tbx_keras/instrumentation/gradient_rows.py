"""Rows of captured gradients: one for each variable that optimizers updated in a step.

Guarantees: only looks at what was captured; computes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tbx_keras.framework_types import Tensor, Variable
from tbx_keras.instrumentation.base import CaptureSchema
from tbx_keras.instrumentation.updates import Update
from tbx_keras.keras_model import VariablePaths, innermost


@dataclass(frozen=True)
class Row:
    """The gradient of one variable.

    Args:
        path: Path of the variable.
        gradient: Tensor, as the optimizer got it.
        variable: The variable.
        before: Its value before the update.
        update: The call that it was an argument of.
        after: Its value after the update, where the call returned it.
        spread: Mean squared distance of the replicas' gradients from this one, where there are replicas.
    """

    path: str
    gradient: Tensor
    variable: Variable
    before: Tensor
    update: Update
    after: Tensor = None
    spread: Tensor = None


def rows_of(updates: Sequence[Update], paths: VariablePaths) -> tuple[list[Row], tuple[str, ...]]:
    """List the gradients of some updates; of two updates of a variable the later one counts.

    Returns:
        A row for each variable with a gradient, and the paths of those without.
    """
    rows: dict[str, Row] = {}
    unconnected: dict[str, None] = {}
    for update in updates:
        nothing = [None] * len(update.variables)
        columns = (update.gradients, update.variables, update.before)
        for gradient, variable, before, *more in zip(
            *columns, update.after or nothing, update.spread or nothing
        ):
            path = paths(variable)
            if gradient is None:
                unconnected[path] = None
            else:
                rows[path] = Row(path, gradient, variable, before, update, *more)
    return list(rows.values()), tuple(unconnected)


def named(
    schema: CaptureSchema, rows: Sequence[Row], unconnected: tuple[str, ...], updates: int, unreachable: int
) -> CaptureSchema:
    """Put the names of rows into a schema.

    Args:
        schema: What is known so far.
        rows: The rows.
        unconnected: Paths of variables without a gradient.
        updates: Count of optimizer calls that were captured.
        unreachable: Count of those that could not be.
    """
    inner = [innermost(row.update.optimizer) for row in rows]
    limits = {getattr(optimizer, "global_clipnorm", None) for optimizer in inner}
    return replace(
        schema,
        paths=tuple(row.path for row in rows),
        variables=tuple(row.variable for row in rows),
        unconnected=unconnected,
        updates=updates + unreachable,
        unreachable=unreachable,
        clipnorm=tuple(getattr(optimizer, "clipnorm", None) for optimizer in inner),
        global_clipnorm=limits.pop() if len(limits) == 1 else None,
    )


def clip_values(rows: Sequence[Row]) -> list[float | None]:
    """Get the `clipvalue` of the optimizer of each row, or None."""
    return [getattr(innermost(row.update.optimizer), "clipvalue", None) for row in rows]
