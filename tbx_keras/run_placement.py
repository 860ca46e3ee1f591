"""The place of a run: its directory, the files that it needs there, and the step that it goes on from.

Guarantees: decided when the first epoch begins, after every callback has restored what it keeps and before
anything of the `fit` is written. An error in one of the three keeps none of the others from being decided.
"""

from __future__ import annotations

from collections.abc import Sequence

from tbx_keras.config import Config
from tbx_keras.error_reporting import ErrorReporter, reports_errors
from tbx_keras.log_directory import LogDirectory
from tbx_keras.recorders.base import TRAIN, VALIDATION
from tbx_keras.recorders.overhead import STEP_OF_EPOCH
from tbx_keras.scheduling.position import TrainingPosition
from tbx_keras.scheduling.resume import Resume
from tbx_keras.workers import Worker
from tbx_keras.writers import AsyncEventWriter


class Placement:
    """Places the run of one logger.

    Args:
        writer: The writer.
        position: The position in the training.
        reporter: Reports errors.
        config: The arguments of the logger.
        label_files: Files of labels for embeddings.
    """

    def __init__(
        self,
        writer: AsyncEventWriter,
        position: TrainingPosition,
        reporter: ErrorReporter,
        config: Config,
        label_files: Sequence[str],
    ) -> None:
        self.reporter, self._writer, self._label_files = reporter, writer, tuple(label_files)
        self._worker: Worker | None = None
        self._per_worker = config.per_worker
        self._directory = LogDirectory(writer, config.on_existing)
        self._resume = Resume(writer, position, (TRAIN, VALIDATION), STEP_OF_EPOCH)

    @reports_errors("finding out which worker this is")
    def place_worker(self, worker: Worker) -> None:
        """Give a worker a directory of its own, or leave the recording to the chief; done once.

        A task beside the training, as one that evaluates, has always one of its own.

        Args:
            worker: This process, of those that train together.
        """
        if self._worker is not None:
            return
        self._worker = worker
        if worker.beside or (worker.count > 1 and self._per_worker):
            self._writer.move_below(worker.name)
        elif not worker.is_chief:
            self._writer.mute()

    @reports_errors("choosing the directory of the run", 'on_existing="append" leaves it as it is.')
    def choose_directory(self, fresh: bool) -> None:
        """Move the writer where the directory was used before.

        Args:
            fresh: Whether the model has made no step and its epochs begin at 0.
        """
        self._directory.choose(fresh)

    def begin_epoch(self, epoch: int, iterations: int | None) -> None:
        """Begin an epoch: only the first one of a logger is placed.

        Args:
            epoch: Number that Keras gives it.
            iterations: Steps that the optimizer has made; None without an optimizer.
        """
        self.choose_directory(fresh=not epoch and not iterations)
        self._check_label_files()
        self._find_step(epoch, iterations)

    @reports_errors("looking for the labels of embeddings", "embeddings_freq=0 turns them off.")
    def _check_label_files(self) -> None:
        """Warn of missing files before the first epoch."""
        files, self._label_files = self._label_files, ()
        if files:
            self._writer.check_labels(TRAIN, files)

    @reports_errors("finding the place where an earlier run stopped")
    def _find_step(self, epoch: int, iterations: int | None) -> None:
        self._resume.begin_epoch(epoch, iterations)
