"""PyTorch's profiler.

Guarantees: only calls it; its errors are the caller's. It does not start beside another profiler of the
thread: of two that overlap PyTorch spoils the one, or ends the process.
"""

from __future__ import annotations

from torch import profiler
from torch._C._autograd import _profiler_enabled

from tbx_keras.errors import UsageError


class TorchProfiler:
    """Profiles operators and kernels; the plugin `torch-tb-profiler` shows them."""

    def __init__(self) -> None:
        self._running: profiler.profile | None = None

    def start(self, directory: str) -> None:
        """Start; a file `*.pt.trace.json` is written into `directory`.

        Raises:
            UsageError: Another profiler of PyTorch runs.
        """
        if _profiler_enabled():
            raise UsageError(
                "Another profiler of PyTorch runs, and there can be one at a time. End it first, or let "
                "`profile_batch` name other batches"
            )
        self._running = profiler.profile(on_trace_ready=profiler.tensorboard_trace_handler(directory))
        self._running.start()

    def stop(self) -> None:
        """Stop and write; do nothing where somebody else has stopped it."""
        if self._running is None:
            raise UsageError("The profiler was not started.")
        if _profiler_enabled():
            self._running.stop()
