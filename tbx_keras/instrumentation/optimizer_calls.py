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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeAlias

from tbx_keras.framework_types import Optimizer

Methods: TypeAlias = Mapping[str, Sequence[str]]  # by package, `keras` or `tf_keras`
Replacing: TypeAlias = Callable[[str, Callable[..., Any]], Callable[..., Any]]  # from a method and its name


class Handler(Protocol):
    """Receives an intercepted update; has to make the call itself."""

    def __call__(
        self, method: str, call: Callable[..., Any], optimizer: Optimizer, *args: Any, **kwargs: Any
    ) -> Any:
        """Handle `optimizer.<method>(*args, **kwargs)`; `call` is the original, unbound."""


class _Capturing(threading.local):
    handler: Handler | None = None


class OptimizerCalls:
    """Calls of the update methods of all loaded optimizer classes.

    Args:
        methods: Names of the methods, outermost first.
        forwarding: Makes a replacement, which has to call `forward`; None for a plain one.
    """

    def __init__(
        self,
        methods: Methods,
        forwarding: Callable[[str, Callable[..., Any]], Callable[..., Any]] | None = None,
    ) -> None:
        self._methods, self._forwarding = methods, forwarding or self._plain
        self._capturing = _Capturing()
        self._lock = threading.Lock()
        self._captures = 0
        self._replaced: list[tuple[type, str, Any, Any]] = []  # class, method, original, replacement

    @contextmanager
    def intercepted(self, handler: Handler) -> Iterator[None]:
        """Send the updates that this thread makes in the block through `handler`.

        Args:
            handler: Called in place of the outermost update method; what it calls is not intercepted again.
        """
        before = self._capturing.handler
        self._begin()
        self._capturing.handler = handler
        try:
            yield
        finally:
            self._capturing.handler = before
            self._end()

    def forward(
        self, name: str, call: Callable[..., Any], optimizer: Optimizer, args: Any, kwargs: Any
    ) -> Any:
        """Send a call to the handler of this thread, or make it.

        Args:
            name: Name of the method.
            call: The original method, unbound.
            optimizer: The optimizer.
            args: Its positional arguments.
            kwargs: Its named arguments.
        """
        handler = self._capturing.handler
        if handler is None:
            return call(optimizer, *args, **kwargs)
        self._capturing.handler = None
        try:
            return handler(name, call, optimizer, *args, **kwargs)
        finally:
            self._capturing.handler = handler

    def _plain(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def forwarding(optimizer: Optimizer, *args: Any, **kwargs: Any) -> Any:
            return self.forward(name, original, optimizer, args, kwargs)

        return forwarding

    def _begin(self) -> None:
        with self._lock:
            self._captures += 1
            if self._captures == 1:
                self._replace()

    def _end(self) -> None:
        with self._lock:
            self._captures -= 1
            if self._captures == 0:
                self._restore()

    def _replace(self) -> None:
        for package, methods in self._methods.items():
            for owner in optimizer_classes(package):
                for name in methods:
                    original = vars(owner).get(name)
                    if callable(original):
                        replacement = self._forwarding(name, original)
                        setattr(owner, name, replacement)
                        self._replaced.append((owner, name, original, replacement))

    def _restore(self) -> None:
        while self._replaced:
            owner, name, original, replacement = self._replaced.pop()
            if vars(owner).get(name) is replacement:  # else somebody wrapped ours, and holds it
                setattr(owner, name, original)


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
