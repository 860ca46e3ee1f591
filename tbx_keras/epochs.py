"""What is recorded at the end of an epoch, kind by kind.

Guarantees: an error in one kind is reported and does not keep the others from being recorded. Nothing here
raises.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tbx_keras.faults import guarded
from tbx_keras.options import TRAIN, VALIDATION, Options
from tbx_keras.recorders import images, metrics, model_graph
from tbx_keras.recorders.drift import Drift, trainable_share
from tbx_keras.recorders.embeddings import embedding_tables
from tbx_keras.recorders.metrics import STEP_OF_EPOCH
from tbx_keras.recorders.weights import WeightHistograms
from tbx_keras.values import EPOCH, STEP, Deferred, Histogram, Scalar


class Epochs:
    """Records the epochs of one logger.

    Args:
        options: What to record.
        hub: The writer.
        costs: The budget.
        progress: Where training is.
        faults: Where errors go.
        nonfinite: Told of weights that are not finite.
    """

    def __init__(
        self, options: Options, hub: Any, costs: Any, progress: Any, faults: Any, nonfinite: Any
    ) -> None:
        self._options, self._hub, self._costs, self._progress = options, hub, costs, progress
        self.faults, self._nonfinite = faults, nonfinite
        self._model: Any = None
        self._weights: WeightHistograms | None = None
        self._drift: Drift | None = None
        self._described: int | None = None
        self._labels = options.label_files

    def set_model(self, model: Any) -> None:
        """The epochs to come are those of this model."""
        if model is not self._model:
            self._model, self._weights, self._drift = model, WeightHistograms(model), Drift(model)

    @guarded("keeping the weights that drift is measured from", "drift_freq=0 turns it off.")
    def begin_fit(self) -> None:
        """Training begins: weights that were not seen before are kept as the reference of drift."""
        if self._options.drift.frequency and self._drift is not None:
            self._drift.begin()

    @guarded("looking for the labels of embeddings", "embeddings_freq=0 turns them off.")
    def check_labels(self) -> None:
        """Have missing files of labels warned of, once the directory is known and before the first epoch."""
        files, self._labels = self._labels, ()
        if files and self._options.embeddings.frequency:
            self._hub.check_labels(TRAIN, files)

    def record(self, logs: Mapping[str, Any]) -> None:
        """Record the epoch that ends."""
        self._record_description()
        self._record_metrics(logs)
        self._record_weights()
        self._record_drift()
        self._record_embeddings()
        self._record_cost()

    @guarded("recording metrics")
    def _record_metrics(self, logs: Mapping[str, Any]) -> None:
        progress, options = self._progress, self._options
        speed = progress.steps_per_second() if options.write_steps_per_second else None
        train = metrics.train_epoch(logs, self._model, speed)
        self._hub.write(TRAIN, progress.epoch, train, axis=EPOCH, keep=True)
        validation = metrics.validation_epoch(logs)
        self._hub.write(VALIDATION, progress.epoch, validation, axis=EPOCH, keep=True)

    @guarded("recording weights", "histogram_freq=0 turns it off.")
    def _record_weights(self) -> None:
        epoch = self._progress.epoch
        due = self._options.histograms.due(epoch) and self._costs.allows("histograms")
        if self._weights is None or not due:
            return
        with self.faults.one_time(self._weights.will_trace()):
            collected, step = self._weights(), self._progress.step
        found = Deferred(lambda: self._looked_at(collected.fetch(), step), collected.nbytes)
        self._hub.write(TRAIN, epoch, found, axis=EPOCH)
        if self._options.write_images:
            self._hub.write(TRAIN, epoch, images.weight_images(self._model), axis=EPOCH)

    def _looked_at(self, found: Iterable[Histogram], step: int) -> Iterable[Histogram]:
        concerned = [(one.tag.split("/", 1)[1], one.nonfinite) for one in found if one.nonfinite]
        self._nonfinite.see_weights(step, concerned)
        return found

    @guarded("recording drift", "drift_freq=0 turns it off.")
    def _record_drift(self) -> None:
        epoch = self._progress.epoch
        due = self._options.drift.due(epoch) and self._costs.allows("drift")
        if self._drift is None or not due:
            return
        with self.faults.one_time(self._drift.will_trace()):
            self._hub.write(TRAIN, epoch, self._drift(), axis=EPOCH)

    @guarded("recording embeddings", "embeddings_freq=0 turns it off.")
    def _record_embeddings(self) -> None:
        epoch, options = self._progress.epoch, self._options
        if options.embeddings.due(epoch):
            tables = embedding_tables(self._model, options.embeddings_metadata)
            self._hub.write(TRAIN, epoch, tables, axis=EPOCH)

    @guarded("recording what recording costs")
    def _record_cost(self) -> None:
        made = Scalar(STEP_OF_EPOCH, float(self._progress.step))
        self._hub.write(TRAIN, self._progress.epoch, [made, *self._costs.review()], axis=EPOCH)

    @guarded("describing the model", "write_graph=False turns it off.")
    def _record_description(self) -> None:
        """After the first epoch rather than before: by then every layer is built."""
        if not self._options.write_graph or self._model is None:
            return
        self._hub.write(TRAIN, self._progress.epoch, trainable_share(self._model), axis=EPOCH)
        if self._described != id(self._model):
            self._described = id(self._model)
            with self.faults.one_time():
                found = model_graph.model_description(self._model)
                self._hub.write(TRAIN, 0, found, axis=STEP, keep=True)
