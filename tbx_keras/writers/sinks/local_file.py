"""Event file of one run on a disk: appends whole records, or nothing.

Guarantees: opened at the first write and never by a name that exists. A write that fails half-way is cut
back to the last whole record, or else the file is left and a new one begun, so that a torn record never
stands before a good one. Records that could not be written are kept for the next try, within a bound.
Not thread-safe: used by the writer's one thread.
"""

from __future__ import annotations

import os
import time

from tbx_keras.writers.records import frame
from tbx_keras.writers.sinks.base import Sink

_FLAGS = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | getattr(os, "O_BINARY", 0)


class LocalFile(Sink):
    """Event file of one run directory.

    Args:
        directory: Directory of the run; made when the first record is written.
        suffix: Added to the name of the file.
        of_logger: Whether a logger writes it.
    """

    def __init__(self, directory: str, suffix: str = "", of_logger: bool = True) -> None:
        super().__init__(directory, suffix, of_logger)
        self._descriptor: int | None = None
        self._size = 0

    def flush(self, force: bool = False) -> tuple[int, int]:
        """Hand all waiting records to the operating system.

        Args:
            force: Of no matter here: a disk takes everything at once.

        Returns:
            Values and bytes written.

        Raises:
            OSError: Nothing was written; the records still wait.
        """
        if not self._buffered:
            return 0, 0
        self._leave_if_removed()
        if self._descriptor is None:
            self._open()
        done = self.buffered_values, self.buffered_bytes
        self._write(b"".join(self._buffered))
        self.drop()
        return done

    def close(self) -> None:
        """Close the file; the next flush begins another one."""
        super().close()
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _open(self) -> None:
        os.makedirs(self._directory, exist_ok=True)
        name = self._next_name()
        self._descriptor, self._size = os.open(os.path.join(self._directory, name), _FLAGS, 0o666), 0
        self._began(name)
        self._write(frame(file_version()))

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]  # type: ignore[arg-type]
        except OSError:
            self._cut_back()
            raise
        self._size += len(data)

    def _cut_back(self) -> None:
        try:
            os.ftruncate(self._descriptor, self._size)  # type: ignore[arg-type]
        except OSError:
            self._abandon()

    def _abandon(self) -> None:
        try:
            self.close()
        except OSError:
            self._descriptor = None  # the descriptor is gone either way

    def _leave_if_removed(self) -> None:
        """Begin a new file where this one was removed: writes to it would succeed and be lost."""
        if self._descriptor is None:
            return
        try:
            removed = os.fstat(self._descriptor).st_nlink == 0
        except OSError:  # somebody closed the descriptor
            self._descriptor, removed = None, False
        if removed:
            self.close()


def file_version() -> bytes:
    """Make the event that every event file begins with."""
    from tensorboardX.proto.event_pb2 import Event

    return Event(wall_time=time.time(), file_version="brain.Event:2").SerializeToString()
