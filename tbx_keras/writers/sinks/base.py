"""The interface of a sink, and the records that wait in it.

Guarantees: what is appended stays, in order, until it is taken back by `drop` or was written whole.
"""

from __future__ import annotations

from typing import Any

from tbx_keras.writers.names import event_file_name
from tbx_keras.writers.records import frame

MAX_BUFFERED_BYTES = 1 << 25  # 32 MiB wait for a disk that does not take them
begun: dict[str, bool] = {}  # names of the event files of this process; whether a logger writes them


class Sink:
    """Takes the records of one run; a subclass says where `flush` writes them.

    Args:
        directory: Directory or URL of the run.
        suffix: Added to the name of the file.
        of_logger: Whether a logger writes it, rather than a `SummaryWriter` for this one run.
    """

    def __init__(self, directory: str, suffix: str = "", of_logger: bool = True) -> None:
        self._directory, self._suffix, self._of_logger = directory, suffix, of_logger
        self._reserved = ""
        self.names: set[str] = set()  # of its files so far
        self.described: dict[Any, str] = {}  # clean tags by series whose axis the present file names
        self._buffered: list[bytes] = []
        self.buffered_bytes = 0
        self.buffered_values = 0

    @property
    def full(self) -> bool:
        """Check that no more may wait than already does."""
        return self.buffered_bytes >= MAX_BUFFERED_BYTES

    def append(self, event: bytes, values: int = 1) -> None:
        """Take a serialized event with so many values; nothing is written before `flush`."""
        record = frame(event)
        self._buffered.append(record)
        self.buffered_bytes += len(record)
        self.buffered_values += values

    def drop(self) -> int:
        """Drop all waiting records; return the number of their values."""
        lost = self.buffered_values
        self._buffered, self.buffered_bytes, self.buffered_values = [], 0, 0
        return lost

    def flush(self, force: bool = False) -> tuple[int, int]:
        """Write all waiting records, in their order.

        Args:
            force: Whether to write in any case, also where it is better to wait for more.

        Returns:
            Values and bytes written.

        Raises:
            OSError: Nothing was written; the records still wait.
        """
        raise NotImplementedError

    def begin(self, name: str) -> None:
        """Close the file; the next one takes a name that was given out before."""
        self.close()
        self._reserved = name

    def close(self) -> None:
        """Close the file; the next flush begins another one."""
        self.described.clear()

    def _next_name(self) -> str:
        return self._reserved or event_file_name(self._suffix)

    def _began(self, name: str) -> None:
        self._reserved = ""
        self.names.add(name)
        begun[name] = self._of_logger
