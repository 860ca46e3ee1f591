"""`AsyncEventWriter`: writes all runs of a log directory from one thread.

Guarantees
- Calls never raise and never wait for the disk; `flush` and `close` wait no longer than their timeout,
  `restart` and `recorded` 1 s for other writers of this process in the same directory.
- Values of a run reach its file in the order in which they were put.
- What was put is handed to the operating system within about 0.1 s, or when `flush` returns True. A killed
  process loses nothing that was handed over.
- An error of the disk is reported once; the records wait (32 MiB a run at most) and are tried again, at first
  after 0.1 s, later every 5 s. Meanwhile droppable values are turned away once the queue is full,
  newest first, and counted; others are always taken.
- The thread starts with the first value, and ends with `close`; a later value starts it again. After a
  fork, the child begins with an empty queue and files of its own.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tbx_keras.errors import LONGEST, LogDirError
from tbx_keras.memory import OBJECT_BYTES
from tbx_keras.storage import is_remote
from tbx_keras.values import Deferred, RecordBatch
from tbx_keras.warning_location import Caller
from tbx_keras.writers import shutdown
from tbx_keras.writers.directories import create_probe, make_next, numbered
from tbx_keras.writers.names import event_file_name, named_here, run_directory
from tbx_keras.writers.projector import LabelFiles
from tbx_keras.writers.purge import Restart, event_files, numbers, runs_below, session_start
from tbx_keras.writers.queue import BoundedQueue
from tbx_keras.writers.run_sinks import Queued
from tbx_keras.writers.sinks.base import begun
from tbx_keras.writers.sinks.object_store import check_remote
from tbx_keras.writers.writer_thread import WriterThread

MAX_QUEUE = 20_000
MAX_QUEUE_BYTES = 1 << 28
TIMEOUT = 10.0  # seconds
OTHERS_TIMEOUT = 1.0  # seconds


@dataclass(frozen=True)
class Counts:
    """Counts of values so far.

    Args:
        written: Values handed to the operating system.
        dropped: Values lost, to a full queue or a fault.
        bytes: Bytes written.
        errors: Errors met, each a failed try or a value that could not be encoded.
    """

    written: int
    dropped: int
    bytes: int
    errors: int


class AsyncEventWriter:
    """Writes values of several runs below one log directory, from one thread.

    Args:
        log_dir: The log directory; made with the first value.
        max_queue: Items that may wait for the thread.
        suffix: Added to the names of event files.

    Example:
    ```python
    from tbx_keras.values import RecordBatch, Scalar
    from tbx_keras.writers import AsyncEventWriter

    writer = AsyncEventWriter("logs/by_hand")
    writer.submit(RecordBatch("train", "step", 1, [Scalar("loss", 0.5)]))
    writer.close()
    ```
    """

    def __init__(
        self, log_dir: str | os.PathLike[str], *, max_queue: int = MAX_QUEUE, suffix: str = ""
    ) -> None:
        self.log_dir = self.first_dir = os.fspath(log_dir)
        self._made = time.time()
        self._max_queue, self._suffix = max_queue, suffix
        self.caller = Caller()
        self._closing = threading.Lock()
        self._threads: list[WriterThread] = []
        self._begin()
        shutdown.register_writer(self)

    def _begin(self) -> None:
        self._queue: BoundedQueue[Queued] = BoundedQueue(self._max_queue, MAX_QUEUE_BYTES)
        self._thread = WriterThread(self.log_dir, self._queue, self._suffix, self.first_dir, self.caller)
        self._threads.append(self._thread)
        weakref.finalize(self, self._thread.end).atexit = False

    def submit(self, batch: RecordBatch) -> None:
        """Put the values of one step."""
        values = batch.values
        if isinstance(values, Deferred):
            size, count = values.nbytes, 1
        else:
            values = list(values)
            size, count = sum(map(_size, values)), len(values)
        if count:
            if batch.wall_time is None or values is not batch.values:
                when = time.time() if batch.wall_time is None else batch.wall_time
                batch = RecordBatch(batch.run, batch.axis, batch.step, values, batch.droppable, when)
            self._put(batch, OBJECT_BYTES + size, batch.droppable, count)

    def _keep(self, run: str, step: int, values: Iterable[Any]) -> None:
        self.submit(RecordBatch(run, None, step, list(values), droppable=False))

    def scalar(self, run: str, tag: str, value: float, step: int, wall_time: float | None = None) -> None:
        """Put one number into the queue, the fast way."""
        when = time.time() if wall_time is None else wall_time
        self._put((run, step, when, tag, value), OBJECT_BYTES + sys.getsizeof(tag), True, 1)

    def _put(self, item: Queued, size: int, droppable: bool, values: int) -> None:
        if self._queue.put(item, size, droppable, values):
            self._thread.wake()
        else:
            self._thread.sinks.turned_away()

    def purge(self, run: str, step: int) -> None:
        """Make TensorBoard hide what was recorded for `step` and later before this moment."""
        self._keep(run, step, session_start(step))

    def check_labels(self, run: str, names: Iterable[str]) -> None:
        """Warn, from the writer's thread, of files of labels for embeddings that do not exist."""
        self._keep(run, 0, [LabelFiles(tuple(names))])

    def restart(self, runs: Iterable[str], step: int, epoch: int) -> None:
        """Make TensorBoard hide what a resumed training will repeat, and nothing else; see `purge`.

        Args:
            runs: Runs that are resumed, with all below them.
            step: Last step that stays.
            epoch: First epoch that is repeated.
        """
        deadline = time.monotonic() + OTHERS_TIMEOUT
        others = self._flush_others(deadline)
        # TensorBoard hides what it read before, file by file: what others write from now on comes after.
        restart = Restart(step, epoch, event_file_name(self._suffix))
        for writer in others:
            writer._thread.begin_files()
        self._flush_others(deadline)
        for run in runs_below(self.log_dir, runs):
            self._keep(run, step, [restart])

    def recorded(self, run: str, tag: str) -> dict[int, float]:
        """Read the scalars of one series by step, as they were recorded so far."""
        self._flush_others(time.monotonic() + OTHERS_TIMEOUT)
        return numbers(self.log_dir, run, tag)

    def _flush_others(self, deadline: float) -> list[AsyncEventWriter]:
        """Flush the values of a `fit` that was broken off in this process, so that they can be read."""
        others = [
            one
            for one in shutdown.open_writers()
            if isinstance(one, AsyncEventWriter) and one is not self and _is_below(one.log_dir, self.log_dir)
        ]
        for writer in others:
            writer.flush(max(0.0, deadline - time.monotonic()))
        return others

    def was_used(self, runs: Iterable[str]) -> bool:
        """Check whether an earlier training recorded in one of some runs: of another logger or process."""
        mine = {name for thread in self._threads for name in thread.sinks.file_names}
        directories = [run_directory(self.log_dir, run) for run in runs]
        names = [os.path.basename(path) for one in directories for path in event_files(one)]
        return any(self._is_foreign(name, mine) for name in names)

    def _is_foreign(self, name: str, mine: set[str]) -> bool:
        if name in begun:  # else not of this package, or not of this process
            return begun[name] and name not in mine
        return not named_here(name, self._made)

    def move_to_next(self) -> None:
        """Write what comes from now on into a new directory of a further run below the log directory.

        Raises:
            OSError: It cannot be made.
        """
        self._move(make_next(self.log_dir))

    def move_to_newest(self, runs: Iterable[str]) -> None:
        """Write what comes from now on into the newest directory below that holds some of `runs`."""
        for directory in reversed(numbered(self.log_dir).values()):
            if any(event_files(run_directory(directory, run)) for run in runs):
                self._move(directory)
                return

    def _move(self, log_dir: str) -> None:
        self._thread.end()  # what was put before stays where it was
        self.log_dir = log_dir
        self._begin()

    def flush(self, timeout: float = TIMEOUT) -> bool:
        """Hand everything put so far to the operating system.

        Args:
            timeout: Seconds to wait at the most.

        Returns:
            Whether all of it got there.
        """
        complete = [thread.flush(timeout) for thread in self._threads]
        return all(complete)

    def close(self, timeout: float = TIMEOUT) -> bool:
        """Flush, close the files and end the thread; what cannot be written by then is dropped.

        Returns:
            Whether everything was written.
        """
        with self._closing:
            complete = [thread.stop(timeout) for thread in self._threads]
        return all(complete)

    @property
    def counts(self) -> Counts:
        """Counts of values so far."""
        threads = self._threads
        return Counts(
            written=sum(thread.sinks.written for thread in threads),
            dropped=sum(thread.dropped for thread in threads),
            bytes=sum(thread.sinks.bytes for thread in threads),
            errors=sum(thread.sinks.errors for thread in threads),
        )

    def check(self, runs: Iterable[str] = ()) -> None:
        """Check that the log directory can be written.

        Args:
            runs: Runs that will be recorded; where their directories exist, those have to take files too.

        Raises:
            LogDirError: It is a file, cannot be made, or takes no file.
            MissingDependencyError: It is a URL, and a package for it is missing.
        """
        if is_remote(self.log_dir):
            check_remote(self.log_dir)
            return
        places = [run_directory(self.log_dir, run) for run in runs]
        try:
            os.makedirs(self.log_dir, exist_ok=True)
            for place in (self.log_dir, *filter(os.path.lexists, places)):
                create_probe(place)
        except (OSError, ValueError, RecursionError) as error:
            # ValueError: a name that the encoding of file names has not; RecursionError: thousands of levels.
            reason = getattr(error, "strerror", None) or error
            raise LogDirError(
                f"`log_dir` cannot be written. Received: log_dir={self.log_dir[:LONGEST]!r} ({reason}). "
                "Pass a directory that this user may create files in."
            ) from error

    def after_fork(self) -> None:
        """Leave the parent's thread, files and queue to the parent, in a child process."""
        self._closing = threading.Lock()
        self._threads = []
        self._begin()


def _is_below(log_dir: str, top: str) -> bool:
    """Check that a log directory is `top` or lies in it."""
    if is_remote(top) or is_remote(log_dir):
        return f"{log_dir}/".startswith(f"{top.rstrip('/')}/")
    return os.path.join(os.path.realpath(log_dir), "").startswith(os.path.join(os.path.realpath(top), ""))


def _size(value: Any) -> int:
    """Estimate the bytes that a value, a serialized event or a proto keeps alive."""
    known = getattr(value, "nbytes", None)
    if isinstance(known, (int, np.integer)):
        return int(known)
    return value.ByteSize() + OBJECT_BYTES if hasattr(value, "ByteSize") else sys.getsizeof(value)
