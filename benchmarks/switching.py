"""Callbacks that take turns within one `fit`, block by block of steps.

A machine that others use as well is now fast, now slow, for seconds at a time: blocks of a fraction of a
second that follow each other are slowed alike, whole `fit` calls are not.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import keras


class Switching(keras.callbacks.CallbackList):
    """Several lists of callbacks, of which one at a time hears of the steps.

    Args:
        model: A compiled Keras 3 model.
        ways: A list of callbacks for each way.
        rounds: Blocks of each way.
        block: Steps of a block.
    """

    def __init__(self, model: Any, ways: dict[str, list[Any]], rounds: int, block: int) -> None:
        super().__init__()
        self._block = block
        steps = block * rounds * len(ways)
        self.lists = {
            name: keras.callbacks.CallbackList(
                callbacks, add_history=True, model=model, verbose=0, epochs=1, steps=steps
            )
            for name, callbacks in ways.items()
        }
        shuffle = random.Random(0)
        self._order = [name for _ in range(rounds) for name in shuffle.sample(list(ways), len(ways))]
        self.steps, self.taken = steps, {name: list[float]() for name in ways}
        self._current = self.lists[self._order[0]]
        self._began = 0.0

    def _all(self, hook: str, *arguments: Any) -> None:
        for one in self.lists.values():
            getattr(one, hook)(*arguments)

    def on_train_begin(self, logs: Any = None) -> None:
        self._all("on_train_begin", logs)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._all("on_epoch_begin", epoch, logs)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        block, step = divmod(batch, self._block)
        if step == 0:
            self._end_block(block - 1)
            self._current = self.lists[self._order[block]]
            self._began = time.perf_counter()
        self._current.on_train_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._current.on_train_batch_end(batch, logs)

    def _end_block(self, block: int) -> None:
        """Finish what a block has begun, which is part of it and of no other one."""
        if block < 0:
            return
        self._current._flush_futures()
        for callback in self._current.callbacks:
            getattr(callback, "flush", lambda: None)()
        self.taken[self._order[block]].append(time.perf_counter() - self._began)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._end_block(len(self._order) - 1)
        self._all("on_epoch_end", epoch, logs)

    def on_train_end(self, logs: Any = None) -> None:
        self._all("on_train_end", logs)


def blocks(
    model: Any, ways: dict[str, list[Any]], data: Callable[[int], Any], rounds: int, block: int
) -> dict[str, list[float]]:
    """Seconds a step in each block of each way, after some rounds to warm up.

    Args:
        model: A compiled Keras 3 model.
        ways: A list of callbacks for each way.
        data: From a number of steps to a dataset of so many batches.
        rounds: Blocks of each way that count.
        block: Steps of a block.
    """
    warm = 2 + rounds // 20
    switching = Switching(model, ways, rounds + warm, block)
    # On JAX a step begins before it is known whether a generator has data for it.
    model.fit(data(switching.steps), steps_per_epoch=switching.steps, verbose=0, callbacks=switching)
    return {name: [one / block for one in taken[warm:]] for name, taken in switching.taken.items()}
