"""Origin of a call, read from the stacks of the running threads.

Guarantees: only reads; a frame is compared by identity, so a `fit` that ended is never taken for a later one
as long as its frame is held.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from types import FrameType

_BETWEEN = {"tbx_keras", "tensorflow", "tensorboard"}  # what lies between a user's call and us
_STEPS = {"fit", "evaluate", "train_on_batch", "test_on_batch"}


def stack(thread: int | None = None) -> list[FrameType]:
    """List the frames of a thread, innermost first; of the calling thread by default."""
    frame = sys._getframe(1) if thread is None else sys._current_frames().get(thread)
    frames = []
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back
    return frames


def named(frames: Iterable[FrameType], name: str) -> FrameType | None:
    """Find the innermost frame of a function of this name."""
    return next((frame for frame in frames if frame.f_code.co_name == name), None)


def depth(frame: FrameType | None, frames: Iterable[FrameType]) -> int:
    """Count the frames from the innermost one to a frame; beyond all of them if it is not there."""
    place = -1
    for place, one in enumerate(frames):
        if one is frame:
            return place
    return place + 1


def is_keras_itself(frames: Iterable[FrameType]) -> bool:
    """Check whether Keras makes a call itself, as its callback does for batch metrics."""
    packages = (str(frame.f_globals.get("__name__")).split(".")[0] for frame in frames)
    return next((one for one in packages if one not in _BETWEEN), "") in ("keras", "tf_keras")


def is_traced_by_callback(frames: Iterable[FrameType]) -> bool:
    """Check whether a callback makes a trace, such as one that saves the model."""
    for frame in frames:
        name = frame.f_code.co_name
        if name in _STEPS:
            return False
        if name.startswith("on_") and name.endswith(("_begin", "_end")):
            return True
    return False
