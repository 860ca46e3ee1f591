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
from collections.abc import Iterator, Sequence
from typing import Protocol

import tensorflow as tf

from tbx_keras.framework_types import Strategy
from tbx_keras.instrumentation.replaced_attributes import replaced


class Keys(Protocol):
    """Keys of the collectives of a strategy: TensorFlow numbers them in the order of their use."""

    def __init__(self, group_key_start: int) -> None: ...

    def get_group_key(self, devices: Sequence[str]) -> int:
        """Get the number of a group of devices."""


class Launcher(Protocol):
    """Launcher of the collectives of one device; private to TensorFlow."""

    _device: str
    _group_key: int
    _collective_keys: Keys


_numbers = itertools.count(1_000_000)  # of groups: far from those of TensorFlow, which begin at 1
_groups: weakref.WeakKeyDictionary[Strategy, tuple[int, Keys]] = weakref.WeakKeyDictionary()


@contextlib.contextmanager
def numbered_apart(strategy: Strategy) -> Iterator[None]:
    """Number the collectives of the steps in a block apart.

    Args:
        strategy: A strategy, or None.
    """
    launchers = _launchers(strategy)
    if launchers and strategy.extended not in _groups:
        _groups[strategy.extended] = _new_group(launchers)
    with contextlib.ExitStack() as stack:
        for launcher in launchers:
            for name, value in zip(("_group_key", "_collective_keys"), _groups[strategy.extended]):
                stack.enter_context(replaced(launcher, name, value))
        yield


def _launchers(strategy: Strategy) -> list[Launcher]:
    """List the launchers of a strategy; none where it has no collectives."""
    if not isinstance(strategy, tf.distribute.MirroredStrategy):
        return []
    return list(getattr(getattr(strategy.extended, "_collective_ops", None), "_launchers", ()))


def _new_group(launchers: Sequence[Launcher]) -> tuple[int, Keys]:
    keys = type(launchers[0]._collective_keys)(group_key_start=next(_numbers))
    return keys.get_group_key([one._device for one in launchers]), keys
