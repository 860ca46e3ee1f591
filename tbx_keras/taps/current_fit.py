"""Which `fit` is running.

Guarantees: only looks at the stack of the calling thread; two calls within one `fit` give the same object,
calls within two give different ones as long as the first is held.
"""

from __future__ import annotations

import sys
from types import FrameType


def current_fit() -> FrameType | None:
    """The frame of the innermost `fit` that led here; None in a loop that calls hooks by hand."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_name != "fit":
        frame = frame.f_back
    return frame
