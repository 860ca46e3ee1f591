"""The `fit` that is running.

Guarantees: only looks at the stack of the calling thread; two looks within one `fit` give equal marks, looks
within two give different ones. A mark keeps nothing of its `fit` alive.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from types import FrameType
from typing import Any


class Fit:
    """A mark of one `fit`.

    A frame keeps the data of its `fit` alive and takes no weak reference, and its address comes again. So a
    mark holds the address, and a weak reference to the list of callbacks that Keras makes in each `fit`: the
    object whose method the `fit` is calling. Where that is none, as in a `fit` of the user's, it holds the
    frame itself.

    Args:
        frame: Frame of the `fit`.
        called: Frame of what the `fit` calls on the way here.
    """

    def __init__(self, frame: FrameType, called: FrameType | None) -> None:
        self._address = id(frame)
        self._find = _reference(frame, called)

    @classmethod
    def running(cls) -> Fit | None:
        """Mark the innermost `fit` that led here; None in a loop that calls hooks by hand."""
        called, frame = None, sys._getframe(1)
        while frame is not None and frame.f_code.co_name != "fit":
            called, frame = frame, frame.f_back  # type: ignore[assignment]
        return None if frame is None else cls(frame, called)

    def runs_in(self, frame: FrameType | None) -> bool:
        """Check that a frame is that of this `fit`."""
        return frame is not None and id(frame) == self._address and self._find() is not None


def _reference(frame: FrameType, called: FrameType | None) -> Callable[[], Any]:
    # Never read the locals of the `fit` itself: its frame keeps the copy made for that, and with it the
    # iterator of an epoch, which then ends in a later hook and takes tenths of a second there.
    owner = None if called is None else called.f_locals.get("self")
    return weakref.ref(owner) if type(owner).__name__ == "CallbackList" else lambda: frame


def fit_frame() -> FrameType | None:
    """Find the frame of the innermost `fit` that led here; None in a loop that calls hooks by hand."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_name != "fit":
        frame = frame.f_back
    return frame
