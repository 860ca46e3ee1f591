"""TensorFlow's profiler.

Guarantees: only calls it; its errors are the caller's.
"""

from __future__ import annotations

from tensorflow import profiler


class TensorFlowProfiler:
    """Profiles operations, as `keras.callbacks.TensorBoard` does."""

    def start(self, directory: str) -> None:
        """Start; `plugins/profile` is made in `directory`."""
        profiler.experimental.start(directory)

    def stop(self) -> None:
        """Stop and write."""
        profiler.experimental.stop()
