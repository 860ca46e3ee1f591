"""Replaces `tf.summary.write` while loggers record, for calls where no default writer is set.

Guarantees: TensorFlow's own function always runs first, so that arguments are checked as without us. The
replacement ends with the last recorder; where a `fit` was broken off, it passes calls on from then on, and
ends with the next call.
"""

from __future__ import annotations

import functools
import threading
import weakref
from typing import Any

from tbx_keras.tf_summary import frames

_lock = threading.RLock()
_recorders: tuple[weakref.ref[Any], ...] = ()
_replaced: list[tuple[Any, Any, Any]] = []


def begin(recorder: Any) -> None:
    """Hand calls inside a recorder's `fit` to its channel."""
    with _lock:
        _keep([one for one in _running() if one is not recorder] + [recorder])


def end(recorder: Any) -> None:
    """Hand calls to a recorder no more."""
    with _lock:
        _keep([one for one in _running() if one is not recorder])


def _running() -> list[Any]:
    found = [reference() for reference in _recorders]
    return [recorder for recorder in found if recorder is not None and recorder.is_running()]


def _keep(recorders: list[Any]) -> None:
    global _recorders  # noqa: PLW0603
    _recorders = tuple(map(weakref.ref, recorders))
    if recorders and not _replaced:
        _replace()
    elif not recorders:
        _restore()


def _replace() -> None:
    """In both modules that hold the function: that of users, and that which TensorBoard looks it up in."""
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


def _intercepting(original: Any) -> Any:
    import tensorflow as tf
    from tensorflow.python.ops.summary_ops_v2 import has_default_writer

    @functools.wraps(original)
    def write(tag: Any, tensor: Any, step: Any = None, metadata: Any = None, name: Any = None) -> Any:
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


def _concerned() -> Any:
    """The recorder of the innermost `fit` around the call; others of that `fit` share its channel."""
    with _lock:
        running = _running()
        _keep(running)
    stacks = _stacks(running)
    inside = [one for one in running if one.thread in stacks]
    return min(inside, key=lambda one: frames.depth(one.frame, stacks[one.thread]), default=None)


def _stacks(running: list[Any]) -> dict[int, list[Any]]:
    """The stack of each thread that the call belongs to; none where the call is not to be recorded."""
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


def _record(recorder: Any, tag: Any, tensor: Any, step: Any, metadata: Any) -> Any:
    import tensorflow as tf
    from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext

    step = tf.summary.experimental.get_step() if step is None else step
    content = metadata.SerializeToString() if hasattr(metadata, "SerializeToString") else metadata or b""
    if tf.executing_eagerly():
        return recorder.channel.write_now(tag, tensor, step, content)
    if GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph()):
        recorder.warn_of_xla()
        return tf.constant(False)
    return recorder.channel.add_operation(tag, tensor, step, content)
