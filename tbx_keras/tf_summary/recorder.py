"""Events of the `tf.summary` calls in one logger's training and evaluation steps.

Guarantees: nothing happens with `update_freq="epoch"`. Otherwise a step without a `tf.summary` call costs a
few integer operations. Steps of `train` are the global steps; those of `validation` count test batches over
all evaluations, so that no line goes back. A step given by the user's code wins over both.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from types import FrameType

from tbx_keras import keras_model
from tbx_keras.backends.base import backend_of
from tbx_keras.config import Config
from tbx_keras.error_reporting import ErrorReporter, warn
from tbx_keras.framework_types import Model, Tensor
from tbx_keras.recorders.base import TRAIN, VALIDATION
from tbx_keras.tf_summary import frames, intercept
from tbx_keras.tf_summary.channel import Channel, channel_of
from tbx_keras.values import STEP, BatchWriter, RecordBatch
from tbx_keras.writers.axes import DESCRIPTIONS

_HINT = 'update_freq="epoch" turns the recording of tf.summary calls off.'


class SummaryCalls:
    """Records the `tf.summary` calls of one logger.

    Args:
        config: When to record: the trigger of `update_freq`.
        writer: The writer.
        reporter: Reports errors.
    """

    def __init__(self, config: Config, writer: BatchWriter, reporter: ErrorReporter) -> None:
        self._trigger, self._enabled = config.update, config.batch_metrics
        self._writer, self._reporter = writer, reporter
        self._model: Model = None
        self._warned = False
        self._loop = ""
        self.channel: Channel | None = None
        self.frame: FrameType | None = None
        self.thread = 0
        self.due = False
        self._run = TRAIN
        self._spans = {TRAIN: (0, 0), VALIDATION: (0, 0)}
        self._tested = self._steps_per_execution = 0
        self._seen: Counter[object] = Counter()

    def begin_fit(self, model: Model, step: int) -> None:
        """Record from now on.

        Args:
            model: The model that is trained.
            step: Steps made so far.
        """
        if self._enabled:
            self._open(model, "fit")
            self._enter(TRAIN, step, step)

    def begin_batch(self, first: int, last: int) -> None:
        """Follow training to the steps `first` to `last`, which run in one execution."""
        if self.channel is not None:
            self._enter(TRAIN, first, last)

    def begin_test(self, model: Model) -> None:
        """Record as validation, until the evaluation ends."""
        if not self._enabled:
            return
        if not self.is_running():
            self._open(model, "evaluate")
        self._tested = self._spans[VALIDATION][1]
        self._steps_per_execution = keras_model.steps_per_execution(model)
        self._enter(VALIDATION, self._tested, self._tested)

    def begin_test_batch(self, batch: int) -> None:
        """Follow an evaluation to a batch, counted from 0."""
        if self.channel is not None:
            first = self._tested + int(batch) + 1
            self._enter(VALIDATION, first, first + self._steps_per_execution - 1)

    def end_test(self) -> None:
        """Record as training again, or no more after an `evaluate` alone."""
        if self.channel is not None and self._loop == "fit":
            self._enter(TRAIN, *self._spans[TRAIN])
        else:
            self.end()

    def end(self) -> None:
        """Stop recording."""
        channel, self.channel, self.frame, self.due = self.channel, None, None, False
        if channel is not None:
            intercept.end(self)
            channel.detach(self)
            self._refresh(channel)

    def is_running(self) -> bool:
        """Check whether the `fit` or `evaluate` goes on; after an exception no hook says that it ended."""
        if self.channel is None:
            return False
        calls = frames.stack(self.thread)
        if self.frame is None:  # hooks called by hand
            return frames.named(calls, "fit") is None
        return any(frame is self.frame for frame in calls)

    def take(
        self, operation: object, metadata: bytes, tag: Tensor, value: Tensor, step: Tensor = None
    ) -> None:
        """Record a value, from whatever thread TensorFlow runs the operation on."""
        try:
            if self.is_running():
                self._write(self._step_of(operation), metadata, tag, value, step)
        except Exception as error:
            self.report(error)

    def report(self, error: Exception) -> None:
        """Report an error in recording, once."""
        self._reporter.report("recording a tf.summary call", error, _HINT)

    def warn_of_xla(self) -> None:
        """Warn once that a step compiled by XLA cannot call back."""
        if not self._warned:
            self._warned = True
            warn(
                "tbx_keras: tf.summary calls in a step that XLA compiles are not recorded. "
                "Pass jit_compile=False to `compile` to record them."
            )

    def _open(self, model: Model, loop: str) -> None:
        self.end()
        if model is None or backend_of(model).name != "tensorflow":
            return
        self._loop, self.thread = loop, threading.get_ident()
        self.frame = frames.named(frames.stack(), loop)
        self.channel = channel_of(model)
        self.channel.attach(self)
        intercept.begin(self)

    def _enter(self, run: str, first: int, last: int) -> None:
        self._run, self._spans[run] = run, (first, last)
        self._seen.clear()
        self.due = self._trigger.due(first, last, False)
        if self.channel is not None:
            self._refresh(self.channel)

    def _refresh(self, channel: Channel) -> None:
        try:
            channel.refresh()
        except Exception as error:  # of the device: what else the hook does is not to suffer
            self.report(error)

    def _step_of(self, operation: object) -> int:
        """Find the step that an operation runs in; it runs once in each step of an execution."""
        first, last = self._spans[self._run]
        step = min(first + self._seen[operation], last)
        self._seen[operation] += 1
        return step

    def _write(self, now: int, metadata: bytes, tag: Tensor, value: Tensor, step: Tensor) -> None:
        if self._trigger.due(now, now, False):
            repeats = step is None and self._run == TRAIN  # when training is resumed from an earlier step
            step = now if step is None else int(step)
            tag = tag.decode() if isinstance(tag, bytes) else str(tag)
            event = _event(tag, value, metadata, step, DESCRIPTIONS[STEP] if repeats else "")
            self._writer.submit(RecordBatch(self._run, None, step, [event]))


def _event(tag: str, value: Tensor, metadata: bytes, step: int, description: str) -> bytes:
    """Make the event that TensorFlow's own writer would write, with a description where it has none."""
    import tensorflow as tf

    v1 = tf.compat.v1
    content = v1.SummaryMetadata.FromString(metadata)
    content.summary_description = content.summary_description or description
    one = v1.Summary.Value(tag=tag, metadata=content, tensor=tf.make_tensor_proto(value))
    event = v1.Event(wall_time=time.time(), step=step, summary=v1.Summary(value=[one]))
    return bytes(event.SerializeToString())
