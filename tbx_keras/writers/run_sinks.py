"""Sinks of all runs of a log directory: items in, encoded records out.

Guarantees: nothing is raised here; a value that cannot be encoded and a sink that does not take a write are
each reported once and counted. Values of a run reach its sink in the order in which they come. Not
thread-safe, but for the counts: used by the writer's one thread.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from tbx_keras.values import Deferred, Embedding, RecordBatch, Scalar, as_iterable
from tbx_keras.warning_location import Caller
from tbx_keras.writers.axes import described_once
from tbx_keras.writers.encode import Place, check_value, encode
from tbx_keras.writers.fast_encode import scalar_event, scalars_event
from tbx_keras.writers.names import Tags, run_directory
from tbx_keras.writers.projector import LabelFiles, Projectors
from tbx_keras.writers.purge import Restart, restart_events
from tbx_keras.writers.reports import Reports
from tbx_keras.writers.sinks import Nowhere, Sink, new_sink
from tbx_keras.writers.sinks.base import MAX_BUFFERED_BYTES

ScalarItem: TypeAlias = tuple[str, int, float, str, float]  # run, step, wall time, tag, number
Queued: TypeAlias = RecordBatch | ScalarItem
_FULL = (
    "tbx_keras: values come faster than they can be written, or are too large to wait together; some are "
    "dropped (`logger.report` counts them). Record less often."
)


class RunSinks:
    """Encodes items and writes them to the sink of their run.

    Args:
        log_dir: Directory of all runs.
        suffix: Added to the names of event files.
        metadata_dir: What files of labels for embeddings are relative to.
        caller: The line that warnings point to.
    """

    def __init__(self, log_dir: str, suffix: str, metadata_dir: str, caller: Caller | None) -> None:
        self._log_dir, self._suffix = log_dir, suffix
        self.reports = Reports(log_dir, caller)
        self._projectors = Projectors(log_dir, metadata_dir, self.reports.once)
        self._sinks: dict[str, Sink] = {}
        self._tags: dict[str, Tags] = {}
        # What is no event: files beside the event file, or the event file itself.
        self._by_file: dict[type, Callable[[str, Any], None]] = {
            Embedding: self._write_table,
            LabelFiles: self._projectors.check_labels,
            Restart: self._restart,
        }
        self.written = self.dropped = self.bytes = self.errors = 0
        self.muted = False  # values are fetched, and seen by rules, but not written

    def encode(self, item: Queued) -> None:
        """Encode an item, and hand it to the sink of its run."""
        try:
            self._encode(item)
        except Exception as error:  # of its run: a name that cannot be that of a directory
            self._report("preparing a run", error, 1)

    def _encode(self, item: Queued) -> None:
        run = item[0]
        if run not in self._sinks:
            directory = run_directory(self._log_dir, run)
            make = Nowhere if self.muted else new_sink
            self._sinks[run] = make(directory, self._suffix, of_logger=run != "")
            self._tags[run] = Tags()
        if isinstance(item, RecordBatch):
            self._encode_batch(item)
            return
        _, step, wall_time, tag, value = item
        self._try(run, lambda: scalar_event(self._tags[run](tag), value, step, wall_time))

    def turned_away(self) -> None:
        """Warn of values for which the queue has no room."""
        self.reports.once("queue", _FULL)

    def flush(self, force: bool = False, begins_files: bool = False) -> bool:
        """Write all that waits.

        Args:
            force: Whether to write in any case, also where it is better to wait for more.
            begins_files: Whether new files begin here.

        Returns:
            Whether every sink took it.
        """
        complete = True
        for sink in self._sinks.values():
            try:
                if begins_files:
                    sink.close()
                values, size = sink.flush(force)
                self.written, self.bytes = self.written + values, self.bytes + size
            except Exception as error:  # of a path that cannot be one, too
                complete = False
                self._report("writing", error, 0)
        return complete

    def close(self) -> int:
        """Close all files; return the number of values that were not written, and are dropped."""
        lost = sum(sink.drop() for sink in self._sinks.values())
        self.dropped += lost
        for sink in self._sinks.values():
            try:
                sink.close()
            except Exception as error:
                self._report("closing a file", error, 0)
        return lost

    @property
    def waiting(self) -> int:
        """Values that were not written yet."""
        return sum(sink.buffered_values for sink in self._sinks.values())

    @property
    def full(self) -> bool:
        """Check whether a sink can hold no more."""
        return any(sink.full for sink in self._sinks.values())

    @property
    def file_names(self) -> set[str]:
        """Names of the event files so far."""
        return {name for sink in list(self._sinks.values()) for name in sink.names}

    def _encode_batch(self, batch: RecordBatch) -> None:
        values = self._fetched(batch.values)
        if all(type(value) is Scalar for value in values):  # as of nearly all batches
            if values:
                self._scalars(batch, values)
            return
        for scalars, group in itertools.groupby(values, lambda value: isinstance(value, Scalar)):
            record = self._scalars if scalars else self._others
            record(batch, list(group))

    def _fetched(self, values: Sequence[Any] | Deferred) -> list[Any]:
        try:
            return list(as_iterable(values.fetch()) if isinstance(values, Deferred) else values)
        except BaseException as error:  # a SystemExit would end this thread, and nothing else
            self._report("collecting values", error, 1)
            return []

    def _scalars(self, batch: RecordBatch, values: list[Scalar]) -> None:
        """Encode scalars as one event, where all can be encoded and the file names their axes."""
        sink, clean = self._sinks[batch.run], self._tags[batch.run]
        named = clean if batch.axis is None else sink.described.__getitem__
        try:
            pairs = [(named(one.tag), one.value) for one in values]
            event = scalars_event(pairs, batch.step, batch.wall_time or 0.0)
        except Exception:  # encoded one by one, each fails for itself
            self._others(batch, values)
        else:
            sink.append(event, len(values))

    def _others(self, batch: RecordBatch, values: Sequence[Any]) -> None:
        for value in values:
            by_file = self._by_file.get(type(value))
            if by_file is not None and self.muted:
                continue
            if by_file is not None:
                self._try(batch.run, functools.partial(by_file, batch.run, value))
            else:
                self._try(batch.run, functools.partial(self._event, batch, value))

    def _event(self, batch: RecordBatch, value: Any) -> bytes:
        clean = self._tags[batch.run]
        place = Place(batch.step, batch.wall_time or 0.0, clean)
        if batch.axis is None:
            return encode(value, place)
        check_value(value)
        return described_once(
            encode(value, place), value, batch.axis, clean, self._sinks[batch.run].described
        )

    def _write_table(self, run: str, value: Embedding) -> None:
        self.bytes += self._projectors.write(run, value)
        self.written += 1

    def _restart(self, run: str, restart: Restart) -> None:
        sink = self._sinks[run]
        self.flush()  # what was put before comes before
        sink.begin(restart.file_name)
        for event in restart_events(run_directory(self._log_dir, run), restart):
            sink.append(event)
            if sink.buffered_bytes > MAX_BUFFERED_BYTES // 4:
                self.flush()

    def _try(self, run: str, make: Callable[[], bytes | None]) -> None:
        try:
            event = make()
            if event is not None:
                self._sinks[run].append(event)
        except Exception as error:
            self._report("encoding a value", error, 1)

    def _report(self, what: str, error: BaseException, lost: int) -> None:
        self.errors += 1
        self.dropped += lost
        self.reports.failed(what, error)
