"""Warnings of a writer's thread.

Guarantees: each kind of failure is reported once, and so are values that are lost, whether the thread or
whoever did not wait for it says so. They point to the line that the caller remembers.
"""

from __future__ import annotations

from tbx_keras.error_reporting import described, warn
from tbx_keras.warning_location import Caller


class Reports:
    """Warns for one writer.

    Args:
        log_dir: Directory that is written to.
        caller: The line that warnings point to.
    """

    def __init__(self, log_dir: str, caller: Caller | None) -> None:
        self._log_dir, self._caller = log_dir, caller
        self._said: set[str] = set()
        self._lost = 0

    def once(self, what: str, message: str) -> None:
        """Warn of a thing the first time."""
        if what not in self._said:
            self._said.add(what)
            warn(message, self._caller)

    def failed(self, what: str, error: BaseException) -> None:
        """Warn of a kind of failure the first time."""
        found = described(error).rstrip(".")
        if isinstance(error, OSError):
            outcome = f"to {self._log_dir!r} failed; training goes on and it is tried again. {found}. "
            outcome += "Free space or fix the directory to lose nothing."
        else:
            outcome = f"for {self._log_dir!r} failed and is skipped; training goes on. {found}."
        self.once(what, f"tbx_keras: {what} {outcome}")

    def lost(self, values: int) -> None:
        """Warn of values that are lost, unless the same is said already."""
        news, self._lost = values > self._lost, values
        if news:
            where = repr(self._log_dir)
            message = f"tbx_keras: {values:,} values could not be written to {where} in time; they are lost."
            warn(message, self._caller)

    def late(self, seconds: float) -> None:
        """Warn, once, that not all was written in the time that was given, though it still may be."""
        where = repr(self._log_dir)
        self.once(
            "late",
            f"tbx_keras: not all values could be written to {where} within {seconds:.0f} s. They are still "
            "being written; what is left when the process ends is lost.",
        )

    def begin(self) -> None:
        """Begin a new count of lost values."""
        self._lost = 0
