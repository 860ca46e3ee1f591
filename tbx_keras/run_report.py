"""Report of a run: what was recorded, and the cost of it."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Protocol

from tbx_keras.error_reporting import ErrorReporter
from tbx_keras.scheduling.overhead import OverheadTracker

SMALL_FRACTION = 0.05  # of a run too short to judge, a larger one says more of the run than of the recording


class Counts(Protocol):
    """Counts that a writer keeps."""

    @property
    def written(self) -> int:
        """Values handed to the operating system."""

    @property
    def dropped(self) -> int:
        """Values lost."""

    @property
    def bytes(self) -> int:
        """Bytes written."""

    @property
    def errors(self) -> int:
        """Errors met."""


@dataclass(frozen=True, repr=False)
class Report:
    """Counts of what a logger recorded, and its cost to the training thread.

    Args:
        written: Values handed to the operating system.
        dropped: Values lost to a full queue or a fault.
        bytes: Bytes written.
        errors: Errors that were caught.
        overhead_seconds: Time spent on recording, without first-time work.
        overhead_fraction: The same as a fraction of the training time, 0 to 1.
        first_time_seconds: Time spent on first-time work: tracing, compiling, the first run of each hook.
        log_dir: Directory that was recorded in.
        steady: Whether training went on for long enough to judge the fraction.

    Example:
    ```python
    from tbx_keras.run_report import Report

    report = Report(
        written=3, dropped=0, bytes=120, errors=0, overhead_seconds=0.1, overhead_fraction=0.01
    )
    assert report.dropped == 0
    ```
    """

    written: int
    dropped: int
    bytes: int
    errors: int
    overhead_seconds: float
    overhead_fraction: float
    first_time_seconds: float = 0.0
    log_dir: str = ""
    steady: bool = True

    def summary_line(self) -> str:
        """The closing line at the end of training."""
        lost = f", {self.dropped:,} dropped" if self.dropped else ""
        return (
            f"tbx_keras: {self.written:,} values ({size(self.bytes)}){lost} in {self.log_dir}; "
            f"recording took {self.cost()}, and {self.first_time_seconds:.1f} s once for first-time work "
            "(tracing, compiling)."
        )

    def cost(self) -> str:
        """Give the fraction of the time; seconds where the run was too short for that to mean anything."""
        if self.steady or self.overhead_fraction <= SMALL_FRACTION:
            return f"{self.overhead_fraction:.1%} of the time"
        return f"{self.overhead_seconds:.2f} s"

    def __repr__(self) -> str:
        return f"<tbx_keras report of {self.log_dir!r}: {', '.join(f'{k} {v}' for k, v in self._rows())}>"

    def _repr_html_(self) -> str:
        """Make a table for notebooks."""
        cells = "".join(
            f"<tr><th>{html.escape(key)}</th><td>{html.escape(value)}</td></tr>"
            for key, value in self._rows()
        )
        caption = f"tbx_keras: {html.escape(self.log_dir)}"
        return f"<table><caption>{caption}</caption><tbody>{cells}</tbody></table>"

    def _rows(self) -> list[tuple[str, str]]:
        return [
            ("values written", f"{self.written:,}"),
            ("size", size(self.bytes)),
            ("dropped", f"{self.dropped:,}"),
            ("errors", f"{self.errors:,}"),
            ("recording took", self.cost()),
            ("first-time work", f"{self.first_time_seconds:.1f} s"),
        ]

    @classmethod
    def of(cls, counts: Counts, reporter: ErrorReporter, tracker: OverheadTracker, log_dir: str) -> Report:
        """Make a report of the writer's counts, the reported errors, the overhead and the directory."""
        return cls(
            counts.written,
            counts.dropped,
            counts.bytes,
            counts.errors + reporter.count,
            tracker.steady_seconds,
            tracker.steady_fraction,
            tracker.first_time_seconds,
            log_dir,
            tracker.is_steady,
        )


def size(count: int) -> str:
    """Format bytes in a unit that a person reads."""
    for unit, amount in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= amount:
            return f"{count / amount:.1f} {unit}"
    return f"{count} bytes"
