"""Records that wait to be written.

Guarantees: what is appended stays, in order, until it is taken back by `discard` or was written whole.
"""

from __future__ import annotations

from tbx_keras.writers.records import frame

MAX_PENDING_BYTES = 1 << 25  # 32 MiB wait for a disk that does not take them


class PendingRecords:
    """What the event file of one run has yet to write.

    Args:
        directory: Directory or URL of the run.
        suffix: Added to the name of the file.
    """

    def __init__(self, directory: str, suffix: str = "") -> None:
        self._directory, self._suffix = directory, suffix
        self._pending: list[bytes] = []
        self.pending_bytes = 0
        self.pending_values = 0

    @property
    def full(self) -> bool:
        """Whether no more may wait than already does."""
        return self.pending_bytes >= MAX_PENDING_BYTES

    def append(self, event: bytes, values: int = 1) -> None:
        """Take a serialized event with so many values; nothing is written before `push`."""
        record = frame(event)
        self._pending.append(record)
        self.pending_bytes += len(record)
        self.pending_values += values

    def discard(self) -> int:
        """Give up what waits; returns the number of values."""
        lost = self.pending_values
        self._pending, self.pending_bytes, self.pending_values = [], 0, 0
        return lost
