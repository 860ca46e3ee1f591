"""Event files of one run in an object store (`s3://`, `gs://`, `memory://`, ...), by fsspec.

An object cannot be appended to. A run is written as numbered shards, which TensorBoard reads one after the
other: the newest shard is uploaded again with what came since, until the budget of bytes says to begin
another.

Guarantees: all that is sent is at most `RESEND` times what was recorded, `SLACK` bytes and `RATE` bytes a
second. A shard is whole records or not there. An upload that fails loses nothing: the records wait, within
the bound of `base`, and are tried again. Not thread-safe: used by the writer's one thread.
"""

from __future__ import annotations

import time
import uuid
from typing import Any

from tbx_keras.error_reporting import described, redacted
from tbx_keras.errors import LogDirError, MissingDependencyError
from tbx_keras.storage import file_system
from tbx_keras.writers.records import frame
from tbx_keras.writers.sinks.base import Sink
from tbx_keras.writers.sinks.local_file import file_version

RESEND = 2.5
SLACK = 1 << 22  # bytes: a short run may be one object
RATE = 1 << 10  # bytes a second: a week of few values is a few objects, not thousands (`benchmarks.scale`)
MAX_SHARD = 1 << 23  # bytes: what is kept in memory to be sent again
EAGER = 1 << 20  # bytes that are sent without waiting for the interval
FIRST_INTERVAL, LAST_INTERVAL = 10.0, 60.0  # seconds between two uploads, longer the more there were
UPLOADS = 1000  # after which the interval is the last one


def check_remote(url: str) -> None:
    """Check that objects can be written below a URL.

    Raises:
        LogDirError: They cannot; the message has no credentials in it.
        MissingDependencyError: A package for this kind of URL is missing.
    """
    try:
        system, path = file_system(url)
        probe = f"{path}/.tbx_keras_{uuid.uuid4().hex}"
        system.pipe_file(probe, b"")
        system.rm_file(probe)
    except MissingDependencyError:
        raise
    except Exception as error:  # of many libraries: no such bucket, no permission, no network
        raise LogDirError(
            redacted(
                f"`log_dir` cannot be written. Received: log_dir={url!r} ({described(error)}). "
                "Pass a place that these credentials may write to."
            )
        ) from None  # the chain of causes may show what was sent


class ObjectStore(Sink):
    """Event files of one run, as objects; the same calls as `LocalFile`.

    Args:
        directory: URL of the run.
        suffix: Added to the names of the objects.
        of_logger: Whether a logger writes them.
    """

    def __init__(self, directory: str, suffix: str = "", of_logger: bool = True) -> None:
        super().__init__(directory, suffix, of_logger)
        self._system: Any = None
        self._shard: list[bytes] = []
        self._shard_bytes = 0
        self._name = ""
        self._uploads = 0
        self._recorded = self.sent = 0
        self._due = 0.0
        self._start: float | None = None  # when it first had something to send

    def flush(self, force: bool = False) -> tuple[int, int]:
        """Upload waiting records, if it is time.

        Args:
            force: Whether it is time in any case.

        Returns:
            Values and bytes that are in the store now and were not before.

        Raises:
            OSError: Nothing was sent; the records still wait.
        """
        now = time.monotonic()
        waits = now < self._due and self.buffered_bytes < EAGER
        if not self._buffered or (waits and not force):
            return 0, 0
        if self._start is None:
            self._start = now
        if not self._name or not self._may_resend(now - self._start):
            self._begin_shard()
        self._upload(b"".join([*self._shard, *self._buffered]))
        return self._sent_all()

    def close(self) -> None:
        """End the shard; the next flush begins another one."""
        super().close()
        self._name, self._shard, self._shard_bytes = "", [], 0

    def _may_resend(self, elapsed: float) -> bool:
        size = self._shard_bytes + self.buffered_bytes
        budget = RESEND * (self._recorded + self.buffered_bytes) + SLACK + RATE * elapsed
        return size <= MAX_SHARD and self.sent + size <= budget

    def _begin_shard(self) -> None:
        self._name = self._next_name()
        self._began(self._name)
        self._shard = [frame(file_version())]
        self._shard_bytes = len(self._shard[0])

    def _upload(self, data: bytes) -> None:
        try:
            if self._system is None:
                self._system, self._path = file_system(self._directory)
            self._system.pipe_file(f"{self._path}/{self._name}", data)
        except Exception as error:
            raise OSError(redacted(described(error))) from None
        self.sent += len(data)

    def _sent_all(self) -> tuple[int, int]:
        done = self.buffered_values, self.buffered_bytes
        self._shard += self._buffered
        self._shard_bytes += self.buffered_bytes
        self._recorded += self.buffered_bytes
        self.drop()
        self._uploads += 1
        share = min(1.0, self._uploads / UPLOADS)
        self._due = time.monotonic() + FIRST_INTERVAL + share * (LAST_INTERVAL - FIRST_INTERVAL)
        return done
