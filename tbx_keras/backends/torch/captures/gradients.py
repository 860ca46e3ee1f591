"""The gradients that optimizers get, and how far each update moves the weights.

Optimizers are those of Keras, and those of `torch.optim` that a training step calls itself.

Guarantees: gradients are reduced before the optimizer runs, which may change them in place. They are
described as they are before clipping by the optimizer and free of the loss scale of a Keras optimizer. The
weights as they were are kept until the update is made, and no longer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from tbx_keras.backends.scaled_sums import to_array
from tbx_keras.backends.torch import kernels
from tbx_keras.backends.torch.optimizer_steps import observed
from tbx_keras.framework_types import Optimizer, Tensor
from tbx_keras.instrumentation.base import GRADIENTS, CaptureSchema, Tensors
from tbx_keras.instrumentation.captures import Capture, StepContext
from tbx_keras.instrumentation.gradient_rows import Row, clip_values, named, rows_of
from tbx_keras.instrumentation.optimizer_calls import OptimizerCalls
from tbx_keras.instrumentation.updates import Update, read_update, readable_twice
from tbx_keras.keras_model import VariablePaths, trainable_weights, weights

_CALLS = OptimizerCalls({"keras": ("apply", "apply_gradients")})


class GradientCapture(Capture[StepContext]):
    """Captures each call of an optimizer, whoever holds the optimizer."""

    kind = GRADIENTS

    def __init__(self, context: StepContext) -> None:
        super().__init__(context)
        self._paths = VariablePaths(context.model)
        self._known = {id(one.value): one for one in weights(context.model) if hasattr(one, "value")}
        self._trainable = {id(one.value) for one in trainable_weights(context.model) if hasattr(one, "value")}
        self._versions = {key: self._known[key].value._version for key in self._trainable}
        self._updated: set[int] = set()
        self._differentiated: set[int] = set()
        self._reduced: list[_Reduced] = []
        self._begun: dict[int, Update] = {}
        self._ready: dict[int, _Reduced] = {}
        self._foreign = 0

    @contextmanager
    def intercept(self) -> Iterator[None]:
        """Keep the optimizer updates of the block."""
        with _CALLS.intercepted(self._handle), observed(self):
            yield

    def _handle(
        self, method: str, call: Callable[..., Any], optimizer: Optimizer, *args: Any, **kwargs: Any
    ) -> Any:
        """Keep an update, and make it."""
        args = tuple(readable_twice(one) for one in args)
        kwargs = {name: readable_twice(one) for name, one in kwargs.items()}
        reduced = None
        with self._context.reporting("capturing the gradients of a step"):
            update = _with_weights(read_update(method, optimizer, args, kwargs))
            self._see({id(getattr(one, "value", one)) for one in update.variables})
            reduced = _Reduced(update, self._paths)
        result = call(optimizer, *args, **kwargs)
        if reduced is not None:
            self._finish(reduced)
        return result

    def before(self, optimizer: Optimizer) -> None:
        """Keep the weights that an optimizer of `torch.optim` is about to change."""
        with self._context.reporting("capturing the gradients of a step"):
            parameters = [one for group in optimizer.param_groups for one in group["params"]]
            variables = [self._known[id(one)] for one in parameters if id(one) in self._known]
            self._foreign += not variables
            self._see({id(one.value) for one in variables})
            update = Update(optimizer, [], variables, scale=getattr(optimizer, "grad_scale", None))
            self._begun[id(optimizer)] = _with_weights(update)

    def with_gradients(self, optimizer: Optimizer) -> None:
        """Reduce its gradients."""
        update = self._begun.pop(id(optimizer), None)
        if update is not None:
            with self._context.reporting("capturing the gradients of a step"):
                update.gradients = [one.value.grad for one in update.variables]
                self._ready[id(optimizer)] = _Reduced(update, self._paths)

    def after(self, optimizer: Optimizer) -> None:
        """Compare the weights with what they were."""
        self.with_gradients(optimizer)  # one that was given a closure and did not call it
        reduced = self._ready.pop(id(optimizer), None)
        if reduced is not None:
            self._finish(reduced)

    def _finish(self, reduced: _Reduced) -> None:
        with self._context.reporting("capturing the gradients of a step"):
            reduced.finish()
            self._reduced.append(reduced)

    def reduce(self, schema: CaptureSchema) -> tuple[CaptureSchema, Tensors]:
        """Join the rows of all updates; of two updates of a variable the later one counts."""
        found = {row.path: (one, place) for one in self._reduced for place, row in enumerate(one.rows)}
        rows = [one.rows[place] for one, place in found.values()]
        unconnected = tuple(dict.fromkeys(path for one in self._reduced for path in one.unconnected))
        schema = named(schema, rows, unconnected, len(self._reduced), 0)
        schema = replace(schema, foreign=self._foreign, changed_otherwise=self._changed_otherwise())
        return schema, _joined(list(found.values())) if rows else {}

    def _see(self, updated: set[int]) -> None:
        """See the weights of an update, and which other ones have gradients then."""
        self._updated |= updated
        self._differentiated |= {key for key in self._trainable if self._known[key].value.grad is not None}

    def _changed_otherwise(self) -> int:
        """Count the weights with a gradient whose version rose, as by any change in place, without an update.

        Copies of weights that follow by an average have none.
        """
        candidates = self._differentiated - self._updated
        return sum(self._known[key].value._version != self._versions[key] for key in candidates)


class _Reduced:
    """The gradients of one update, reduced.

    Args:
        update: The update, with the weights before it.
        paths: Paths of variables.
    """

    def __init__(self, update: Update, paths: VariablePaths) -> None:
        self.rows, self.unconnected = rows_of([update], paths)
        gradients = [_unscaled(row) for row in self.rows]
        self.tensors: dict[str, Tensor] = {}
        if gradients:
            self.tensors.update(zip(("counts", "statistics"), kernels.summarize(gradients)))
            limits = clip_values(self.rows)
            if any(limit is not None for limit in limits):
                clipped = [_clipped(*pair) for pair in zip(gradients, limits)]
                self.tensors["clipped"] = kernels.sums_of_squares(clipped)

    @torch.no_grad()
    def finish(self) -> None:
        """Sum up the update that was made, and let the weights before it go."""
        if not self.rows:
            return
        self.tensors["before"] = kernels.sums_of_squares([row.before for row in self.rows])
        # In place, for memory: the weights as they were have served.
        change = [row.before.sub_(kernels.as_float(_value(row.variable))) for row in self.rows]
        self.tensors["change"] = kernels.sums_of_squares(change)
        self.rows = [_without_tensors(row) for row in self.rows]


class _Joined:
    """Rows of the tensors of several updates.

    Args:
        places: Tensor and row for each row.
    """

    def __init__(self, places: Sequence[tuple[Tensor, int]]) -> None:
        self._places = places

    @property
    def nbytes(self) -> int:
        """Count the bytes that the tensors hold."""
        return sum({id(tensor): tensor.nbytes for tensor, _ in self._places}.values())

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        arrays = {id(tensor): np.asarray(tensor) for tensor, _ in self._places}
        joined = np.stack([arrays[id(tensor)][row] for tensor, row in self._places])
        return joined.astype(dtype or None, copy=False)


def _joined(found: list[tuple[_Reduced, int]]) -> Tensors:
    names = ["counts", "statistics", "before", "change"]
    if all("clipped" in one.tensors for one, _ in found):
        names.append("clipped")
    complete = [(one, place) for one, place in found if "change" in one.tensors]
    return {name: _Joined([(one.tensors[name], place) for one, place in complete]) for name in names}


@torch.no_grad()
def _with_weights(update: Update) -> Update:
    update.before = [kernels.as_float(_value(one)).clone() for one in update.variables]
    if update.scale is not None:
        update.scale = to_array(getattr(update.scale, "value", update.scale)).item()
    return update


def _without_tensors(row: Row) -> Row:
    return Row(row.path, None, row.variable, None, Update(row.update.optimizer, [], []))


def _value(variable: Any) -> Tensor:
    return getattr(variable, "value", variable).detach()


def _unscaled(row: Row) -> Tensor:
    scale = row.update.scale
    return row.gradient if scale is None else kernels.as_float(row.gradient) / scale


def _clipped(gradient: Tensor, limit: float | None) -> Tensor:
    return gradient if limit is None else kernels.as_float(gradient).clamp(-limit, limit)
