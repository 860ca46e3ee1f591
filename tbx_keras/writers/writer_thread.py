"""The thread of an `AsyncEventWriter`: takes from the queue, encodes, appends to files.

Guarantees: nothing is raised here; a value that cannot be encoded and a disk that does not take a write are
each reported once and counted. The thread gives up the interpreter lock between small slices of work, since a
training thread that waits for it would stand still.
"""

from __future__ import annotations

import functools
import itertools
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from tbx_keras.storage import is_remote
from tbx_keras.user_location import Caller
from tbx_keras.values import Deferred, Embedding, RecordBatch, Scalar
from tbx_keras.writers import shutdown
from tbx_keras.writers.axes import described_once
from tbx_keras.writers.encode import Place, encode
from tbx_keras.writers.fast_encode import scalar_event, scalars_event
from tbx_keras.writers.names import Tags, run_directory
from tbx_keras.writers.projector import LabelFiles, Projectors
from tbx_keras.writers.purge import Restart, restart_events
from tbx_keras.writers.queue import BoundedQueue
from tbx_keras.writers.reports import Reports
from tbx_keras.writers.sinks import Sink, new_sink
from tbx_keras.writers.sinks.base import MAX_BUFFERED_BYTES

BATCH_SIZE = 64  # items between two statistics in which other threads may run: well below a millisecond
BATCH_BYTES = 1 << 22  # likewise, so that no more than this is encoded before it is written
FLUSH_INTERVAL_S = 0.1  # seconds between two rounds: fewer, longer rounds disturb training less
WAKE_THRESHOLD = 1000  # items that do not wait for the next round
UPLOAD_POLL_S = 1.0  # seconds between two looks whether it is time to upload
FIRST_RETRY, LAST_RETRY = 0.1, 5.0  # seconds

