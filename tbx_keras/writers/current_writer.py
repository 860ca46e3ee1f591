"""Current writer, set by `writer.as_default()`.

Guarantees: nested blocks restore what was before; each thread and each asyncio task has its own current
writer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol, TypeAlias, TypeVar

from tbx_keras.framework_types import ArrayLike
from tbx_keras.values import Value


class ValueWriter(Protocol):
    """Writes single values."""

    def put(self, value: Value, step: int, wall_time: float | None = None) -> None:
        """Write a value."""


Writer = TypeVar("Writer", bound=ValueWriter)
Current: TypeAlias = tuple[ValueWriter | None, ArrayLike]
_current: ContextVar[Current] = ContextVar("tbx_keras_current_writer", default=(None, None))


def current() -> Current:
    """Get the current writer and the step given to `as_default`; None where there is none."""
    return _current.get()


@contextmanager
def as_current(writer: Writer, step: ArrayLike) -> Iterator[Writer]:
    """Make `writer` the current one for the time of a block."""
    token = _current.set((writer, step))
    try:
        yield writer
    finally:
        _current.reset(token)
