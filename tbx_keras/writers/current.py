"""The current writer, set by `writer.as_default()`.

Guarantees: nested blocks restore what was before; each thread and each asyncio task has its own current
writer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_current: ContextVar[tuple[Any, Any]] = ContextVar("tbx_keras_current_writer", default=(None, None))


def current() -> tuple[Any, Any]:
    """The current writer and the step given to `as_default`; None where there is none."""
    return _current.get()


@contextmanager
def as_current(writer: Any, step: Any) -> Iterator[Any]:
    """Make `writer` the current one for the time of a block."""
    token = _current.set((writer, step))
    try:
        yield writer
    finally:
        _current.reset(token)