ScalarItem: TypeAlias = tuple[str, int, float, str, float]  # run, step, wall time, tag, number
Queued: TypeAlias = RecordBatch | ScalarItem


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
        self._log_dir, self._queue, self._suffix = log_dir, queue, suffix
        self._reports = Reports(log_dir, caller)
        self._projectors = Projectors(log_dir, metadata_dir or log_dir, self._reports.once)
        # What is no event: files beside the event file, or the event file itself.
        self._by_file: dict[type, Callable[[str, Any], None]] = {
            Embedding: self._write_table,
            LabelFiles: self._projectors.check_labels,
            Restart: self._restart,
        }
        self.remote = is_remote(log_dir)
        self._files: dict[str, Sink] = {}
        self._tags: dict[str, Tags] = {}
        self._wake, self._hurry = threading.Event(), threading.Event()
        self._state = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stopping = self._begins_files = False
        self._handled = 0  # items taken, encoded, and tried to be written
        self._asked = self._answered = 0  # flushes
        self._retry = 0.0
        self.written = self.dropped = self.bytes = self.errors = 0

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
            return self._handled >= target and not self._waiting()

    def stop(self, timeout: float) -> bool:
        """Flush, then end the thread; drop what the disk has not taken by then."""
        complete = self.flush(timeout)
        thread = self._thread
        if thread is not None:
            self.end()
            thread.join(timeout)
            if thread.is_alive():
                self._reports.lost(self._waiting())
                return False
        return complete

    def begin_files(self) -> None:
        """Begin new files, which sort after those of this moment, for what is put from now on."""
        self._begins_files = True

    @property
    def turned_away(self) -> int:
        """Values that the queue turned away."""
        return self._queue.dropped

    @property
    def file_names(self) -> set[str]:
        """Names of the event files so far."""
        return {name for file in list(self._files.values()) for name in file.names}

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
        while len(self._queue) and (self._stopping or not self._behind()):
            self._push(self._slice())
            time.sleep(0)
        self._push(0, force=self._stopping or asked > self._answered)
        with self._state:
            self._answered = asked
            self._state.notify_all()

    def _slice(self) -> int:
        """Encode the oldest items, and let go of each at once; return their number."""
        items = self._queue.take(BATCH_SIZE, BATCH_BYTES)
        count = len(items)
        items.reverse()
        while items:
            self._take(items.pop())
        self._queue.release()
        return count

    def _next_try(self) -> float | None:
        """Compute the seconds after which a round is due though nobody wakes the thread."""
        if self._retry or not self._waiting():
            return self._retry or None
        return UPLOAD_POLL_S

    def _behind(self) -> bool:
        return bool(self._retry) and any(file.full for file in self._files.values())

    def _take(self, item: Queued) -> None:
        run = item[0]
        if run not in self._files:
            directory = run_directory(self._log_dir, run)
            self._files[run] = new_sink(directory, self._suffix, of_logger=run != "")
            self._tags[run] = Tags()
        if isinstance(item, RecordBatch):
            self._batch(item)
            return
        _, step, wall_time, tag, value = item
        self._encode(run, lambda: scalar_event(self._tags[run](tag), value, step, wall_time))

    def _batch(self, batch: RecordBatch) -> None:
        for scalars, values in itertools.groupby(
            self._values(batch.values), lambda value: isinstance(value, Scalar)
        ):
            record = self._scalars if scalars else self._others
            record(batch, list(values))

    def _scalars(self, batch: RecordBatch, values: list[Scalar]) -> None:
        """Encode scalars as one event, where all can be encoded and the file names their axes."""
        file, clean = self._files[batch.run], self._tags[batch.run]
        named = clean if batch.axis is None else file.described.__getitem__
        try:
            pairs = [(named(one.tag), one.value) for one in values]
            event = scalars_event(pairs, batch.step, batch.wall_time or 0.0)
        except Exception:  # encoded one by one, each fails for itself
            self._others(batch, values)
        else:
            file.append(event, len(values))

    def _others(self, batch: RecordBatch, values: list[Any]) -> None:
        for value in values:
            by_file = self._by_file.get(type(value))
            if by_file is not None:
                self._encode(batch.run, functools.partial(by_file, batch.run, value))
            else:
                self._encode(batch.run, functools.partial(self._event, batch, value))

    def _event(self, batch: RecordBatch, value: Any) -> bytes:
        clean = self._tags[batch.run]
        event = encode(value, Place(batch.step, batch.wall_time or 0.0, clean))
        if batch.axis is None:
            return event
        return described_once(event, value, batch.axis, clean, self._files[batch.run].described)

    def _write_table(self, run: str, value: Embedding) -> None:
        self.bytes += self._projectors.write(run, value)
        self.written += 1

    def _restart(self, run: str, restart: Restart) -> None:
        file = self._files[run]
        self._push(0)  # what was put before comes before
        file.begin(restart.file_name)
        for event in restart_events(run_directory(self._log_dir, run), restart):
            file.append(event)
            if file.buffered_bytes > MAX_BUFFERED_BYTES // 4:
                self._push(0)

    def _values(self, values: Sequence[Any] | Deferred) -> list[Any]:
        try:
            return list(values.fetch() if isinstance(values, Deferred) else values)
        except Exception as error:
            self._report("collecting values", error, 1)
            return []

    def _encode(self, run: str, make: Callable[[], bytes | None]) -> None:
        try:
            event = make()
            if event is not None:
                self._files[run].append(event)
        except Exception as error:
            self._report("encoding a value", error, 1)

    def _push(self, handled: int, force: bool = False) -> None:
        failed = False
        begins, self._begins_files = self._begins_files, False
        for file in self._files.values():
            try:
                if begins:
                    file.close()
                values, size = file.flush(force)
                self.written, self.bytes = self.written + values, self.bytes + size
            except OSError as error:
                failed = True
                self._report("writing", error, 0)
        self._after_push(failed, handled)

    def _after_push(self, failed: bool, handled: int) -> None:
        with self._state:
            self._handled += handled
            self._retry = min(max(FIRST_RETRY, self._retry * 2), LAST_RETRY) if failed else 0.0
            self._state.notify_all()

    def _report(self, what: str, error: Exception, lost: int) -> None:
        self.errors += 1
        self.dropped += lost
        self._reports.failed(what, error)

    def _waiting(self) -> int:
        return sum(file.buffered_values for file in self._files.values())

    def _end(self) -> None:
        with self._state:
            lost = sum(file.drop() for file in self._files.values())
            self.dropped += lost
            for file in self._files.values():
                file.close()
            self._thread = None
            shutdown.ended(self)
            self._state.notify_all()
        self._reports.lost(lost)
        self._reports.begin()
        if len(self._queue):  # put while the thread was ending
            self._start()
