"""Bounded queue that never blocks the side that puts.

Guarantees: `put` takes a lock for a moment and nothing else. When the queue is full, droppable items are
turned away, the newest first; other items are always taken. What was turned away is counted. The
bytes of an item count from `put` until the `take` after the one that returned it: while it is handled.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class BoundedQueue(Generic[Item]):
    """First in, first out, with a bound on items and on bytes.

    Args:
        max_items: Droppable items are turned away from this length on.
        max_bytes: Likewise, by the sizes given to `put`.
    """

    def __init__(self, max_items: int, max_bytes: int) -> None:
        self._max_items, self._max_bytes = max_items, max_bytes
        self._items: deque[tuple[int, Item]] = deque()
        self._bytes = self._taken_bytes = 0
        self._lock = threading.Lock()
        self.put_count = 0
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: Item, size: int = 0, droppable: bool = True, values: int = 1) -> bool:
        """Add an item, or count its values as dropped.

        Args:
            item: The item.
            size: Bytes that it keeps alive.
            droppable: Whether it may be turned away.
            values: Values in it, for the count.

        Returns:
            Whether it was added.
        """
        with self._lock:
            too_many = self._bytes and self._bytes + size > self._max_bytes  # one that is larger goes alone
            if droppable and (len(self._items) >= self._max_items or too_many):
                self.dropped += values
                return False
            self._items.append((size, item))
            self._bytes += size
            self.put_count += 1
            return True

    def take(self, most: int, most_bytes: int = sys.maxsize) -> list[Item]:
        """Remove and return the oldest items: `most` of them, or fewer where these reach `most_bytes`."""
        items: list[Item] = []
        with self._lock:
            self._release()
            while self._items and len(items) < most and self._taken_bytes < most_bytes:
                size, item = self._items.popleft()
                self._taken_bytes += size
                items.append(item)
        return items

    def release(self) -> None:
        """Free the bytes of the items taken last."""
        with self._lock:
            self._release()

    def _release(self) -> None:
        self._bytes -= self._taken_bytes
        self._taken_bytes = 0

    def clear(self) -> list[Item]:
        """Remove and return everything."""
        items = self.take(len(self._items))
        self.release()
        return items
