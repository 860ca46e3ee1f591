"""The end of the process and its children: every open hub is written out, no hub outlives a fork.

Guarantees: at interpreter exit all hubs together get 2 seconds, whatever the disk does. A child of a fork
never writes to its parent's files.
"""

from __future__ import annotations

import atexit
import os
import time
import weakref
from typing import Any

EXIT_SECONDS = 2.0
_hubs: weakref.WeakSet[Any] = weakref.WeakSet()


def register(hub: Any) -> None:
    """Take care of a hub as long as it lives; it is not kept alive."""
    _hubs.add(hub)


@atexit.register
def close_all() -> None:
    """Close all hubs within `EXIT_SECONDS`."""
    deadline = time.monotonic() + EXIT_SECONDS
    for hub in list(_hubs):
        hub.close(max(0.05, (deadline - time.monotonic()) / 2))


def _after_fork_in_child() -> None:
    for hub in list(_hubs):
        hub.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
