"""Collectives of instrumented steps, numbered apart from those of other steps.

TensorFlow numbers the collectives of every strategy of a process from the same number on, and ends a `fit`
where two of one number differ in shape or dtype. An instrumented step has more of them than the step that it
stands for, so a training under a second strategy, with a logger or without, would meet other ones.

Guarantees: outside the block the numbers are those of a process without a logger. Strategies over several
processes are left alone, since all of them have to number alike.
"""

from __future__ import annotations

import contextlib
import itertools
import weakref
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from tbx_keras.instrumentation.replaced_attributes import replaced

_numbers = itertools.count(1_000_000)  # of groups: far from those of TensorFlow, which begin at 1
_groups: weakref.WeakKeyDictionary[Any, tuple[int, Any]] = weakref.WeakKeyDictionary()


@contextlib.contextmanager
def numbered_apart(strategy: Any) -> Iterator[None]:
    """Number the collectives of the steps in a block apart.

    Args:
        strategy: A strategy, or None.
    """
    with contextlib.ExitStack() as stack:
        for launcher in _launchers(strategy):
            group, keys = _group(launcher, strategy)
            stack.enter_context(replaced(launcher, "_group_key", group))
            stack.enter_context(replaced(launcher, "_collective_keys", keys))
        yield


def _launchers(strategy: Any) -> list[Any]:
    """List what starts the collectives of each device; none where a strategy has no collectives."""
    if not isinstance(strategy, tf.distribute.MirroredStrategy):
        return []
    return list(getattr(getattr(strategy.extended, "_collective_ops", None), "_launchers", ()))


def _group(launcher: Any, strategy: Any) -> tuple[int, Any]:
    if strategy.extended not in _groups:
        keys = type(launcher._collective_keys)(group_key_start=next(_numbers))
        devices = [one._device for one in _launchers(strategy)]
        _groups[strategy.extended] = keys.get_group_key(devices), keys
    return _groups[strategy.extended]
