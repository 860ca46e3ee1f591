"""PyTorch's profiler.

Guarantees: only calls it; its errors are the caller's.
"""

from __future__ import annotations

from torch import profiler

from tbx_keras.errors import UsageError


class TorchProfiler:
    """Profiles operators and kernels; the plugin `torch-tb-profiler` shows them."""

    def __init__(self) -> None:
        self._running: profiler.profile | None = None

    def start(self, directory: str) -> None:
        """Start; a file `*.pt.trace.json` is written into `directory`."""
        self._running = profiler.profile(on_trace_ready=profiler.tensorboard_trace_handler(directory))
        self._running.start()

    def stop(self) -> None:
        """Stop and write."""
        if self._running is None:
            raise UsageError("The profiler was not started.")
        self._running.stop()
