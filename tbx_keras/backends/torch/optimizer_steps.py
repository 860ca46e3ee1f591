"""Steps of `torch.optim` optimizers, before and after, by the hooks that PyTorch has for all of them.

Guarantees: handlers get the steps that their own thread makes in the block, and nothing else; the hooks are
gone when the last block ends. A handler must not raise.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from tbx_keras.framework_types import Optimizer


class StepHandler(Protocol):
    """Sees the steps of optimizers."""

    def before(self, optimizer: Optimizer) -> None:
        """See an optimizer that is about to change its parameters."""

    def after(self, optimizer: Optimizer) -> None:
        """See it after that."""


@contextmanager
def observed(handler: StepHandler) -> Iterator[None]:
    """Show the steps of the block to a handler."""
    thread = threading.get_ident()

    def before(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if threading.get_ident() == thread:
            handler.before(optimizer)

    def after(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if threading.get_ident() == thread:
            handler.after(optimizer)

    handles = register_optimizer_step_pre_hook(before), register_optimizer_step_post_hook(after)
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
