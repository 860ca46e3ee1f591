"""Interception of optimizer updates, whoever holds the optimizer.

A training step may use optimizers that are attributes of the model, of its layers, entries of nested
containers, global variables or closures. So the update methods of all loaded optimizer classes are
replaced, and only for as long as a step is captured on some thread.

Guarantees: calls on a thread that captures nothing, and calls that an intercepted call makes, run the
original method alone. The classes are as they were when the last capture ends, also after an exception.
Captures on several threads do not see each other. Imports no framework that the user did not import.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import tensorflow as tf

from tbx_keras.framework_types import Optimizer

# Keras 3 calls `apply` from `apply_gradients`; a subclass may override either. tf_keras has no `apply`.
METHODS = {"keras": ("apply", "apply_gradients"), "tf_keras": ("apply_gradients",)}


class Handler(Protocol):
    """Receives an intercepted update; has to make the call itself."""

    def __call__(
        self, method: str, call: Callable[..., Any], optimizer: Optimizer, *args: Any, **kwargs: Any
    ) -> Any:
        """Handle `optimizer.<method>(*args, **kwargs)`; `call` is the original, unbound."""


class _Capturing(threading.local):
    handler: Handler | None = None


_capturing = _Capturing()
_lock = threading.Lock()
_captures = 0
_replaced: list[tuple[type, str, Any, Any]] = []  # class, method, original, replacement


@contextmanager
def intercepted(handler: Handler) -> Iterator[None]:
    """Send the updates that this thread makes in the block through `handler`.

    Args:
        handler: Called in place of the outermost update method; what it calls is not intercepted again.
    """
    before = _capturing.handler
    _begin()
    _capturing.handler = handler
    try:
        yield
    finally:
        _capturing.handler = before
        _end()


def optimizer_classes(package: str) -> list[type]:
    """List the optimizer classes of `keras` or `tf_keras`, loaded subclasses and bases included.

    Args:
        package: Name of a package; one that was not imported has no classes.
    """
    optimizers = getattr(sys.modules.get(package), "optimizers", None)
    roots = [optimizers, getattr(optimizers, "legacy", None)]
    found: dict[type, None] = {}
    for root in [getattr(one, "Optimizer", None) for one in roots]:
        if isinstance(root, type):
            found.update(dict.fromkeys(root.__mro__))
            _add_subclasses(root, found)
    return list(found)


def _add_subclasses(root: type, found: dict[type, None]) -> None:
    subclasses: list[type] = root.__subclasses__()
    for subclass in subclasses:
        found[subclass] = None
        _add_subclasses(subclass, found)


def _begin() -> None:
    global _captures  # noqa: PLW0603  # a count of the process: classes belong to all threads
    with _lock:
        _captures += 1
        if _captures == 1:
            _replace()


def _end() -> None:
    global _captures  # noqa: PLW0603
    with _lock:
        _captures -= 1
        if _captures == 0:
            _restore()


def _replace() -> None:
    for package, methods in METHODS.items():
        for owner in optimizer_classes(package):
            for name in methods:
                original = vars(owner).get(name)
                if callable(original):
                    replacement = _forwarding(name, original)
                    setattr(owner, name, replacement)
                    _replaced.append((owner, name, original, replacement))


def _restore() -> None:
    while _replaced:
        owner, name, original, replacement = _replaced.pop()
        if vars(owner).get(name) is replacement:  # else somebody wrapped ours, and holds it
            setattr(owner, name, original)


def _forwarding(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    def forwarding(optimizer: Optimizer, *args: Any, **kwargs: Any) -> Any:
        return _forward(
            name, original, tf.__internal__.autograph.control_status_ctx(), optimizer, args, kwargs
        )

    # AutoGraph decides by the module whether to convert a function: let it decide as for the original.
    forwarding.__name__, forwarding.__module__ = name, original.__module__
    return forwarding


@tf.autograph.experimental.do_not_convert
def _forward(
    name: str, original: Callable[..., Any], conversion: Any, optimizer: Optimizer, args: Any, kwargs: Any
) -> Any:
    call = as_converted(original, conversion)
    handler = _capturing.handler
    if handler is None:
        return call(optimizer, *args, **kwargs)
    _capturing.handler = None
    try:
        return handler(name, call, optimizer, *args, **kwargs)
    finally:
        _capturing.handler = handler


def as_converted(function: Callable[..., Any], conversion: Any) -> Callable[..., Any]:
    """Convert a user's function by AutoGraph exactly where its caller would have.

    Args:
        function: The function.
        conversion: `control_status_ctx()` as it was in the caller of the replacement.
    """
    converted: Callable[..., Any] = tf.__internal__.autograph.tf_convert(
        function, conversion, convert_by_default=False
    )
    return converted
