"""A progress display for `fit`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


class ProgressDisplay(keras.callbacks.Callback):
    """Moves a bar with the steps and writes the metrics of each epoch beside it.

    Args:
        progress: The display.
    """

    async_safe = True  # a bar may lag behind by a step

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self._progress = progress
        self._task: Any = None

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Begin a bar."""
        name = f"epoch {epoch + 1}/{self.params['epochs']}"
        self._task = self._progress.add_task(name, total=self.params["steps"], metrics="")

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Move the bar."""
        self._progress.update(self._task, completed=batch + 1)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Write the metrics."""
        shown = {name: value for name, value in (logs or {}).items() if "loss" in name or "acc" in name}
        self._progress.update(
            self._task, metrics="  ".join(f"{name} {value:.3f}" for name, value in shown.items())
        )


@contextmanager
def progress_of() -> Iterator[ProgressDisplay]:
    """A display for the time of a block."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.fields[metrics]}")) as progress:
        yield ProgressDisplay(progress)
