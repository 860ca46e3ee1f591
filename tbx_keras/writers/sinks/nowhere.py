"""A sink that writes nothing: that of a worker whose chief records for all.

Guarantees: makes no file and no directory, keeps no record, and counts nothing as lost.
"""

from __future__ import annotations

from tbx_keras.writers.sinks.base import Sink


class Nowhere(Sink):
    """Takes records and lets them go."""

    def append(self, event: bytes, values: int = 1) -> None:
        """Let an event go."""

    def flush(self, force: bool = False) -> tuple[int, int]:
        """Write nothing."""
        return 0, 0
