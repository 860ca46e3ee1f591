"""The end of the process and its children: every open writer is written out, none outlives a fork.

Guarantees: at interpreter exit all writers together get 2 seconds, whatever the disk does. A hub that is
forgotten without `close` is written out and its thread ends. A child of a fork never writes to its parent's
files.
"""

from __future__ import annotations

import atexit
import os
import time
import weakref
from typing import Any

EXIT_SECONDS = 2.0
_hubs: weakref.WeakSet[Any] = weakref.WeakSet()
_running: set[Any] = set()


def register_hub(hub: Any) -> None:
    """Tell a hub of forks as long as it lives; it is not kept alive."""
    _hubs.add(hub)


def started(worker: Any) -> None:
    """A worker's thread runs: it is to be stopped before the process ends."""
    _running.add(worker)


def ended(worker: Any) -> None:
    """A worker's thread has ended."""
    _running.discard(worker)


@atexit.register
def close_all() -> None:
    """Write out and stop all workers within `EXIT_SECONDS`."""
    deadline = time.monotonic() + EXIT_SECONDS
    for worker in list(_running):
        worker.stop(max(0.05, (deadline - time.monotonic()) / 2))


def _after_fork_in_child() -> None:
    _running.clear()
    for hub in list(_hubs):
        hub.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
