"""The end of the process and its children: every open writer is written out, none outlives a fork.

Guarantees: at interpreter exit all writers together get 2 seconds, whatever the disk does; those of object
stores get 10, earlier, while threads can still be started. A hub that is
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
from typing import Any

EXIT_SECONDS = 2.0
REMOTE_EXIT_SECONDS = 10.0
_hubs: weakref.WeakSet[Any] = weakref.WeakSet()
_running: set[Any] = set()


def register_hub(hub: Any) -> None:
    """Tell a hub of forks as long as it lives; it is not kept alive."""
    _hubs.add(hub)


def open_hubs() -> list[Any]:
    """The hubs of this process."""
    return list(_hubs)


def started(worker: Any) -> None:
    """A worker's thread runs: it is to be stopped before the process ends."""
    _running.add(worker)


def ended(worker: Any) -> None:
    """A worker's thread has ended."""
    _running.discard(worker)


@atexit.register
def close_all() -> None:
    """Write out and stop all workers within `EXIT_SECONDS`."""
    _stop(list(_running), EXIT_SECONDS)


@functools.cache
def before_executors_end() -> None:
    """Let the workers of object stores be stopped while their libraries still can work.

    Those resolve names in a thread pool, and pools end before `atexit` is called.
    """
    importlib.import_module("concurrent.futures.thread")  # what is registered later is called earlier
    threading._register_atexit(_close_remote)  # type: ignore[attr-defined]


def _close_remote() -> None:
    _stop([worker for worker in _running if worker.remote], REMOTE_EXIT_SECONDS)


def _stop(workers: list[Any], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    for worker in workers:
        worker.stop(max(0.05, (deadline - time.monotonic()) / 2))


def _after_fork_in_child() -> None:
    _running.clear()
    for hub in list(_hubs):
        hub.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
