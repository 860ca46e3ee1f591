"""`TbxLogger`: Keras hooks -> dispatcher, and nothing else.

Guarantees: hooks that run on every step do a few integer operations and no device access; nothing raised
here reaches `fit`, except `ArgumentError` and `LogDirError` before training starts. Batch-end hooks may be
called from Keras's dispatch threads and in any order; what they record is put in order. What was handed to
a hook is on disk within moments, also when `fit` ends by an exception, after which no hook is called.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import keras

from tbx_keras import keras_model
from tbx_keras.arguments import changed, explains_arguments, needs_instance
from tbx_keras.config import Config, read_config
from tbx_keras.custom_loops import ByHand
from tbx_keras.diagnosis.loss_watch import LossWatch
from tbx_keras.diagnosis.monitor import Monitor
from tbx_keras.dispatcher import Dispatcher
from tbx_keras.error_reporting import ErrorReporter, reports_errors
from tbx_keras.framework_types import Logs, Model
from tbx_keras.pickling import Copies
from tbx_keras.recorders.base import TRAIN, VALIDATION, Moment, Recorder
from tbx_keras.recorders.embeddings import label_files
from tbx_keras.recorders.metrics import as_logs, evaluation
from tbx_keras.recorders.overhead import Overhead
from tbx_keras.run_placement import Placement
from tbx_keras.run_report import Report
from tbx_keras.scheduling.batch_speed import BatchSpeed
from tbx_keras.scheduling.overhead import OverheadTracker
from tbx_keras.scheduling.position import TrainingPosition
from tbx_keras.step_hooks import step_hooks
from tbx_keras.tf_keras_hooks import BatchHooks
from tbx_keras.tf_summary import SummaryCalls
from tbx_keras.unrecorded import Unrecorded, instrument_for
from tbx_keras.values import STEP, RecordBatch
from tbx_keras.workers import this_worker
from tbx_keras.writers import AsyncEventWriter


class TbxLogger(BatchHooks, Copies, keras.callbacks.Callback):
    """Record a training run for TensorBoard, in place of `keras.callbacks.TensorBoard`.

    Works in `fit` and `evaluate` of Keras 3 models, on TensorFlow, JAX and PyTorch, and of tf_keras models.
    Written are metrics, learning rate, histograms of weights and biases, and gradients of the training steps.

    Args:
        log_dir: Directory of the run; `train/` and `validation/` are made in it.
        histogram_freq: Epochs between two histograms of weights and biases; 0 turns them off.
        write_graph: Whether to record the model's configuration, its summary, and each epoch the fraction of
            its parameters that trains.
        write_images: Whether to record weights as images, as often as histograms.
        write_steps_per_second: Whether to record training steps per second.
        update_freq: `"epoch"`, `"batch"` or a number of batches: when metrics of single batches are
            recorded besides those of the epoch, and with them what layers, losses and steps pass to
            `tf.summary`. With `"epoch"` nothing of single batches is recorded, no `tf.summary` call either.
        profile_batch: Batch, or pair of first and last batch, counted from 1, to profile; 0 turns it off.
        embeddings_freq: Epochs between two copies of the embedding tables for the projector; 0: none.
        embeddings_metadata: File with a line of labels for each row of an embedding, or a dictionary from
            layer name to such a file; relative to `log_dir`.
        gradient_freq: `"epoch"` (the first step of each), `"batch"`, a number of steps, or 0 to turn it
            off: when the gradients of a step are recorded.
        distance_freq: Epochs between two records of how far each weight has moved from its value at the start
            of training (relative L2 distance); costs a copy of the weights that train. 0 turns it off.
        recorders: Recorders of your own, objects of subclasses of `tbx_keras.Recorder`.
        overhead_budget: Fraction of wall time that recording may take on the training thread, first-time work
            such as tracing apart; judged after 30 s and 100 steps. Above it gradients and histograms are
            recorded more rarely, which is said once.
        on_nonfinite: What to do at the first loss, gradient or weight that is not finite: `"record"` its step
            and the variables concerned, `"warn"` too, or `"stop"` training as well.
        on_existing: Where to record a model that has made no step yet, if `log_dir` holds an earlier run:
            `"new"` for a new directory below it (`run-2`, `run-3`, ...), which is said once and which
            `logger.log_dir` then names; `"append"` for the same directory. A resumed model goes on in the
            newest of them.
        per_worker: Where several processes train one model: whether each of them records, into
            `worker-0/`, `worker-1/`, ... below `log_dir`; otherwise the chief alone does. Which worker a
            process is, `TF_CONFIG`, `jax.process_index()` or `RANK` says.

    Raises:
        ArgumentError: An argument is wrong; the message says which, and what to pass.
        LogDirError: At the start of `fit`, when `log_dir` cannot be written.

    Example:
    ```python
    import keras
    import numpy as np

    from tbx_keras import TbxLogger

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    logger = TbxLogger("logs/first")
    model.fit(np.ones((8, 4)), np.ones((8, 1)), epochs=2, callbacks=[logger], verbose=0)
    print(logger.report)
    ```
    """

    async_safe = True  # no hook needs the step to be over, so Keras need not wait for it
    _supports_tf_logs = True  # tf_keras: pass logs as tensors, fetched only where they are recorded

    @explains_arguments
    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "logs",
        histogram_freq: int = 1,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: int | str = "epoch",
        profile_batch: int | str | Sequence[int] = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: str | Mapping[str, str] | None = None,
        *,
        gradient_freq: int | str = "epoch",
        distance_freq: int = 0,
        recorders: Sequence[Recorder] = (),
        overhead_budget: float = 0.05,
        on_nonfinite: str = "warn",
        on_existing: str = "new",
        per_worker: bool = False,
    ) -> None:
        super().__init__()
        arguments = {name: value for name, value in locals().items() if name not in ("self", "__class__")}
        self._config: Config = read_config(**arguments)
        self._changed = changed(TbxLogger.__init__, self._config.arguments)
        self.log_dir = self._config.log_dir
        self._reset()

    def _reset(self) -> None:
        self._model: Model = None
        self._training = False
        self._speed = BatchSpeed(self._config.write_steps_per_second)
        self._steps_per_execution = 1
        self._position = TrainingPosition()
        self._writer = AsyncEventWriter(self.log_dir)
        self.reporter = ErrorReporter(self._writer.caller)
        self._by_hand = ByHand(self.reporter, self._changed)
        self._tracker = OverheadTracker(self._config.overhead_budget, self.reporter)
        self._monitor = Monitor(self._writer, self.reporter, {"nonfinite": self._config.on_nonfinite})
        self._losses = LossWatch(self._monitor, self._writer)
        self._summary_calls = SummaryCalls(self._config, self._writer, self.reporter)
        self._steps = step_hooks(None, self._position, self._losses.look_between_steps)
        self._prepare_recorders()

    def _prepare_recorders(self) -> None:
        recorders = [*self._config.new_recorders(), Overhead(self._tracker)]
        self._dispatcher = Dispatcher(recorders, self._writer, self._tracker, self.reporter, self._monitor)
        self._dispatcher.set_log_dir(self.log_dir)
        self._unrecorded = Unrecorded(self._dispatcher.kinds, recorders)
        files = label_files(recorders)
        self._placement = Placement(self._writer, self._position, self.reporter, self._config, files)

    @property
    def report(self) -> Report:
        """Report of what was recorded so far, and what it cost."""
        return Report.of(self._writer.counts, self.reporter, self._tracker, self.log_dir)

    @property
    def has_test_batch_hooks(self) -> bool:
        """Check whether the hooks of test batches do anything."""
        return self._config.batch_metrics

    @needs_instance
    @reports_errors("looking at the model", raises=True)
    def set_model(self, model: Model) -> None:
        """Called by Keras before training or evaluation."""
        self._join_workers(model)
        if model is not self._model:
            self.reporter.time.expect_first_runs()
            self._dispatcher.instrument = instrument_for(model, self._dispatcher.kinds, self.reporter)
            self._steps = step_hooks(model, self._position, self._losses.look_between_steps)
            self._dispatcher.set_model(model)
            self._losses.set_model(model)
        self._model = model
        self._config.check_model(model)

    def _join_workers(self, model: Model) -> None:
        """Do the same in the same step as the other workers, where there are any."""
        worker = this_worker(model)
        self._placement.place_worker(worker)
        self._follow_directory()
        self._tracker.keeps_all, self._monitor.may_stop = worker.count > 1, worker.count == 1
        self._unrecorded.join_workers(model, worker, self._writer.muted)

    @reports_errors("starting", raises=True)
    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Called by Keras at the start of `fit`."""
        self._writer.caller.remember()
        self._writer.check((TRAIN, VALIDATION))
        self._by_hand.begin(self._model)
        self._training = True
        self._tracker.start()
        self._steps.begin_fit(self.params)
        self._monitor.begin_fit()
        self._dispatcher.begin_fit()
        self._summary_calls.begin_fit(self._model, self._position.step)
        self._steps_per_execution = keras_model.steps_per_execution(self._model)
        self._unrecorded.warn(self._model)

    @reports_errors("beginning an epoch")
    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Called by Keras at the start of an epoch."""
        self._by_hand.begin_epoch(epoch)
        iterations, optimizer = self._iterations()
        self._placement.begin_epoch(epoch, iterations)
        self._follow_directory()
        self._position.begin_epoch(epoch, iterations, optimizer)

    def _follow_directory(self) -> None:
        if self._writer.log_dir != self.log_dir:
            self.log_dir = self._writer.log_dir
            self._dispatcher.set_log_dir(self.log_dir)

    def _iterations(self) -> tuple[int | None, int]:
        return keras_model.iterations(self._model), id(getattr(self._model, "optimizer", None))

    @reports_errors("preparing a step", "gradient_freq=0 turns the recording of gradients off.")
    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Called by Keras before a step (or before several, with `steps_per_execution`)."""
        self._monitor.stop_if_asked(self._model)
        first, last = self._position.begin_batch(batch, self._steps_per_execution)
        self._summary_calls.begin_batch(first, last)
        self._speed.begin(number := batch + self._steps_per_execution - 1)
        self._steps.begin(number, first, last)
        self._dispatcher.begin_step(first, last, self._position.epoch, batch == 0)

    @reports_errors("ending a step")
    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Called by Keras after a step, perhaps on another thread."""
        speed = self._speed.end(batch, self._steps_per_execution)
        self._steps.end(batch, self._end_step, logs, speed)

    def _end_step(self, step: int, logs: Logs | None, speed: float | None) -> None:
        self._by_hand.end_batch(self._dispatcher.awaits_capture(step))
        self._losses.see(step, self._position.epoch, logs)
        self._monitor.stop_if_asked(self._model)
        self._dispatcher.end_step(step, self._position.epoch, as_logs(logs), speed)

    @reports_errors("ending an epoch")
    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Called by Keras after an epoch and its validation."""
        self._by_hand.end_epoch(lambda: self.on_epoch_begin(epoch))
        self._losses.end_epoch()
        self._steps.end_epoch()
        if self._steps.may_miscount(self._steps_per_execution) and not keras_model.scales_loss(self._model):
            self._position.correct(self._iterations()[0], self._steps_per_execution)
        self._monitor.stop_if_asked(self._model)
        speed = self._position.steps_per_second()
        self._dispatcher.end_epoch(
            Moment(self._model, self._position.epoch, self._position.step, as_logs(logs), speed)
        )
        self._position.end_epoch()

    @reports_errors("beginning an evaluation")
    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Called by Keras before `evaluate`, alone or as the validation of `fit`."""
        self._summary_calls.begin_test(self._model)

    @reports_errors("beginning a test batch")
    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Called by Keras before a batch of an evaluation."""
        self._summary_calls.begin_test_batch(batch)

    @reports_errors("recording an evaluation")
    def on_test_end(self, logs: Logs | None = None) -> None:
        """Called by Keras after `evaluate`, alone or as the validation of `fit`."""
        self._summary_calls.end_test()
        iterations, optimizer = self._iterations()
        if not self._training:
            self._placement.choose_directory(fresh=not iterations)
            self._follow_directory()
        step = self._position.at(iterations, optimizer)
        trains = step > 0 or iterations is not None  # a model that never did has no steps to show it over
        if trains and isinstance(logs, Mapping):
            values = evaluation(logs)
            self._writer.submit(RecordBatch(VALIDATION, STEP, step, values, droppable=False))
        if not self._training:
            self._writer.close()

    @reports_errors("ending")
    def on_train_end(self, logs: Logs | None = None) -> None:
        """Called by Keras when `fit` ends without an exception."""
        self._training = False
        self._summary_calls.end()
        self._dispatcher.end_fit()
        self._steps.end_fit(self._writer)
        self._tracker.stop()
        if self.params and self.params.get("verbose") and not self._writer.muted:
            print(self.report.summary_line())

    def flush(self) -> bool:
        """Hand everything recorded so far to the operating system.

        Returns:
            Whether all of it got there.
        """
        return self._writer.flush()
