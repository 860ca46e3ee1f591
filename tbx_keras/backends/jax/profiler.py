"""JAX's profiler.

Guarantees: only calls it; its errors are the caller's.
"""

from __future__ import annotations

import jax


class JaxProfiler:
    """Profiles compiled functions and the host."""

    def start(self, directory: str) -> None:
        """Start; `plugins/profile` is made in `directory`."""
        jax.profiler.start_trace(directory)

    def stop(self) -> None:
        """Stop and write."""
        jax.profiler.stop_trace()
