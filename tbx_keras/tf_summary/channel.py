"""Link from operations in a model's traced functions to the loggers that record at the moment.

Guarantees: a traced function holds the channel, and the channel holds no model and no logger, so both can
be collected. (TensorFlow itself keeps what `tf.numpy_function` calls, here the channel, for as long as the
process lives.) While nobody records, the condition is false and the operation does nothing. The variable
behind the condition is made for the first operation.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import Any, Protocol, TypeAlias

from tbx_keras.errors import UnsupportedValueError
from tbx_keras.framework_types import Model, Tensor, Variable
from tbx_keras.instrumentation.base import NAME_SCOPE

SummaryWriter: TypeAlias = Any  # of `tf.summary`
_CHANNELS: weakref.WeakKeyDictionary[Model, Channel] = weakref.WeakKeyDictionary()


class CallRecorder(Protocol):
    """Records the values of one logger."""

    channel: Channel | None  # of the model that trains; None where nothing does
    frame: FrameType | None  # of the running `fit` or `evaluate`; None for hooks called by hand
    thread: int  # in which that runs
    due: bool

    def is_running(self) -> bool:
        """Check whether the `fit` or `evaluate` goes on."""

    def take(
        self, operation: object, metadata: bytes, tag: Tensor, value: Tensor, step: Tensor = None
    ) -> None:
        """Record a value, on any thread."""

    def report(self, error: Exception) -> None:
        """Report an error in recording."""

    def warn_of_xla(self) -> None:
        """Warn that a step compiled by XLA cannot call back."""


def channel_of(model: Model) -> Channel:
    """Get the channel of a model: one, since its functions are traced once for all its `fit` calls."""
    try:
        return _CHANNELS.setdefault(model, Channel())
    except TypeError:  # no model: it cannot be referred to weakly
        return Channel()


class Channel:
    """Delivers the values of one model's operations."""

    def __init__(self) -> None:
        self._recorders: tuple[weakref.ref[CallRecorder], ...] = ()
        self._flag: Variable = None
        self._due = False

    def recorders(self) -> list[CallRecorder]:
        """List the attached recorders, also those whose `fit` was broken off."""
        found = [reference() for reference in self._recorders]
        return [recorder for recorder in found if recorder is not None]

    def attach(self, recorder: CallRecorder) -> None:
        """Let a recorder take values from now on, beside others that still run."""
        others = [one for one in self.recorders() if one is not recorder and one.is_running()]
        self._recorders = tuple(map(weakref.ref, [*others, recorder]))

    def detach(self, recorder: CallRecorder) -> None:
        """Let a recorder take no more values."""
        self._recorders = tuple(weakref.ref(one) for one in self.recorders() if one is not recorder)

    def refresh(self) -> None:
        """Set the condition for the step to come."""
        due = any(recorder.due for recorder in self.recorders())
        if due != self._due:
            self._due = due
            if self._flag is not None:
                self._flag.assign(due)

    def write_now(self, tag: Tensor, tensor: Tensor, step: Tensor, metadata: bytes) -> Tensor:
        """Deliver an eager value."""
        import tensorflow as tf

        if not self._due or not _is_allowed():
            return tf.constant(False)
        inputs = _inputs(tag, tensor, step)
        self._deliver(str(tag), metadata, *(one.numpy() for one in inputs))
        return tf.constant(True)

    def add_operation(self, tag: Tensor, tensor: Tensor, step: Tensor, metadata: bytes) -> Tensor:
        """Add the delivery of a value to the function that is being traced."""
        import tensorflow as tf

        allowed = _is_allowed()
        static = tf.get_static_value(allowed)
        if static is not None and not static:
            return tf.constant(False)

        def deliver(*values: Tensor) -> None:
            self._deliver(deliver, metadata, *values)

        def record() -> Tensor:
            with tf.device("cpu:0"), tf.control_dependencies([_call(deliver, _inputs(tag, tensor, step))]):
                return tf.constant(True)

        with tf.name_scope(NAME_SCOPE):
            return tf.cond(tf.logical_and(self._condition(), allowed), record, lambda: tf.constant(False))

    def _condition(self) -> Tensor:
        if self._flag is None:
            # On another thread no scope of a strategy, a device or Keras changes what is made.
            with ThreadPoolExecutor(1) as outside:
                self._flag = outside.submit(_host_flag, self._due).result()
        return self._flag.read_value()

    def _deliver(self, operation: object, metadata: bytes, *values: Tensor) -> None:
        for recorder in self.recorders():
            recorder.take(operation, metadata, *values)


def _host_flag(value: bool) -> Variable:
    import tensorflow as tf

    with tf.device("cpu:0"):
        return tf.Variable(value, trainable=False, dtype=tf.bool)


def _call(function: Callable[..., None], inputs: list[Tensor]) -> Tensor:
    import tensorflow as tf

    return tf.numpy_function(function, inputs, [])


def _inputs(tag: Tensor, tensor: Tensor, step: Tensor) -> list[Tensor]:
    """List the tensors of one value; without a step where the recorder's own is used."""
    import tensorflow as tf

    value = tf.convert_to_tensor(tensor() if callable(tensor) else tensor)
    if not value.dtype.is_numpy_compatible:
        raise UnsupportedValueError(f"A {value.dtype.name} tensor cannot be recorded. Received: tag={tag!r}.")
    return [tf.convert_to_tensor(tag), value, *([] if step is None else [tf.cast(step, tf.int64)])]


def _is_allowed() -> Tensor:
    """Get the condition of `tf.summary.record_if`, which TensorFlow gives only where there is a writer."""
    import tensorflow as tf

    with _placeholder_writer().as_default():
        return tf.summary.should_record_summaries()


@functools.cache
def _placeholder_writer() -> SummaryWriter:
    import tensorflow as tf

    nothing = dict.fromkeys(("init", "flush", "close"), lambda self: None)
    return type("PlaceholderWriter", (tf.summary.SummaryWriter,), nothing)()
