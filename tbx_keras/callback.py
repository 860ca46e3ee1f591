"""`TbxLogger`: wiring only. Keras hook -> schedule -> recorder -> writer.

Guarantees: hooks that run on every step do a few integer operations and no device access; nothing raised
here reaches `fit`, except `ArgumentError` and `LogDirError` before training starts. Batch-end hooks may be
called from Keras's dispatch threads and in any order; what they record is put in order. What was handed to
a hook is on disk within moments, also when `fit` ends by an exception, after which no hook is called.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from tbx_keras.arguments import changed, explains_arguments, needs_instance
from tbx_keras.backends import keras_model
from tbx_keras.batch_hooks import BatchHooks
from tbx_keras.by_hand import ByHand
from tbx_keras.copies import Copies
from tbx_keras.costs import Costs
from tbx_keras.epochs import Epochs
from tbx_keras.faults import Faults, guarded
from tbx_keras.log_directory import LogDirectory
from tbx_keras.nonfinite import NonFinite
from tbx_keras.options import TRAIN, VALIDATION, Options, read_options
from tbx_keras.progress import Progress
from tbx_keras.recorders import metrics
from tbx_keras.recorders.profile import Profiler
from tbx_keras.report import Report
from tbx_keras.resume import Resume
from tbx_keras.sampled import SampledSteps, tap_for
from tbx_keras.step_hooks import step_hooks
from tbx_keras.tf_summary import SummaryCalls
from tbx_keras.unrecorded import Unrecorded
from tbx_keras.values import STEP
from tbx_keras.writers import EventHub


class TbxLogger(BatchHooks, Copies, keras.callbacks.Callback):
    """Records a training run for TensorBoard, in place of `keras.callbacks.TensorBoard`.

    Works in `fit` and `evaluate` of Keras 3 and of tf_keras models. Written are metrics, learning rate,
    histograms of weights and biases, and the gradients of real training steps.

    Args:
        log_dir: Directory of the run; `train/` and `validation/` are made in it.
        histogram_freq: Epochs between two histograms of weights and biases; 0 turns them off.
        write_graph: Whether to record the model's configuration, its summary, and each epoch the share of
            its parameters that trains.
        write_images: Whether to record weights as pictures, as often as histograms.
        write_steps_per_second: Whether to record training steps per second.
        update_freq: `"epoch"`, `"batch"` or a number of batches: when metrics of single batches are
            recorded besides those of the epoch, and with them what layers, losses and steps pass to
            `tf.summary`. With `"epoch"` nothing of single batches is recorded, no `tf.summary` call either.
        profile_batch: Batch, or pair of first and last batch, counted from 1, to run TensorFlow's
            profiler for; 0 turns it off.
        embeddings_freq: Epochs between two copies of the embedding tables for the projector; 0: none.
        embeddings_metadata: File with a line of labels for each row of an embedding, or a dictionary from
            layer name to such a file; relative to `log_dir`.
        gradient_freq: `"epoch"` (the first step of each), `"batch"`, a number of steps, or 0 to turn it
            off: when the gradients of a step are recorded.
        drift_freq: Epochs between two records of how far each weight has moved from its value at the start of
            training (relative L2 distance); costs a copy of the weights that train. 0 turns it off.
        overhead_budget: Share of wall time that recording may take on the training thread, first-time work
            such as tracing apart; judged after 30 s and 100 steps. Above it gradients and histograms are
            recorded more rarely, which is said once.
        on_nonfinite: What to do at the first loss, gradient or weight that is not finite: `"record"` its step
            and the variables concerned, `"warn"` too, or `"stop"` training as well.
        on_existing: Where to record a model that has made no step yet, if `log_dir` holds an earlier run:
            `"new"` for a new directory below it (`run-2`, `run-3`, ...), which is said once and which
            `logger.log_dir` then names; `"append"` for the same directory. A resumed model goes on in the
            newest of them.

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
        drift_freq: int = 0,
        overhead_budget: float = 0.05,
        on_nonfinite: str = "warn",
        on_existing: str = "new",
    ) -> None:
        super().__init__()
        arguments = {name: value for name, value in locals().items() if name not in ("self", "__class__")}
        self._changed = changed(TbxLogger.__init__, arguments)
        self._options: Options = read_options(**arguments)
        self.log_dir = self._options.log_dir
        self._reset()

    def _reset(self) -> None:
        self._model: Any = None
        self._hub = EventHub(self.log_dir)
        self.faults = Faults(self._hub.caller)
        self._by_hand = ByHand(self.faults, self._changed)
        self._progress = Progress()
        self._costs = Costs(self._options.overhead_budget, self.faults)
        self._nonfinite = NonFinite(self._options.on_nonfinite, self._hub)
        self._epochs = Epochs(
            self._options, self._hub, self._costs, self._progress, self.faults, self._nonfinite
        )
        self._profiler = Profiler(os.path.join(self.log_dir, TRAIN), self._options.profile_batch)
        self._resume = Resume(self._hub, self._progress)
        self._directory = LogDirectory(self._hub, self._options.on_existing)
        self._steps = step_hooks(None, self._progress, self._nonfinite)
        self._unrecorded = Unrecorded(self._options)
        self._tap: Any = None
        self._training = False
        self._batch_started: dict[int, float] = {}
        self._steps_per_execution = 1
        self._sampled = SampledSteps(self._hub, self._options, self._nonfinite)
        self._summary_calls = SummaryCalls(self._options, self._hub, self.faults)

    @property
    def report(self) -> Report:
        """What was recorded so far, and what it cost."""
        return Report.of(self._hub.counts, self.faults, self._costs, self.log_dir)

    @needs_instance
    @guarded("looking at the model", raises=True)
    def set_model(self, model: Any) -> None:
        """Called by Keras before training or evaluation."""
        if model is not self._model:
            self.faults.time.expect_first_runs()
            self._tap = tap_for(model, self._options, self.faults)
            self._steps = step_hooks(model, self._progress, self._nonfinite)
            self._epochs.set_model(model)
            self._nonfinite.set_model(model)
        self._model = model
        self._options.check_model(model)

    @guarded("starting", raises=True)
    def on_train_begin(self, logs: Any = None) -> None:
        """Called by Keras at the start of `fit`."""
        self._hub.caller.remember()
        self._hub.check((TRAIN, VALIDATION))
        self._by_hand.begin(self._model)
        self._training = True
        self._costs.start()
        self._steps.begin_fit(self.params)
        self._epochs.begin_fit()
        self._nonfinite.begin_fit()
        self._sampled.begin_fit()
        self._summary_calls.begin_fit(self._model, self._progress.step)
        self._steps_per_execution = keras_model.steps_per_execution(self._model)
        if self._tap is not None and self._options.samples_steps:
            self._tap.begin(self._options.captures_gradients)
        self._unrecorded.tell(self._model, self._profiler)

    @guarded("beginning an epoch")
    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Called by Keras at the start of an epoch."""
        self._by_hand.begin_epoch(epoch)
        iterations, optimizer = self._iterations()
        self._choose_directory(fresh=not epoch and not iterations)
        self._epochs.check_labels()
        self._find_place(epoch, iterations)
        self._progress.begin_epoch(epoch, iterations, optimizer)

    @guarded("choosing the directory of the run", 'on_existing="append" leaves it as it is.')
    def _choose_directory(self, fresh: bool) -> None:
        chosen = self._directory.choose(fresh)
        if chosen != self.log_dir:
            self.log_dir = chosen
            self._profiler = Profiler(os.path.join(chosen, TRAIN), self._options.profile_batch)

    @guarded("finding the place where an earlier run stopped")
    def _find_place(self, epoch: int, iterations: int | None) -> None:
        self._resume.begin_epoch(epoch, iterations)

    def _iterations(self) -> tuple[int | None, int]:
        return keras_model.iterations(self._model), id(getattr(self._model, "optimizer", None))

    @guarded("preparing a step", "gradient_freq=0 turns the recording of gradients off.")
    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Called by Keras before a step (or before several, with `steps_per_execution`)."""
        self._nonfinite.stop_if_found()
        first, last = self._progress.begin_batch(batch, self._steps_per_execution)
        self._summary_calls.begin_batch(first, last)
        self._costs.count(last - first + 1)
        if self._options.write_steps_per_second:
            self._batch_started[batch + self._steps_per_execution - 1] = time.perf_counter()
        if self._options.profile_batch[0]:
            self._profiler.before(first, last)
        if self._tap is None:
            self._steps.begin(batch + self._steps_per_execution - 1, first, last)
            return
        due = self._options.gradients.due(first, last, batch == 0)
        wants_gradients = due and self._costs.allows("gradients")
        self._costs.count_step(self._tap, wants_gradients, batch == 0)
        if wants_gradients or self._options.update.due(first, last, False):
            self._tap.arm(self, wants_gradients, self._sampled.deliver_to(last, wants_gradients))
        else:
            self._tap.pass_by(self)

    @guarded("recording batch metrics")
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Called by Keras after a step, perhaps on another thread."""
        self._steps.end(batch, self._end_step, logs, self._batch_speed(batch))

    def _end_step(self, step: int, logs: Any, speed: float | None) -> None:
        self._by_hand.end_batch(self._sampled.awaits_gradients(step) and self._tap.armed)
        self._nonfinite.see_loss(step, logs)
        self._nonfinite.stop_if_found()
        if self._options.profile_batch[0]:
            self._profiler.after(step)
        own_loss = self._sampled.take_loss(step)
        first = step - self._steps_per_execution + 1
        if self._options.update.due(first, step, False):
            self._hub.write(TRAIN, step, metrics.batch(logs, speed, own_loss), axis=STEP)

    def _batch_speed(self, batch: int) -> float | None:
        started = self._batch_started.pop(batch, None)
        if started is None:
            return None
        return self._steps_per_execution / max(time.perf_counter() - started, 1e-9)

    @guarded("recording an epoch")
    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Called by Keras after an epoch and its validation."""
        self._by_hand.end_epoch(lambda: self.on_epoch_begin(epoch))
        self._nonfinite.end_epoch()
        self._steps.end_epoch()
        self._nonfinite.stop_if_found()
        self._epochs.record(logs or {})
        self._progress.end_epoch()

    @guarded("recording an evaluation")
    def on_test_end(self, logs: Any = None) -> None:
        """Called by Keras after `evaluate`, alone or as the validation of `fit`."""
        self._summary_calls.end_test()
        iterations, optimizer = self._iterations()
        if not self._training:
            self._choose_directory(fresh=not iterations)
        step = self._progress.at(iterations, optimizer)
        trains = step > 0 or iterations is not None  # a model that never did has no steps to show it over
        if trains and isinstance(logs, Mapping):
            self._hub.write(VALIDATION, step, metrics.evaluation(logs), axis=STEP, keep=True)
        if not self._training:
            self._hub.close()

    @guarded("ending")
    def on_train_end(self, logs: Any = None) -> None:
        """Called by Keras when `fit` ends without an exception."""
        self._training = False
        self._summary_calls.end()
        if self._tap is not None:
            self._tap.end()
        self._profiler.stop()
        self._steps.end_fit(self._hub)
        self._costs.stop()
        if self.params and self.params.get("verbose"):
            print(self.report.sentence())

    def flush(self) -> bool:
        """Hand everything recorded so far to the operating system.

        Returns:
            Whether all of it got there.
        """
        return self._hub.flush()
