"""Batches that can be handed out once more, after a step that failed before it changed anything."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from tbx_keras.framework_types import Batch, Batches


class KeptBatches(Iterator[Batch]):
    """Hands out the batches of an iterator and keeps those of one execution.

    Args:
        batches: An iterator; a list in older versions of Keras (before 3.7), handed out again as it is.
    """

    def __init__(self, batches: Batches | list[Batch]) -> None:
        self._given = batches
        self._iterator = iter(batches)
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

    @property
    def argument(self) -> Batches | list[Batch]:
        """The argument of the train function: of the kind that was given."""
        return self._given if isinstance(self._given, list) else self

    def again(self) -> Batches | list[Batch]:
        """Iterate from the first batch that was handed out."""
        return self._given if isinstance(self._given, list) else itertools.chain(self._kept, self._iterator)
