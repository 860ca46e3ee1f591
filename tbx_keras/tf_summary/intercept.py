"""Replaces `tf.summary.write` while loggers record, for calls where no default writer is set.

Guarantees: TensorFlow's own function always runs first, so that arguments are checked as without us. The
replacement ends with the last recorder; where a `fit` was broken off, it passes calls on from then on, and
ends with the next call.
"""

from __future__ import annotations

import functools
import threading
import weakref
from collections.abc import Callable
from types import FrameType
from typing import Any, TypeAlias

from tbx_keras.framework_types import Tensor
from tbx_keras.tf_summary import frames
from tbx_keras.tf_summary.channel import CallRecorder

Write: TypeAlias = Callable[..., Tensor]
Module: TypeAlias = Any  # `tf.summary`, by either name
Metadata: TypeAlias = Any  # serialized, or a SummaryMetadata of TensorFlow

_lock = threading.RLock()
_recorders: tuple[weakref.ref[CallRecorder], ...] = ()
_replaced: list[tuple[Module, Write, Write]] = []


def begin(recorder: CallRecorder) -> None:
    """Hand calls inside a recorder's `fit` to its channel."""
    with _lock:
        _keep([one for one in _running() if one is not recorder] + [recorder])


def end(recorder: CallRecorder) -> None:
    """Stop handing calls to a recorder."""
    with _lock:
        _keep([one for one in _running() if one is not recorder])


def _running() -> list[CallRecorder]:
    found = [reference() for reference in _recorders]
    return [recorder for recorder in found if recorder is not None and recorder.is_running()]


def _keep(recorders: list[CallRecorder]) -> None:
    global _recorders  # noqa: PLW0603
    _recorders = tuple(map(weakref.ref, recorders))
    if recorders and not _replaced:
        _replace()
    elif not recorders:
        _restore()


def _replace() -> None:
    """Replace the function in the two modules that hold it: the public one, and TensorBoard's."""
    import tensorflow as tf

    for module in (tf.summary, tf.compat.v2.summary):
        original = module.write
        module.write = _intercepting(original)
        _replaced.append((module, module.write, original))


def _restore() -> None:
    for module, replacement, original in _replaced:
        if module.write is replacement:
            module.write = original
    _replaced.clear()


def _intercepting(original: Write) -> Write:
    import tensorflow as tf
    from tensorflow.python.ops.summary_ops_v2 import has_default_writer

    @functools.wraps(original)
    def write(
        tag: Tensor, tensor: Tensor, step: Tensor = None, metadata: Metadata = None, name: str | None = None
    ) -> Tensor:
        written = original(tag, tensor, step, metadata, name)
        if has_default_writer():
            return written
        try:
            recorder = _concerned()
            return written if recorder is None else _record(recorder, tag, tensor, step, metadata)
        except Exception as error:
            for recorder in _running():
                recorder.report(error)
            return written

    return tf.autograph.experimental.do_not_convert(write)


def _concerned() -> CallRecorder | None:
    """Find the recorder of the innermost `fit` around the call; others of that `fit` share its channel."""
    with _lock:
        running = _running()
        _keep(running)
    stacks = _stacks(running)
    inside = [one for one in running if one.thread in stacks]
    return min(inside, key=lambda one: frames.depth(one.frame, stacks[one.thread]), default=None)


def _stacks(running: list[CallRecorder]) -> dict[int, list[FrameType]]:
    """List the stacks of the threads that a call belongs to; none where it is not to be recorded."""
    import tensorflow as tf

    calls = frames.stack()
    if frames.is_keras_itself(calls):
        return {}
    found = {threading.get_ident(): calls}
    if tf.distribute.has_strategy() and not tf.distribute.in_cross_replica_context():
        # A strategy traces each replica on a thread of its own, while the thread of `fit` waits.
        found.update({one.thread: frames.stack(one.thread) for one in running})
    if not tf.executing_eagerly() and any(map(frames.is_traced_by_callback, found.values())):
        return {}
    return found


def _record(recorder: CallRecorder, tag: Tensor, tensor: Tensor, step: Tensor, metadata: Metadata) -> Tensor:
    import tensorflow as tf
    from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext

    step = tf.summary.experimental.get_step() if step is None else step
    content = metadata.SerializeToString() if hasattr(metadata, "SerializeToString") else metadata or b""
    channel = recorder.channel
    if channel is None:  # ended meanwhile, by another thread
        return tf.constant(False)
    if tf.executing_eagerly():
        return channel.write_now(tag, tensor, step, content)
    if GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph()):
        recorder.warn_of_xla()
        return tf.constant(False)
    return channel.add_operation(tag, tensor, step, content)
