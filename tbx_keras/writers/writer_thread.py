"""The thread of an `AsyncEventWriter`: takes from the queue, has it encoded and written, tries again.

Guarantees: nothing is raised here; see `run_sinks` for what is reported and counted. The thread gives up the
interpreter lock between small slices of work, since a training thread that waits for it would stand still.
While a disk takes nothing, it tries again, first after 0.1 s, at last every 5 s.
"""

from __future__ import annotations

import threading
import time

from tbx_keras.storage import is_remote
from tbx_keras.warning_location import Caller
from tbx_keras.writers import shutdown
from tbx_keras.writers.queue import BoundedQueue
from tbx_keras.writers.run_sinks import Queued, RunSinks

BATCH_SIZE = 64  # items between two moments in which other threads may run: well below a millisecond
BATCH_BYTES = 1 << 22  # likewise, so that no more than this is encoded before it is written
FLUSH_INTERVAL_S = 0.1  # seconds between two rounds: fewer, longer rounds disturb training less
WAKE_THRESHOLD = 1000  # items that do not wait for the next round
UPLOAD_POLL_S = 1.0  # seconds between two looks whether it is time to upload
LEAST_WAIT = 0.1  # seconds for a thread to end that has nothing left to do
FIRST_RETRY, LAST_RETRY = 0.1, 5.0  # seconds


class WriterThread:
    """Writes what a queue holds until it is stopped; starts by itself when woken.

    Args:
        log_dir: Directory of all runs.
        queue: Where the items come from.
        suffix: Added to the names of event files.
        metadata_dir: What files of labels for embeddings are relative to; the log directory if None.
        caller: The line that warnings point to.
    """

    def __init__(
        self,
        log_dir: str,
        queue: BoundedQueue[Queued],
        suffix: str = "",
        metadata_dir: str | None = None,
        caller: Caller | None = None,
    ) -> None:
        self._queue, self.remote = queue, is_remote(log_dir)
        self.sinks = RunSinks(log_dir, suffix, metadata_dir or log_dir, caller)
        self._wake, self._hurry = threading.Event(), threading.Event()
        self._state = threading.Condition()
        self._thread: threading.Thread | None = None
        self._encodes = False  # rather than that it waits for a disk
        self._stopping = self._begins_files = False
        self._handled = 0  # items taken, encoded, and tried to be written
        self._asked = self._answered = 0  # flushes
        self._retry = 0.0

    def wake(self) -> None:
        """Wake the thread: there is something in the queue."""
        if self._thread is None:
            self._start()
        if not self._wake.is_set():
            self._wake.set()
        if len(self._queue) >= WAKE_THRESHOLD and not self._hurry.is_set():
            self._hurry.set()

    def flush(self, timeout: float) -> bool:
        """Wait until all items put so far were handled; return whether all is written."""
        if threading.current_thread() is self._thread:  # from within a value that is fetched: never done
            return False
        target = self._queue.put_count
        deadline = time.monotonic() + timeout
        with self._state:
            self._asked += 1
            number = self._asked
            while self._thread is not None and time.monotonic() < deadline:
                if self._handled >= target and self._answered >= number:
                    break
                self._hurry.set()
                self._wake.set()
                self._state.wait(min(0.05, timeout))
            return self._handled >= target and not self.sinks.waiting

    def stop(self, timeout: float) -> bool:
        """Flush, then end the thread; drop what the disk has not taken by then."""
        deadline = time.monotonic() + timeout
        complete = self.flush(timeout)
        thread = self._thread
        if thread is None or thread is threading.current_thread():
            return complete
        self.end()
        thread.join(max(LEAST_WAIT, deadline - time.monotonic()))
        if thread.is_alive():
            if self._encodes:
                self.sinks.reports.late(timeout)
            else:  # the disk or the store does not take them
                self.sinks.reports.lost(self.sinks.waiting)
            return False
        return complete

    def begin_files(self) -> None:
        """Begin new files, which sort after those of this moment, for what is put from now on."""
        self._begins_files = True

    @property
    def dropped(self) -> int:
        """Values lost so far: to a full queue, to a disk, or since they could not be encoded."""
        return self._queue.dropped + self.sinks.dropped

    def end(self) -> None:
        """Let the thread end once the queue is empty, without waiting for it."""
        self._stopping = True
        self._hurry.set()
        self._wake.set()

    def _start(self) -> None:
        with self._state:
            if self._thread is None:
                shutdown.started(self)
                if self.remote:
                    shutdown.before_executors_end()
                self._stopping = False
                self._thread = threading.Thread(target=self._run, name="tbx_keras-writer", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while not (self._stopping and not len(self._queue)):
            self._wake.wait(self._next_try())
            self._wake.clear()
            self._round()
            self._hurry.wait(FLUSH_INTERVAL_S)
            self._hurry.clear()
        self._end()

    def _round(self) -> None:
        """Handle everything in the queue, unless the disk is behind."""
        asked = self._asked
        while len(self._queue) and (self._stopping or not (self._retry and self.sinks.full)):
            self._write(self._slice())
            time.sleep(0)
        self._write(0, force=self._stopping or asked > self._answered)
        with self._state:
            self._answered = asked
            self._state.notify_all()

    def _slice(self) -> int:
        """Encode the oldest items, and let go of each at once; return their number."""
        items = self._queue.take(BATCH_SIZE, BATCH_BYTES)
        count = len(items)
        items.reverse()
        self._encodes = True
        while items:
            self.sinks.encode(items.pop())
        self._encodes = False
        self._queue.release()
        return count

    def _next_try(self) -> float | None:
        """Compute the seconds after which a round is due though nobody wakes the thread."""
        if self._retry or not self.sinks.waiting:
            return self._retry or None
        return UPLOAD_POLL_S

    def _write(self, handled: int, force: bool = False) -> None:
        begins, self._begins_files = self._begins_files, False
        complete = self.sinks.flush(force, begins)
        with self._state:
            self._handled += handled
            self._retry = 0.0 if complete else min(max(FIRST_RETRY, self._retry * 2), LAST_RETRY)
            self._state.notify_all()

    def _end(self) -> None:
        with self._state:
            lost = self.sinks.close()
            self._thread = None
            shutdown.ended(self)
            self._state.notify_all()
        self.sinks.reports.lost(lost)
        self.sinks.reports.begin()
        if len(self._queue):  # put while the thread was ending
            self._start()
