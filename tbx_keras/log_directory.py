"""Choice of a directory for a run whose log directory was used before.

Guarantees: decided once for a logger, when its first epoch begins, after every callback has restored what it
keeps and before anything of the `fit` is written. A fresh model never draws over an earlier run, unless that
was asked for; a resumed one goes on in the newest run.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from tbx_keras.error_reporting import warn
from tbx_keras.recorders.base import TRAIN, VALIDATION


class MovableWriter(Protocol):
    """A writer that can go on in another directory."""

    log_dir: str

    def was_used(self, runs: Iterable[str]) -> bool:
        """Check whether an earlier training recorded in one of some runs."""

    def move_to_next(self) -> None:
        """Go on in a new directory below."""

    def move_to_newest(self, runs: Iterable[str]) -> None:
        """Go on in the newest directory below that holds some of `runs`."""


class LogDirectory:
    """Moves a writer to a directory below its log directory.

    Args:
        writer: The writer.
        on_existing: `"new"`, or `"append"` to stay in any case.
    """

    def __init__(self, writer: MovableWriter, on_existing: str) -> None:
        self._writer, self._moves = writer, on_existing == "new"
        self._done = False

    def choose(self, fresh: bool) -> str:
        """Decide where to write from now on, the first time that an epoch begins.

        Args:
            fresh: Whether the model has made no step and its epochs begin at 0.

        Returns:
            The directory.
        """
        done, self._done = self._done, True
        if not done and self._moves and self._writer.was_used((TRAIN, VALIDATION)):
            before = self._writer.log_dir
            self._writer.move_to_next() if fresh else self._writer.move_to_newest((TRAIN, VALIDATION))
            if fresh:
                self._warn(before)
        return self._writer.log_dir

    def _warn(self, before: str) -> None:
        warn(
            f"tbx_keras: {before!r} holds an earlier run and this model is a fresh one: it is recorded in "
            f"{self._writer.log_dir!r} (on_existing='append' records into the same directory)."
        )
