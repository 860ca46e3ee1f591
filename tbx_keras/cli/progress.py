"""A progress display for `fit`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from tbx_keras.framework_types import Logs
from tbx_keras.tf_keras_hooks import BatchHooks


class ProgressDisplay(BatchHooks, keras.callbacks.Callback):
    """Moves a bar with the steps and writes the metrics of each epoch beside it.

    Args:
        progress: The display.
    """

    async_safe = True  # a bar may lag behind by a step

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self._progress = progress
        self._task: Any = None

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Begin a bar."""
        name = f"epoch {epoch + 1}/{self.params['epochs']}"
        self._task = self._progress.add_task(name, total=self.params["steps"], metrics="")

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Move the bar."""
        self._progress.update(self._task, completed=batch + 1)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write the metrics."""
        self._progress.update(self._task, metrics=_beside(logs or {}))


def _beside(logs: Logs) -> str:
    """Format each metric with its validation beside it, short enough for a line of 80 characters."""
    names = sorted((name for name in logs if not name.startswith("val_")), key=lambda name: name != "loss")
    return "  ".join(f"{name} {logs[name]:.3f}{_validated(logs, name)}" for name in names)


def _validated(logs: Logs, name: str) -> str:
    return f" (val {logs[f'val_{name}']:.3f})" if f"val_{name}" in logs else ""


@contextmanager
def progress_of(console: Console) -> Iterator[ProgressDisplay]:
    """Show a display for the time of a block."""
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=10), MofNCompleteColumn())
    with Progress(*columns, TextColumn("{task.fields[metrics]}"), console=console) as progress:
        yield ProgressDisplay(progress)
