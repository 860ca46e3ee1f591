"""Capture of what one training step computes: optimizer updates and losses.

Guarantees: every call is forwarded unchanged and returns what the original returned. An error of the
capture is reported and the call is made all the same. Used while a step is traced, or run eagerly, by one
thread for one model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tbx_keras.backends.keras_model import is_optimizer
from tbx_keras.taps.interception import intercepted

Report = Callable[[str, Exception], None]
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
class CapturedStep:
    """The updates and losses of one step.

    Args:
        updates: Calls of optimizers, in order.
        losses: Results of the model's `compute_loss`, in order.
        unreachable: Calls whose tensors cannot leave the place where they were made.
    """

    updates: list[Update] = field(default_factory=list)
    losses: list[Any] = field(default_factory=list)
    unreachable: int = 0


class UpdateCapture:
    """Handler of intercepted updates that keeps each one.

    Args:
        captured: Filled with the updates.
        prepare: Called with each `Update` before the optimizer is, to keep the weights of that moment;
            returns False where the tensors of the update cannot be used by the step.
        report: Called with a place and an exception when the capture of a call fails.
    """

    def __init__(self, captured: CapturedStep, prepare: Callable[[Update], bool], report: Report) -> None:
        self._captured, self._prepare, self._report = captured, prepare, report

    def __call__(
        self, method: str, call: Callable[..., Any], optimizer: Any, *args: Any, **kwargs: Any
    ) -> Any:
        """Keep the update, then make it."""
        args = tuple(_readable_twice(one) for one in args)
        kwargs = {name: _readable_twice(one) for name, one in kwargs.items()}
        failed: Exception | None = None
        try:
            self._keep(read_update(method, optimizer, args, kwargs))
        except Exception as error:
            failed = error
        result = call(optimizer, *args, **kwargs)
        if failed is not None:  # else the call itself fails, and says why
            self._report("capturing the gradients of a step", failed)
        return result

    def _keep(self, update: Update) -> None:
        if self._prepare(update):
            self._captured.updates.append(update)
        else:
            self._captured.unreachable += 1


def _readable_twice(argument: Any) -> Any:
    """Turn a `zip` or another iterator of gradients into a list."""
    return list(argument) if hasattr(argument, "__next__") else argument


def read_update(method: str, optimizer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Update:
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


def _loss_scale(optimizer: Any) -> Any:
    """The factor that `optimizer.scale_loss` used for this step's loss, or None."""
    inner = getattr(optimizer, "inner_optimizer", None)
    if inner is not None and is_optimizer(inner):
        # Before it is built, `scale_loss` multiplies by the plain number.
        return optimizer.dynamic_scale if optimizer.built else optimizer.initial_scale
    return getattr(optimizer, "loss_scale_factor", None)


@contextmanager
def capturing_losses(model: Any, captured: CapturedStep) -> Iterator[None]:
    """Keep the results of the model's `compute_loss` in the block; of an object without one nothing."""
    compute_loss = getattr(model, "compute_loss", None)
    if compute_loss is None:
        yield
        return

    def compute_loss_captured(*args: Any, **kwargs: Any) -> Any:
        loss = compute_loss(*args, **kwargs)
        captured.losses.append(loss)
        return loss

    with replaced(model, "compute_loss", compute_loss_captured):
        yield


@contextmanager
def capturing_updates(
    captured: CapturedStep, prepare: Callable[[Update], bool], report: Report
) -> Iterator[None]:
    """Keep the optimizer updates of the block; see `UpdateCapture`."""
    with intercepted(UpdateCapture(captured, prepare, report)):
        yield


class replaced:  # noqa: N801  # a class since it surrounds every sampled step: a generator costs more
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


@contextmanager
def attributes_kept(owner: Any) -> Iterator[None]:
    """Put the attributes of an object back after a block, with the contents of its lists and dictionaries.

    A model may make variables in its `make_train_function`, and Keras lists each in several places.
    """
    namespace = vars(owner)
    before = {name: (value, _contents(value)) for name, value in namespace.items()}
    try:
        yield
    finally:
        for name in namespace.keys() - before.keys():
            del namespace[name]
        for name, (value, contents) in before.items():
            namespace[name] = value
            _refill(value, contents)


def _contents(value: Any) -> list[Any] | None:
    if type(value) is dict:
        return list(value.items())
    return list(value) if type(value) is list else None


def _refill(value: Any, contents: list[Any] | None) -> None:
    if contents is None or len(contents) == len(value):
        return
    value.clear()
    value.update(contents) if isinstance(value, dict) else value.extend(contents)
