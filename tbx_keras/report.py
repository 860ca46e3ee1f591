"""What was recorded and what it cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tbx_keras.faults import Faults


@dataclass(frozen=True)
class Report:
    """What a logger recorded and what it cost the training thread.

    Args:
        written: Values handed to the operating system.
        dropped: Values lost to a full queue or a fault.
        bytes: Bytes written.
        errors: Errors that were caught.
        overhead_seconds: Time spent in hooks.
        overhead_share: The same as a share of the time since training began, 0 to 1.

    Example:
    ```python
    from tbx_keras.report import Report

    report = Report(
        written=3, dropped=0, bytes=120, errors=0, overhead_seconds=0.1, overhead_share=0.01
    )
    assert report.dropped == 0
    ```
    """

    written: int
    dropped: int
    bytes: int
    errors: int
    overhead_seconds: float
    overhead_share: float

    def sentence(self, log_dir: str) -> str:
        """The closing line at the end of training."""
        return (
            f"tbx_keras: {self.written:,} values ({self.bytes / 1e6:.1f} MB) in {log_dir}, "
            f"{self.dropped:,} dropped; {self.overhead_seconds:.2f} s on the training thread "
            f"({self.overhead_share:.1%}, first-time work included)."
        )

    @classmethod
    def of(cls, counts: Any, faults: Faults, elapsed: float) -> Report:
        """Put together the writer's counts, the hooks' faults and the seconds since training began."""
        share = faults.seconds / elapsed if elapsed > 0 else 0.0
        errors = counts.errors + faults.count
        return cls(counts.written, counts.dropped, counts.bytes, errors, faults.seconds, share)
