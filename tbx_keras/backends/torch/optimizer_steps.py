"""Steps of `torch.optim` optimizers, before and after, by the hooks that PyTorch has for all of them.

An optimizer that is given a closure computes the gradients in it, once or several times; those of its first
call are the gradients of the step.

Guarantees: handlers get the steps that their own thread makes in the block, and nothing else; the hooks are
gone when the last block ends. A handler must not raise.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeAlias

from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from tbx_keras.framework_types import Optimizer

Arguments: TypeAlias = tuple[tuple[Any, ...], dict[str, Any]]


class StepHandler(Protocol):
    """Sees the steps of optimizers."""

    def before(self, optimizer: Optimizer) -> None:
        """See an optimizer that is about to change its parameters."""

    def with_gradients(self, optimizer: Optimizer) -> None:
        """See it when its parameters have the gradients of the step."""

    def after(self, optimizer: Optimizer) -> None:
        """See it after that."""


@contextmanager
def observed(handler: StepHandler) -> Iterator[None]:
    """Show the steps of the block to a handler."""
    thread = threading.get_ident()

    def before(optimizer: Optimizer, args: Any, kwargs: Any) -> Arguments | None:
        if threading.get_ident() != thread:
            return None
        handler.before(optimizer)
        return _observing(args, kwargs, functools.partial(handler.with_gradients, optimizer))

    def after(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if threading.get_ident() == thread:
            handler.after(optimizer)

    before, after = _not_compiled(before), _not_compiled(after)
    handles = register_optimizer_step_pre_hook(before), register_optimizer_step_post_hook(after)
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _not_compiled(hook: Callable[..., Any]) -> Callable[..., Any]:
    """Keep a hook out of an optimizer step that the user compiles; the compiler is not imported for it."""
    compiler = sys.modules.get("torch._dynamo")
    return hook if compiler is None else compiler.disable(hook)


def _observing(args: tuple[Any, ...], kwargs: dict[str, Any], then: Callable[[], None]) -> Arguments | None:
    """Call `then` now, or of a step with a closure after its first call: get the arguments for that."""
    optimizer, *more = args
    if more and callable(more[0]):
        return (optimizer, _calling(more[0], then), *more[1:]), kwargs
    if callable(kwargs.get("closure")):
        return args, {**kwargs, "closure": _calling(kwargs["closure"], then)}
    then()
    return None


def _calling(closure: Callable[..., Any], then: Callable[[], None]) -> Callable[..., Any]:
    is_first = True

    @functools.wraps(closure)
    def called(*args: Any, **kwargs: Any) -> Any:
        nonlocal is_first
        result = closure(*args, **kwargs)
        if is_first:
            is_first = False
            then()
        return result

    return called
