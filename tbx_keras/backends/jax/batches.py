"""Batches that can be handed out once more, after a step that failed before it changed anything."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from tbx_keras.framework_types import Batch, Batches


class KeptBatches(Iterator[Batch]):
    """Hands out the batches of an iterator and keeps those of one execution.

    Args:
        iterator: The batches.
    """

    def __init__(self, iterator: Batches) -> None:
        self._iterator = iterator
        self._kept: list[Batch] = []
        self.failed = False  # by an error of the data, or at its end

    def __next__(self) -> Batch:
        try:
            batch = next(self._iterator)
        except BaseException:
            self.failed = True
            raise
        self._kept.append(batch)
        return batch

    def again(self) -> Batches:
        """Iterate from the first batch that was handed out."""
        return itertools.chain(self._kept, self._iterator)
