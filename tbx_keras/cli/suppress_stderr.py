"""Suppression of the lines that native libraries write to stderr while they load.

Guarantees: what was held is shown if the block fails, and thrown away if it does not. Only the process's
file descriptor is turned aside: it is back in place after the block, however that ends. A process without
stderr is left as it is.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

STDERR = 2


@contextmanager
def suppress_stderr() -> Iterator[None]:
    """Hold what is written to file descriptor 2 during a block.

    TensorFlow's first lines come before its log level is read, so that no setting silences them.

    Yields:
        Nothing; errors of the block go on to the caller after what was held.
    """
    if sys.stderr is None:
        yield
        return
    sys.stderr.flush()
    terminal = os.dup(STDERR)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), STDERR)
        try:
            yield
        except BaseException:
            _restore(terminal)
            _show(held.fileno())
            raise
        else:
            _restore(terminal)


def _restore(terminal: int) -> None:
    sys.stderr.flush()
    os.dup2(terminal, STDERR)
    os.close(terminal)


def _show(held: int) -> None:
    os.lseek(held, 0, os.SEEK_SET)
    while chunk := os.read(held, 1 << 16):
        os.write(STDERR, chunk)
