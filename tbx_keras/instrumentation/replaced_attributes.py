"""Replacement of attributes for the time of a block, past the `__setattr__` of Keras."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_MISSING = object()


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


def set_past_keras(owner: Any, name: str, value: Any) -> None:
    """Set an attribute past `__setattr__`, which tracks and may refuse."""
    vars(owner)[name] = value


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
