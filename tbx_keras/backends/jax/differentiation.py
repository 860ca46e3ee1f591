"""Interception of `jax.value_and_grad` and `jax.grad`.

A training step differentiates its loss by one of them; gradients and loss leave it as their results, where
the tracers of the forward pass cannot.

Guarantees: functions that were made outside the block, by other threads or from another import
(`from jax import grad`) are not seen, nor is what a function that is differentiated differentiates itself.
The module is as it was when the last block ends.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax

NAMES = ("value_and_grad", "grad")


class Derivative(NamedTuple):
    """One call of a differentiated function.

    Args:
        function: The function that was differentiated.
        arguments: Its arguments that it was differentiated by.
        gradients: Gradients, in the structure of `arguments`.
        value: Value of the function; None of `jax.grad`.
        aux: What it returned beside, with `has_aux=True`.
    """

    function: Callable[..., Any]
    arguments: Any
    gradients: Any
    value: Any = None
    aux: Any = None


class _Handling(threading.local):
    handler: Callable[[Derivative], None] | None = None


_handling = _Handling()
_lock = threading.Lock()
_blocks = 0
_originals: dict[str, Callable[..., Any]] = {}


@contextmanager
def intercepted(handler: Callable[[Derivative], None]) -> Iterator[None]:
    """Hand the derivatives that this thread computes in the block to `handler`, which must not raise."""
    before = _handling.handler
    _begin()
    _handling.handler = handler
    try:
        yield
    finally:
        _handling.handler = before
        _end()


def _begin() -> None:
    global _blocks  # noqa: PLW0603  # a count of the process: the module belongs to all threads
    with _lock:
        _blocks += 1
        if _blocks == 1:
            for name in NAMES:
                _originals[name] = getattr(jax, name)
                setattr(jax, name, _replacement(name, _originals[name]))


def _end() -> None:
    global _blocks  # noqa: PLW0603
    with _lock:
        _blocks -= 1
        if _blocks == 0:
            for name in NAMES:
                setattr(jax, name, _originals[name])


def _replacement(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def replacement(fun: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        inner, handler = original(fun, *args, **kwargs), _handling.handler
        if handler is None:
            return inner
        argnums = args[0] if args else kwargs.get("argnums", 0)
        has_aux = args[1] if len(args) > 1 else kwargs.get("has_aux", False)

        @functools.wraps(inner)
        def call(*args: Any, **kwargs: Any) -> Any:
            _handling.handler = None
            try:
                result = inner(*args, **kwargs)
            finally:
                _handling.handler = handler
            handler(_derivative(name, fun, _selected(args, argnums), has_aux, result))
            return result

        return call

    return replacement


def _selected(args: tuple[Any, ...], argnums: int | tuple[int, ...]) -> Any:
    if isinstance(argnums, int):
        return args[argnums] if argnums < len(args) else None
    return tuple(args[number] for number in argnums)


def _derivative(
    name: str, function: Callable[..., Any], arguments: Any, has_aux: bool, result: Any
) -> Derivative:
    if name == "grad":
        gradients, aux = result if has_aux else (result, None)
        return Derivative(function, arguments, gradients, aux=aux)
    value, gradients = result
    value, aux = value if has_aux else (value, None)
    return Derivative(function, arguments, gradients, value, aux)
