"""Location in the user's program that a warning points to.

Guarantees: found by walking up the frames, past those of this package and of the frameworks. A thread
without a frame of the user's points to the line that a `Caller` remembers, such as that of `fit`.
"""

from __future__ import annotations

import sys
from typing import NamedTuple

_FRAMEWORKS = frozenset({"tbx_keras", "keras", "tf_keras", "tensorflow", "tensorboardX"})
_PLUMBING = frozenset({"contextlib", "functools", "threading", "concurrent", "copy", "copyreg", "wrapt"})
_SKIPPED = _FRAMEWORKS | _PLUMBING
_PROGRAMS = "tbx_keras.demos"  # in the place of a user's program
_GENERATED = "__autograph_generated_file"


class Location(NamedTuple):
    """A line of a file."""

    filename: str
    line: int
    module: str


UNKNOWN = Location("tbx_keras", 1, "tbx_keras")  # no line of a user's was seen: the command line, a child


def user_location() -> Location | None:
    """Find the innermost line of this thread that is neither ours nor a framework's, or None."""
    frame = sys._getframe(1)
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if not _is_skipped(module):
            return Location(frame.f_code.co_filename, frame.f_lineno, module)
        frame = frame.f_back  # type: ignore[assignment]
    return None


def _is_skipped(module: str) -> bool:
    if module.startswith(_PROGRAMS):
        return False
    return module.split(".", 1)[0] in _SKIPPED or module.startswith(_GENERATED)


class Caller:
    """The line that the warnings of other threads point to: at first the one that made the logger."""

    def __init__(self) -> None:
        self.location = user_location() or UNKNOWN

    def remember(self) -> None:
        """Point to the line that runs now, such as that of `fit`, from here on."""
        self.location = user_location() or self.location
