"""Shutdown at the end of the process, and after a fork: every open writer is flushed and closed.

Guarantees: at interpreter exit all writers together get 2 seconds, whatever the disk does; those of object
stores get 10, earlier, while threads can still be started. A writer that is
forgotten without `close` is written out and its thread ends. A child of a fork never writes to its parent's
files.
"""

from __future__ import annotations

import atexit
import functools
import importlib
import os
import threading
import time
import weakref
from typing import Protocol

EXIT_SECONDS = 2.0
REMOTE_EXIT_SECONDS = 10.0


class Stoppable(Protocol):
    """A thread that writes."""

    remote: bool

    def stop(self, timeout: float) -> bool:
        """Flush, then end the thread; return whether all was written."""


class Forkable(Protocol):
    """A writer that a child process gets a copy of."""

    def after_fork(self) -> None:
        """Leave the parent's thread and files to the parent, in a child process."""


_writers: weakref.WeakSet[Forkable] = weakref.WeakSet()
_running: set[Stoppable] = set()


def register_writer(writer: Forkable) -> None:
    """Call a writer after each fork as long as it lives; it is not kept alive."""
    _writers.add(writer)


def open_writers() -> list[Forkable]:
    """List the writers of this process."""
    return list(_writers)


def started(thread: Stoppable) -> None:
    """Stop a thread before the process ends."""
    _running.add(thread)


def ended(thread: Stoppable) -> None:
    """Forget a thread that has ended."""
    _running.discard(thread)


@atexit.register
def close_all() -> None:
    """Write out and stop all threads within `EXIT_SECONDS`."""
    _stop(list(_running), EXIT_SECONDS)


@functools.cache
def before_executors_end() -> None:
    """Stop the threads of object stores while their libraries still work.

    Those resolve names in a thread pool, and pools end before `atexit` is called.
    """
    importlib.import_module("concurrent.futures.thread")  # what is registered later is called earlier
    threading._register_atexit(_close_remote)  # type: ignore[attr-defined]


def _close_remote() -> None:
    _stop([thread for thread in _running if thread.remote], REMOTE_EXIT_SECONDS)


def _stop(threads: list[Stoppable], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.stop(max(0.05, (deadline - time.monotonic()) / 2))


def _after_fork_in_child() -> None:
    _running.clear()
    for writer in list(_writers):
        writer.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
