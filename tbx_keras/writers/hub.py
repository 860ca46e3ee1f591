"""`EventHub`: one thread that writes all runs of a log directory.

Guarantees
- Calls never raise and never wait for the disk; `flush` and `close` wait no longer than their timeout,
  `restart` and `recorded` 1 s for other writers of this process in the same directory.
- Values of a run reach its file in the order in which they were put.
- What was put is handed to the operating system within about 0.1 s, or when `flush` returns True. A killed
  process loses nothing that was handed over.
- An error of the disk is told once; the records wait (32 MiB a run at most) and are tried again, at first
  after 0.1 s, later every 5 s. Meanwhile values that may be dropped are turned away once the queue
  is full, newest first, and counted; values put with `keep=True` are always taken.
- The thread starts with the first value, and ends with `close`; a later value starts it again. After a
  fork, the child begins with an empty queue and files of its own.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from tbx_keras.errors import LogDirError
from tbx_keras.writers import lifetime
from tbx_keras.writers.history import Restart, numbers, runs_below, session_start
from tbx_keras.writers.queue import BoundedQueue
from tbx_keras.writers.remote import check_remote, is_remote
from tbx_keras.writers.worker import Worker

MAX_QUEUE = 20_000
MAX_QUEUE_BYTES = 1 << 28
TIMEOUT = 10.0  # seconds
OTHERS_TIMEOUT = 1.0  # seconds


@dataclass(frozen=True)
class Counts:
    """What became of the values so far.

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


class EventHub:
    """Writes values of several runs below one log directory, from one thread.

    Args:
        log_dir: The log directory; made with the first value.
        max_queue: Items that may wait for the thread.
        suffix: Added to the names of event files.

    Example:
    ```python
    from tbx_keras.values import Scalar
    from tbx_keras.writers import EventHub

    hub = EventHub("logs/by_hand")
    hub.write("train", 1, [Scalar("loss", 0.5)])
    hub.close()
    ```
    """

    def __init__(
        self, log_dir: str | os.PathLike[str], *, max_queue: int = MAX_QUEUE, suffix: str = ""
    ) -> None:
        self.log_dir = os.fspath(log_dir)
        self._max_queue, self._suffix = max_queue, suffix
        self._worker: Worker | None = None
        self._lock = threading.Lock()
        self._begin()
        lifetime.register_hub(self)

    def _begin(self) -> None:
        self._queue = BoundedQueue(self._max_queue, MAX_QUEUE_BYTES)
        self._worker = Worker(self.log_dir, self._queue, self._suffix)
        weakref.finalize(self, self._worker.end).atexit = False

    def write(
        self,
        run: str,
        step: int,
        values: Iterable[Any] | Callable[[], Iterable[Any]],
        *,
        wall_time: float | None = None,
        keep: bool = False,
    ) -> None:
        """Put values of one step.

        Args:
            run: Directory of the run below the log directory, such as `"train"`; `""` for itself.
            step: Step of the values.
            values: Values of `tbx_keras.values`, or a function that returns them, which is called on the
                writer's thread: there it may fetch from a device.
            wall_time: Seconds since 1970; now if None.
            keep: Never turn these away, even when the queue is full.
        """
        if not callable(values):
            values = list(values)
            if not values:
                return
        item = (run, step, time.time() if wall_time is None else wall_time, values)
        count = 1 if callable(values) else len(values)
        self._put(item, _size(values), keep, count)

    def scalar(self, run: str, tag: str, value: float, step: int, wall_time: float | None = None) -> None:
        """Put one number: the fast way."""
        self._put((run, step, time.time() if wall_time is None else wall_time, tag, value), 0, False, 1)

    def _put(self, item: tuple[Any, ...], size: int, keep: bool, values: int) -> None:
        if self._queue.put(item, size, keep, values):
            self._worker.wake()  # type: ignore[union-attr]

    def purge(self, run: str, step: int) -> None:
        """Make TensorBoard hide what was recorded for `step` and later before this moment."""
        self.write(run, step, session_start(step), keep=True)

    def restart(
        self, runs: Iterable[str], step: int, epoch: int, counts_epochs: Callable[[str], bool]
    ) -> None:
        """Make TensorBoard hide what a resumed training will repeat, and nothing else; see `history`.

        Args:
            runs: Runs that are resumed, with all below them.
            step: Last step that stays.
            epoch: First epoch that is repeated.
            counts_epochs: Whether the series of a tag counts epochs rather than steps.
        """
        self._flush_others()
        for run in runs_below(self.log_dir, runs):
            self.write(run, step, [Restart(step, epoch, counts_epochs)], keep=True)

    def recorded(self, run: str, tag: str) -> dict[int, float]:
        """The scalars of one series by step, as they were recorded so far."""
        self._flush_others()
        return numbers(self.log_dir, run, tag)

    def _flush_others(self) -> None:
        """Let the values of a `fit` that was broken off in this process get to where they can be read."""
        deadline = time.monotonic() + OTHERS_TIMEOUT
        for hub in lifetime.open_hubs():
            if hub is not self and _is_below(hub.log_dir, self.log_dir):
                hub.flush(max(0.0, deadline - time.monotonic()))

    def flush(self, timeout: float = TIMEOUT) -> bool:
        """Hand everything put so far to the operating system.

        Args:
            timeout: Seconds to wait at the most.

        Returns:
            Whether all of it got there.
        """
        return self._worker.flush(timeout)  # type: ignore[union-attr]

    def close(self, timeout: float = TIMEOUT) -> bool:
        """Flush, close the files and end the thread; what cannot be written by then is dropped.

        Returns:
            Whether everything was written.
        """
        with self._lock:
            return self._worker.stop(timeout)  # type: ignore[union-attr]

    @property
    def counts(self) -> Counts:
        """What became of the values so far."""
        worker = self._worker
        assert worker is not None
        return Counts(worker.written, worker.dropped + self._queue.refused, worker.bytes, worker.errors)

    def check(self) -> None:
        """See whether the log directory can be written.

        Raises:
            LogDirError: It is a file, cannot be made, or takes no file.
            RequirementError: It is a URL, and a package for it is missing.
        """
        if is_remote(self.log_dir):
            check_remote(self.log_dir)
            return
        probe = os.path.join(self.log_dir, f".tbx_keras_{os.getpid()}_{next(_probes)}")
        try:
            os.makedirs(self.log_dir, exist_ok=True)
            os.close(os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            os.unlink(probe)
        except OSError as error:
            raise LogDirError(
                f"`log_dir` cannot be written. Received: log_dir={self.log_dir!r} ({error.strerror}). "
                "Pass a directory that this user may create files in."
            ) from error

    def after_fork(self) -> None:
        """In a child process: leave the parent's thread, files and queue to the parent."""
        self._lock = threading.Lock()
        self._begin()


_probes = itertools.count()


def _is_below(log_dir: str, top: str) -> bool:
    """Whether a log directory is `top` or lies in it."""
    if is_remote(top) or is_remote(log_dir):
        return f"{log_dir}/".startswith(f"{top.rstrip('/')}/")
    return os.path.join(os.path.realpath(log_dir), "").startswith(os.path.join(os.path.realpath(top), ""))


def _size(values: Any) -> int:
    """Bytes that the values hold, so far as they are arrays or texts."""
    if callable(values):
        return 0
    return sum(_size_of(value) for value in values)


def _size_of(value: Any) -> int:
    array = getattr(value, "pixels", getattr(value, "samples", getattr(value, "vectors", None)))
    if array is not None:
        return int(array.nbytes)
    return int(value.ByteSize()) if hasattr(value, "ByteSize") else 0
