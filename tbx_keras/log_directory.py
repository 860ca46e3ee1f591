"""The directory of a run, where its log directory was used before.

Guarantees: decided once for a logger, when its first epoch begins, after every callback has restored what it
keeps and before anything of the `fit` is written. A fresh model never draws over an earlier run, unless that
was asked for; a resumed one goes on in the newest run.
"""

from __future__ import annotations

from typing import Any

from tbx_keras.faults import tell
from tbx_keras.options import TRAIN, VALIDATION


class LogDirectory:
    """Moves a writer to a directory below its log directory.

    Args:
        hub: The writer.
        on_existing: `"new"`, or `"append"` to stay in any case.
    """

    def __init__(self, hub: Any, on_existing: str) -> None:
        self._hub, self._moves = hub, on_existing == "new"
        self._done = False

    def choose(self, fresh: bool) -> str:
        """Decide, the first time that an epoch begins; returns the directory that is written to from now on.

        Args:
            fresh: Whether the model has made no step and its epochs begin at 0.
        """
        done, self._done = self._done, True
        if not done and self._moves and self._hub.was_used((TRAIN, VALIDATION)):
            before = self._hub.log_dir
            self._hub.move_to_next() if fresh else self._hub.move_to_newest((TRAIN, VALIDATION))
            if fresh:
                self._warn(before)
        return str(self._hub.log_dir)

    def _warn(self, before: str) -> None:
        tell(
            f"tbx_keras: {before!r} holds an earlier run and this model is a fresh one: it is recorded in "
            f"{self._hub.log_dir!r} (on_existing='append' records into the same directory)."
        )
