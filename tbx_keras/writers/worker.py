"""The thread behind `EventHub`: takes from the queue, encodes, appends to files.

Guarantees: nothing is raised here; a value that cannot be encoded and a disk that does not take a write are
each told once and counted. The thread gives up the interpreter lock between small slices of work, since a
training thread that waits for it would stand still.
"""

from __future__ import annotations

import functools
import itertools
import threading
import time
from collections.abc import Callable
from typing import Any

from tbx_keras.faults import tell
from tbx_keras.values import Embedding, Scalar
from tbx_keras.writers import lifetime
from tbx_keras.writers.encode import encode
from tbx_keras.writers.eventfile import EventFile
from tbx_keras.writers.history import Restart, restart_events
from tbx_keras.writers.names import Tags, run_directory
from tbx_keras.writers.packed import scalar_event, scalars_event
from tbx_keras.writers.pending import MAX_PENDING_BYTES
from tbx_keras.writers.projector import Projector
from tbx_keras.writers.remote import RemoteFile, is_remote

SLICE = 64  # items between two moments in which other threads may run: well below a millisecond
REST = 0.1  # seconds between two rounds: fewer, longer rounds disturb training less
MANY = 1000  # items that do not wait for the next round
PATIENCE = 1.0  # seconds between two looks whether it is time to upload
FIRST_RETRY, LAST_RETRY = 0.1, 5.0  # seconds


class Worker:
    """Writes what a queue holds until it is stopped; starts by itself when woken.

    Args:
        log_dir: Directory of all runs.
        queue: Where the items come from.
        suffix: Added to the names of event files.
    """

    def __init__(self, log_dir: str, queue: Any, suffix: str = "") -> None:
        self._log_dir, self._queue, self._suffix = log_dir, queue, suffix
        self.remote = is_remote(log_dir)
        self._files: dict[str, EventFile | RemoteFile] = {}
        self._tags: dict[str, Tags] = {}
        self._projectors: dict[str, Projector] = {}
        self._wake, self._hurry = threading.Event(), threading.Event()
        self._state = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._handled = 0  # items taken, encoded, and tried to be written
        self._asked = self._answered = 0  # flushes
        self._retry = 0.0
        self._told: set[str] = set()
        self.written = self.dropped = self.bytes = self.errors = 0

    def wake(self) -> None:
        """There is something in the queue."""
        if self._thread is None:
            self._start()
        if not self._wake.is_set():
            self._wake.set()
        if len(self._queue) >= MANY and not self._hurry.is_set():
            self._hurry.set()

    def flush(self, timeout: float) -> bool:
        """Wait until all items put so far were handled; returns whether all is written."""
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
        """Flush, then end the thread; what the disk has not taken by then is dropped."""
        complete = self.flush(timeout)
        thread = self._thread
        if thread is not None:
            self.end()
            thread.join(timeout)
            if thread.is_alive():
                self._tell_lost(self._waiting())
                return False
        return complete

    def _tell_lost(self, values: int) -> None:
        if values:
            where = repr(self._log_dir)
            tell(f"tbx_keras: {values:,} values could not be written to {where} in time; they are lost.")

    def end(self) -> None:
        """Let the thread end once the queue is empty, without waiting for it."""
        self._stopping = True
        self._hurry.set()
        self._wake.set()

    def _start(self) -> None:
        with self._state:
            if self._thread is None:
                lifetime.started(self)
                if self.remote:
                    lifetime.before_executors_end()
                self._stopping = False
                self._thread = threading.Thread(target=self._run, name="tbx_keras-writer", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while not (self._stopping and not len(self._queue)):
            self._wake.wait(self._next_try())
            self._wake.clear()
            self._round()
            self._hurry.wait(REST)
            self._hurry.clear()
        self._end()

    def _round(self) -> None:
        """Everything that is in the queue, unless the disk is behind."""
        asked = self._asked
        while len(self._queue) and (self._stopping or not self._behind()):
            items = self._queue.take(SLICE)
            for item in items:
                self._take(item)
            self._push(len(items))
            time.sleep(0)
        self._push(0, force=self._stopping or asked > self._answered)
        with self._state:
            self._answered = asked
            self._state.notify_all()

    def _next_try(self) -> float | None:
        """Seconds after which a round is due though nobody wakes the thread."""
        if self._retry or not self._waiting():
            return self._retry or None
        return PATIENCE

    def _behind(self) -> bool:
        return bool(self._retry) and any(file.full for file in self._files.values())

    def _take(self, item: tuple[Any, ...]) -> None:
        run, step, wall_time, *rest = item
        if run not in self._files:
            kind = RemoteFile if self.remote else EventFile
            self._files[run] = kind(run_directory(self._log_dir, run), self._suffix)
            self._tags[run] = Tags()
        if len(rest) == 2:
            tag, value = rest
            self._encode(run, lambda: scalar_event(self._tags[run](tag), value, step, wall_time))
            return
        for scalars, values in itertools.groupby(
            self._values(rest[0]), lambda value: isinstance(value, Scalar)
        ):
            record = self._scalars if scalars else self._others
            record(run, list(values), step, wall_time)

    def _scalars(self, run: str, values: list[Scalar], step: int, wall_time: float) -> None:
        """In one event, unless one of them cannot be encoded."""
        clean = self._tags[run]
        try:
            event = scalars_event([(clean(one.tag), one.value) for one in values], step, wall_time)
        except Exception:  # each by itself tells which
            self._others(run, values, step, wall_time)
        else:
            self._files[run].append(event, len(values))

    def _others(self, run: str, values: list[Any], step: int, wall_time: float) -> None:
        for value in values:
            if isinstance(value, Embedding):
                self._encode(run, functools.partial(self._write_table, run, value))
            elif isinstance(value, Restart):
                self._encode(run, functools.partial(self._restart, run, value))
            else:
                self._encode(run, functools.partial(encode, value, step, wall_time, self._tags[run]))

    def _write_table(self, run: str, value: Embedding) -> None:
        if run not in self._projectors:
            self._projectors[run] = Projector(run_directory(self._log_dir, run), self._log_dir)
        self.bytes += self._projectors[run].write(value)
        self.written += 1

    def _restart(self, run: str, restart: Restart) -> None:
        file = self._files[run]
        for event in restart_events(run_directory(self._log_dir, run), restart):
            file.append(event)
            if file.pending_bytes > MAX_PENDING_BYTES // 4:
                self._push(0)

    def _values(self, values: Any) -> list[Any]:
        try:
            return list(values() if callable(values) else values)
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
        for file in self._files.values():
            try:
                values, size = file.push(force)
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
        if what not in self._told:
            self._told.add(what)
            tell(
                f"tbx_keras: {what} to {self._log_dir!r} failed; training goes on and it is tried again. "
                f"{type(error).__name__}: {error}. Free space or mend the directory to lose nothing."
            )

    def _waiting(self) -> int:
        return sum(file.pending_values for file in self._files.values())

    def _end(self) -> None:
        with self._state:
            lost = sum(file.discard() for file in self._files.values())
            self.dropped += lost
            for file in self._files.values():
                file.close()
            self._thread = None
            lifetime.ended(self)
            self._state.notify_all()
        self._tell_lost(lost)
        if len(self._queue):  # put while the thread was ending
            self._start()
